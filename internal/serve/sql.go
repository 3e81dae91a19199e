package serve

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/serve/catalog"
	"github.com/millstream-dev/millstream/internal/serve/filter"
)

// finalColumn tells of each row of a windowed view whether its window is
// closed for good. It is not part of *.
const finalColumn = "_final"

// page is the part of the rows that is asked for.
type page struct {
	limit  *int64 // nil: all
	offset int64
}

// output is a column of an answer.
type output struct {
	sql     string
	name    string
	boolean bool
	grouped bool // no aggregate
}

// statement is the SQL of one request with its bind parameters, all sent as
// text.
type statement struct {
	outputs    []output
	from       string // FROM … AS t
	where      string // WHERE …, or ""
	after      string // of the cursor: a further condition, or ""
	order      string // ORDER BY …, or ""
	aggregated bool
	page       page
	// keys are the terms of the order, if they settle it: what a cursor is
	// made from.
	keys   []orderTerm
	paged  bool // a row more than the limit is read, and each row's keys
	args   [][]byte
	places []filter.Place // of each arg
}

// columns gives the names of the answer's columns.
func (st *statement) columns() []string {
	names := make([]string, len(st.outputs))
	for i, o := range st.outputs {
		names[i] = o.name
	}
	return names
}

func (st *statement) list() string {
	parts := make([]string, len(st.outputs))
	for i, o := range st.outputs {
		parts[i] = o.sql + " AS " + catalog.Quote(o.name)
	}
	return strings.Join(parts, ", ")
}

// group is the GROUP BY clause: all columns that are no aggregates.
func (st *statement) group() string {
	if !st.aggregated {
		return ""
	}
	var by []string
	for i, o := range st.outputs {
		if o.grouped {
			by = append(by, strconv.Itoa(i+1))
		}
	}
	if by == nil {
		return ""
	}
	return " GROUP BY " + strings.Join(by, ", ")
}

// conditions is the WHERE clause of a page.
func (st *statement) conditions() string {
	switch {
	case st.after == "":
		return st.where
	case st.where == "":
		return " WHERE " + st.after
	}
	return st.where + " AND " + st.after
}

// rows is the statement that gives the rows, whose select list is made over
// r, the row.
func (st *statement) rows(list string) string {
	tail := st.order
	if st.page.limit != nil {
		n := *st.page.limit
		if st.paged {
			n++
		}
		tail += " LIMIT " + strconv.FormatInt(n, 10)
	}
	if st.page.offset > 0 {
		tail += " OFFSET " + strconv.FormatInt(st.page.offset, 10)
	}
	if !st.paged {
		return "SELECT " + list + " FROM (SELECT " + st.list() + st.from + st.conditions() + st.group() + tail + ") AS r"
	}
	for _, k := range st.keys {
		list += ", (" + k.sql + ")::text"
	}
	return "SELECT " + list + st.from + " CROSS JOIN LATERAL (SELECT " + st.list() + ") AS r" + st.conditions() + tail
}

// last is the statement that gives the keys of a full page's last row, and a
// further row if the page is not the last.
func (st *statement) last() string {
	keys := make([]string, len(st.keys))
	for i, k := range st.keys {
		keys[i] = "(" + k.sql + ")::text"
	}
	return fmt.Sprintf("SELECT %s%s%s%s LIMIT 2 OFFSET %d", strings.Join(keys, ", "), st.from, st.conditions(), st.order, st.page.offset+*st.page.limit-1)
}

// all is the statement of which the page is a part, for counting.
func (st *statement) all() string {
	return "SELECT " + st.list() + st.from + st.where + st.group()
}

// builder makes the statement of one request: identifiers and types from the
// catalogue, values as parameters.
type builder struct {
	relation *catalog.Relation
	position position
	args     [][]byte
	places   []filter.Place
	bound    map[[2]string]string
	alias    string // of the row; "" for t
	live     bool   // finality has no place in a stream of changes
}

func (b *builder) column(name string) string {
	if b.alias != "" {
		return b.alias + "." + catalog.Quote(name)
	}
	return "t." + catalog.Quote(name)
}

// build gives the statement that answers q.
func build(r *catalog.Relation, q *filter.Query, at position, p page) (*statement, *Problem) {
	b := &builder{relation: r, position: at}
	st := &statement{from: " FROM " + r.SQL() + " AS t", page: p}
	var err *Problem
	if err = b.selection(st, q.Select); err != nil {
		return nil, err
	}
	if st.where, err = b.where(q); err != nil {
		return nil, err
	}
	terms, settled, err := b.terms(st, q)
	if err != nil {
		return nil, err
	}
	st.order = orderBy(terms)
	if settled && !st.aggregated {
		st.keys = terms
	}
	if q.Cursor != "" {
		if st.after, err = b.after(st, q.Cursor); err != nil {
			return nil, err
		}
	}
	st.args, st.places = b.args, b.places
	return st, nil
}

// bind adds a parameter and gives it as a value of a type of the catalogue.
// Equal values of one type are one parameter, so that equal expressions are
// equal to PostgreSQL, too.
func (b *builder) bind(value, cast string, place filter.Place) string {
	key := [2]string{value, cast}
	if sql, ok := b.bound[key]; ok {
		return sql
	}
	b.args = append(b.args, []byte(value))
	b.places = append(b.places, place)
	if b.bound == nil {
		b.bound = map[[2]string]string{}
	}
	sql := fmt.Sprintf("$%d::%s", len(b.args), cast)
	b.bound[key] = sql
	return sql
}

// expr is a column or what stands in it at a path.
type expr struct {
	sql      string
	name     string // what the answer calls it
	cast     string // the type that values are cast to
	category string // pg_type.typcategory of cast
	display  string // the type for messages
	notNull  bool
	key      string // the column's name, if it is one
}

// resolve finds a column and follows the path. For comparison, JSON is taken
// as jsonb, which has an equality and an order.
func (b *builder) resolve(n filter.Name, compare bool) (expr, *Problem) {
	c := b.relation.Column(n.Text)
	if c == nil && n.Text == finalColumn && n.Path == nil {
		sql, err := b.final(n.Place)
		return expr{sql: sql, name: finalColumn, cast: "boolean", category: "B", display: "boolean", notNull: true}, err
	}
	if c == nil {
		p := problem(http.StatusBadRequest, codeColumn, "%s has no column %q", b.relation.Name, n.Text).at(n.Place)
		names := b.relation.Names()
		if close := diag.Closest(n.Text, names); close != "" {
			return expr{}, p.hint("did you mean %q?", close)
		}
		return expr{}, p.hint("its columns are %s", strings.Join(names, ", "))
	}
	e := expr{sql: b.column(c.Name), name: c.Name, cast: c.Cast, category: c.Category, display: c.Type, notNull: c.NotNull, key: c.Name}
	if n.Path == nil {
		return e, nil
	}
	return b.follow(e, n, compare), nil
}

// follow takes the steps of a path into e.
func (b *builder) follow(e expr, n filter.Name, compare bool) expr {
	switch {
	case e.cast == "json" && compare:
		e.sql, e.cast = e.sql+"::jsonb", "jsonb"
	case e.cast != "json" && e.cast != "jsonb":
		e.sql, e.cast = "to_jsonb("+e.sql+")", "jsonb"
	}
	e.category, e.display, e.notNull, e.key, e.name = "U", e.cast, false, "", n.Last()
	for _, s := range n.Path {
		op, kind := " -> ", "text"
		if s.Text {
			op, e.cast, e.category, e.display = " ->> ", "text", "S", "text"
		}
		if s.Index {
			kind = "integer"
		}
		e.sql += op + "(" + b.bind(s.Key, kind, n.Place) + ")"
	}
	e.sql = "(" + e.sql + ")"
	return e
}

// final is the condition under which a row is final.
func (b *builder) final(place filter.Place) (string, *Problem) {
	l := b.relation.Live
	if l == nil || !l.Windowed() {
		return "", problem(http.StatusBadRequest, codeFinal, "%s is no windowed view, so its rows are not told final", b.relation.Name).
			hint("final and %s are for materialized views with a window", finalColumn).at(place)
	}
	if b.live {
		return "", problem(http.StatusUnprocessableEntity, codeNotLive, "rows become final without being changed, so a stream does not tell").at(place).
			hint("leave final and %s out, and compare the window's end with the watermarks of commit events", finalColumn)
	}
	switch at := b.position; {
	case l.Emit == "final":
		return "'t'::boolean", nil
	case at.finalBefore == "" || at.finalStart == "":
		return "'f'::boolean", nil // no commit yet
	case l.WindowEnd != "":
		c := b.relation.Column(l.WindowEnd)
		return "(t." + catalog.Quote(l.WindowEnd) + " <= " + b.bind(at.finalBefore, c.Cast, place) + ")", nil
	default:
		// Windows leave no gap, so those that end at or before an instant are
		// those that start before the window that holds it.
		c := b.relation.Column(l.WindowStart)
		return "(t." + catalog.Quote(l.WindowStart) + " < " + b.bind(at.finalStart, c.Cast, place) + ")", nil
	}
}

// selection makes the columns of the answer.
func (b *builder) selection(st *statement, items []filter.Item) *Problem {
	if len(items) == 0 {
		items = []filter.Item{{Star: true}}
	}
	for _, item := range items {
		st.aggregated = st.aggregated || item.Aggregate != ""
		if !item.Star {
			if err := b.item(st, item); err != nil {
				return err
			}
			continue
		}
		for i := range b.relation.Columns {
			c := &b.relation.Columns[i]
			o := output{sql: b.column(c.Name), name: c.Name, boolean: c.Cast == "boolean", grouped: true}
			if err := st.add(o, filter.Place{Parameter: "select"}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *builder) item(st *statement, item filter.Item) *Problem {
	o := output{grouped: true}
	if item.Column.Text == "" { // count()
		o = output{sql: "count(*)", name: string(filter.Count)}
	} else {
		e, err := b.resolve(item.Column, false)
		if err != nil {
			return err
		}
		if item.Cast != "" {
			e.sql, e.cast = "("+e.sql+")::"+item.Cast, item.Cast
		}
		o.sql, o.name, o.boolean = e.sql, e.name, e.cast == "boolean"
		if item.Aggregate != "" {
			o = output{sql: string(item.Aggregate) + "(" + e.sql + ")", name: string(item.Aggregate)}
		}
	}
	if item.Result != "" {
		o.sql, o.boolean = o.sql+"::"+item.Result, item.Result == "boolean"
	}
	if item.Alias != "" {
		o.name = item.Alias
	}
	return st.add(o, item.Column.Place)
}

func (st *statement) add(o output, place filter.Place) *Problem {
	switch {
	case slices.ContainsFunc(st.outputs, func(other output) bool { return other.name == o.name }):
		return problem(http.StatusBadRequest, codeQuery, "select gives %q twice", o.name).at(place).hint("give one an alias: other:%s", o.name)
	case len(o.name) > filter.MaxNameBytes || o.name == "":
		return problem(http.StatusBadRequest, codeTooMuch, "a column's name has 1 to %d bytes, and a key of the path is none", filter.MaxNameBytes).at(place).hint("give it an alias: name:column->key")
	case len(st.outputs) == maxColumns:
		return problem(http.StatusBadRequest, codeTooMuch, "an answer has at most %d columns", maxColumns).at(place)
	}
	st.outputs = append(st.outputs, o)
	return nil
}
