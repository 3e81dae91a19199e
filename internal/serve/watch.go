package serve

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/millstream-dev/millstream/internal/serve/catalog"
	"github.com/millstream-dev/millstream/internal/serve/filter"
)

// watch is one stream of changes: a view's table with a selection and
// filters. All clients that ask for the same share it, so each change is read
// and encoded once.
type watch struct {
	id       string // the relation and the query string
	view     string
	relation *catalog.Relation
	rows     *statement
	// A key's own conditions, over k: a key that fails them never was in the
	// stream. The others are asked of the row.
	ofKey string
	names []string // of the key's columns in the answer

	// The following are guarded by the hub's mu.
	log     []entry
	bytes   int
	from    int64 // the log has what came after this commit
	clients int
	left    time.Time // when the last client left
	failed  error     // why the stream has ended: PostgreSQL refuses to read a change
}

// newWatch makes the statements of a stream.
func newWatch(r *catalog.Relation, raw string) (*watch, *Problem) {
	q, fault := filter.Parse(raw)
	if fault != nil {
		return nil, queryProblem(fault)
	}
	if p := watchable(r, q); p != nil {
		return nil, p
	}
	b := &builder{relation: r, live: true}
	st := &statement{from: " FROM " + r.SQL() + " AS t"}
	if err := b.selection(st, q.Select); err != nil {
		return nil, err
	}
	if st.aggregated {
		return nil, notLive("a stream has no aggregates", "make a materialized view of them", filter.Place{Parameter: "select"})
	}
	w := &watch{id: fmt.Sprintf("%d?%s", r.OID, raw), view: r.Live.View, relation: r, rows: st}
	for _, k := range r.Key {
		i := slices.IndexFunc(st.outputs, func(o output) bool { return o.sql == b.column(k) })
		if i < 0 {
			return nil, notLive(fmt.Sprintf("select leaves out %q, which is of the key", k), "select the key's columns, "+strings.Join(r.Key, ", ")+": they tell which row is changed", filter.Place{Parameter: "select"})
		}
		w.names = append(w.names, st.outputs[i].name)
	}
	var err *Problem
	if st.where, err = b.where(q); err != nil {
		return nil, err
	}
	b.alias = "k"
	if w.ofKey, err = b.where(&filter.Query{Where: keyConditions(r, q.Where)}); err != nil {
		return nil, err
	}
	st.args, st.places = b.args, b.places
	return w, nil
}

func notLive(message, hint string, place filter.Place) *Problem {
	return problem(http.StatusUnprocessableEntity, codeNotLive, "%s", message).hint("%s", hint).at(place)
}

// watchable tells whether a stream can answer a query.
func watchable(r *catalog.Relation, q *filter.Query) *Problem {
	if r.Live == nil {
		hint := "poll it with If-None-Match"
		if r.Views != nil {
			hint += ", or watch what it reads: " + strings.Join(r.Views, ", ")
		}
		return notLive(r.Name+" is no materialized view of the pipeline, so no commit tells its changes", hint, filter.Place{})
	}
	for _, not := range []struct {
		asked     bool
		parameter string
	}{{q.Order != nil, "order"}, {q.Limit != nil, "limit"}, {q.Offset > 0, "offset"}, {q.Cursor != "", "cursor"}} {
		if not.asked {
			return notLive("a stream has no "+not.parameter, "narrow it by filters; select and filters are all that it takes", filter.Place{Parameter: not.parameter})
		}
	}
	return nil
}

// keyConditions gives the conditions that are about columns of the key alone.
func keyConditions(r *catalog.Relation, all []filter.Node) []filter.Node {
	var own func(n filter.Node) bool
	own = func(n filter.Node) bool {
		if l, ok := n.(*filter.Logic); ok {
			return !slices.ContainsFunc(l.Nodes, func(n filter.Node) bool { return !own(n) })
		}
		return slices.Contains(r.Key, n.(*filter.Condition).Column.Text)
	}
	var out []filter.Node
	for _, n := range all {
		if own(n) {
			out = append(out, n)
		}
	}
	return out
}

// statement gives of each key in the last parameter the
// row as JSON, null if the stream does not have it, and the key.
func (w *watch) statement(nulls uint64) string {
	var columns, join, names []string
	for i, k := range w.relation.Key {
		q := catalog.Quote(k)
		columns = append(columns, q+" "+w.relation.Column(k).Type)
		names = append(names, "k."+q+" AS "+catalog.Quote(w.names[i]))
		if nulls&(1<<i) != 0 {
			join = append(join, "t."+q+" IS NULL")
		} else {
			join = append(join, "t."+q+" = k."+q)
		}
	}
	where := " WHERE " + strings.Join(join, " AND ")
	from, key := fmt.Sprintf("json_to_recordset($%d::json) AS k(%s)", len(w.rows.args)+1, strings.Join(columns, ", ")), "row_to_json(d.*)::text"
	if columns == nil { // a view of one group
		from, key, where = "(SELECT) AS k", "'{}'", " WHERE true"
	}
	if w.rows.where != "" {
		where += " AND " + strings.TrimPrefix(w.rows.where, " WHERE ")
	}
	return fmt.Sprintf("SELECT (SELECT row_to_json(r.*)::text%s CROSS JOIN LATERAL (SELECT %s) AS r%s), %s FROM %s CROSS JOIN LATERAL (SELECT %s) AS d%s",
		w.rows.from, w.rows.list(), where, key, from, strings.Join(names, ", "), w.ofKey)
}

// changes are what commits have done to a stream.
type changes struct {
	events []byte
	lost   bool // more than can be told, so clients begin anew
}

// read gives the changes of keys as a snapshot shows them.
func (w *watch) read(ctx context.Context, n *snapshot, keys *keySet) (out changes, err error) {
	if keys == nil || keys.lost {
		return changes{lost: keys != nil}, nil
	}
	for nulls, set := range keys.patterns {
		args := slices.Clone(w.rows.args)
		if w.relation.Key != nil {
			args = append(args, keyTexts(set))
		}
		err = n.each(ctx, w.statement(nulls), args, func(values [][]byte) error {
			switch {
			case len(out.events) > logBytes:
				out.lost = true
			case values[0] == nil:
				out.events = appendEvent(out.events, "delete", values[1])
			default:
				out.events = appendEvent(out.events, "upsert", values[0])
			}
			return nil
		})
		if err != nil {
			return changes{}, err
		}
	}
	return out, nil
}

// appendEvent appends an event without id.
func appendEvent(dst []byte, name string, data []byte) []byte {
	dst = append(append(dst, "event: "...), name...)
	return append(appendData(append(dst, '\n'), data), '\n')
}

// appendData appends data, line by line: a value of type json may hold line
// ends as it was written.
func appendData(dst, data []byte) []byte {
	for len(data) > 0 {
		end := bytes.IndexAny(data, "\r\n")
		if end < 0 {
			end = len(data)
		}
		dst = append(append(append(dst, "data: "...), data[:end]...), '\n')
		data = data[min(end+1, len(data)):]
	}
	return dst
}
