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

// statement is SQL with its bind parameters, all sent as text.
type statement struct {
	sql     string
	args    [][]byte
	columns []string // of the answer
	boolean []bool   // which of them are boolean
}

// builder makes the statement of one request: identifiers and types from the
// catalogue, values as parameters.
type builder struct {
	relation *catalog.Relation
	position position
	args     [][]byte
}

// build gives the statement that answers q.
func build(r *catalog.Relation, q *filter.Query, at position) (*statement, *Problem) {
	b := &builder{relation: r, position: at}
	list, st, err := b.selection(q.Select)
	if err != nil {
		return nil, err
	}
	where, err := b.where(q)
	if err != nil {
		return nil, err
	}
	order, err := b.order(q)
	if err != nil {
		return nil, err
	}
	st.sql = "SELECT " + list + " FROM " + r.SQL() + " AS t" + where + order
	if q.Limit != nil {
		st.sql += " LIMIT " + strconv.FormatInt(*q.Limit, 10)
	}
	if q.Offset > 0 {
		st.sql += " OFFSET " + strconv.FormatInt(q.Offset, 10)
	}
	st.args = b.args
	return st, nil
}

// bind adds a parameter and gives it as a value of a type of the catalogue.
func (b *builder) bind(value, cast string) string {
	b.args = append(b.args, []byte(value))
	return fmt.Sprintf("$%d::%s", len(b.args), cast)
}

// resolve finds a column: its SQL and what the catalogue says of it.
func (b *builder) resolve(n filter.Name) (string, *catalog.Column, *Problem) {
	if c := b.relation.Column(n.Text); c != nil {
		return "t." + catalog.Quote(c.Name), c, nil
	}
	if n.Text == finalColumn {
		sql, err := b.final(n.Place)
		return sql, &catalog.Column{Name: finalColumn, Type: "boolean", Cast: "boolean", Category: "B"}, err
	}
	p := problem(http.StatusBadRequest, codeColumn, "%s has no column %q", b.relation.Name, n.Text).at(n.Place)
	names := b.relation.Names()
	if close := diag.Closest(n.Text, names); close != "" {
		return "", nil, p.hint("did you mean %q?", close)
	}
	return "", nil, p.hint("its columns are %s", strings.Join(names, ", "))
}

// final is the condition under which a row is final.
func (b *builder) final(place filter.Place) (string, *Problem) {
	l := b.relation.Live
	if l == nil || !l.Windowed() {
		return "", problem(http.StatusBadRequest, codeFinal, "%s is no windowed view, so its rows are not told final", b.relation.Name).
			hint("final and %s are for materialized views with a window", finalColumn).at(place)
	}
	switch at := b.position; {
	case l.Emit == "final":
		return "'t'::boolean", nil
	case at.finalBefore == "" || at.finalStart == "":
		return "'f'::boolean", nil // no commit yet
	case l.WindowEnd != "":
		c := b.relation.Column(l.WindowEnd)
		return "(t." + catalog.Quote(l.WindowEnd) + " <= " + b.bind(at.finalBefore, c.Cast) + ")", nil
	default:
		// Windows leave no gap, so those that end at or before an instant are
		// those that start before the window that holds it.
		c := b.relation.Column(l.WindowStart)
		return "(t." + catalog.Quote(l.WindowStart) + " < " + b.bind(at.finalStart, c.Cast) + ")", nil
	}
}

func (b *builder) selection(items []filter.Item) (string, *statement, *Problem) {
	if len(items) == 0 {
		items = []filter.Item{{Star: true}}
	}
	st := &statement{}
	var list []string
	add := func(sql, name, kind string, place filter.Place) *Problem {
		if slices.Contains(st.columns, name) {
			return problem(http.StatusBadRequest, codeQuery, "select gives %q twice", name).at(place).hint("give one an alias: other:%s", name)
		}
		list = append(list, sql+" AS "+catalog.Quote(name))
		st.columns = append(st.columns, name)
		st.boolean = append(st.boolean, kind == "boolean")
		return nil
	}
	for _, item := range items {
		if item.Star {
			for _, c := range b.relation.Columns {
				if err := add("t."+catalog.Quote(c.Name), c.Name, c.Cast, filter.Place{Parameter: "select"}); err != nil {
					return "", nil, err
				}
			}
			continue
		}
		sql, c, err := b.resolve(item.Column)
		if err != nil {
			return "", nil, err
		}
		kind, name := c.Cast, c.Name
		if item.Cast != "" {
			sql, kind = sql+"::"+item.Cast, item.Cast
		}
		if item.Alias != "" {
			name = item.Alias
		}
		if err := add(sql, name, kind, item.Column.Place); err != nil {
			return "", nil, err
		}
	}
	return strings.Join(list, ", "), st, nil
}

func (b *builder) where(q *filter.Query) (string, *Problem) {
	var all []string
	for _, n := range q.Where {
		sql, err := b.node(n)
		if err != nil {
			return "", err
		}
		all = append(all, sql)
	}
	if q.Final != filter.AllRows {
		sql, err := b.final(q.FinalPlace)
		if err != nil {
			return "", err
		}
		if q.Final == filter.OpenOnly {
			sql = "NOT " + sql
		}
		all = append(all, sql)
	}
	if all == nil {
		return "", nil
	}
	return " WHERE " + strings.Join(all, " AND "), nil
}

func (b *builder) node(n filter.Node) (string, *Problem) {
	l, ok := n.(*filter.Logic)
	if !ok {
		return b.condition(n.(*filter.Condition))
	}
	word := " AND "
	if l.Or {
		word = " OR "
	}
	parts := make([]string, len(l.Nodes))
	for i, c := range l.Nodes {
		sql, err := b.node(c)
		if err != nil {
			return "", err
		}
		parts[i] = sql
	}
	sql := "(" + strings.Join(parts, word) + ")"
	if l.Not {
		sql = "(NOT " + sql + ")"
	}
	return sql, nil
}

// comparisons are the operators that compare with one value of the column's
// type.
var comparisons = map[filter.Op]string{
	filter.Eq: "=", filter.Neq: "<>", filter.Gt: ">", filter.Gte: ">=", filter.Lt: "<", filter.Lte: "<=",
	filter.IsDistinct: "IS DISTINCT FROM", filter.Like: "LIKE", filter.ILike: "ILIKE",
}

func (b *builder) condition(c *filter.Condition) (string, *Problem) {
	left, column, err := b.resolve(c.Column)
	if err != nil {
		return "", err
	}
	var sql string
	switch c.Op {
	case filter.IsOp:
		sql, err = b.is(left, column, c)
	case filter.In:
		sql = b.in(left, column, c.Values)
	case filter.Like, filter.ILike:
		if column.Category != "S" {
			return "", problem(http.StatusBadRequest, codeOperator, "%s is for text, and %q is %s", c.Op, column.Name, column.Type).at(c.Place).hint("compare with eq, gt, lt, …")
		}
		sql = left + " " + comparisons[c.Op] + " " + b.bind(strings.ReplaceAll(c.Values[0], "*", "%"), "text")
	default:
		sql = left + " " + comparisons[c.Op] + " " + b.bind(c.Values[0], column.Cast)
	}
	if c.Not {
		return "(NOT (" + sql + "))", err
	}
	return "(" + sql + ")", err
}

func (b *builder) is(left string, column *catalog.Column, c *filter.Condition) (string, *Problem) {
	switch c.Is {
	case filter.IsNull:
		return left + " IS NULL", nil
	case filter.IsNotNull:
		return left + " IS NOT NULL", nil
	}
	if column.Cast != "boolean" {
		return "", problem(http.StatusBadRequest, codeOperator, "is.%s is for booleans, and %q is %s", c.Is, column.Name, column.Type).at(c.Place).hint("use is.null or is.not_null")
	}
	return left + " IS " + strings.ToUpper(string(c.Is)), nil
}

// in of an empty list is false for every row, nulls included, as = ANY('{}')
// is.
func (b *builder) in(left string, column *catalog.Column, values []string) string {
	if len(values) == 0 {
		return "false"
	}
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = b.bind(v, column.Cast)
	}
	return left + " IN (" + strings.Join(list, ", ") + ")"
}

// order gives the order that was asked for, and where only a part of the rows
// is, the key after it: without it two pages could hold the same row.
func (b *builder) order(q *filter.Query) (string, *Problem) {
	var terms []string
	named := map[string]bool{}
	for _, t := range q.Order {
		sql, c, err := b.resolve(t.Column)
		if err != nil {
			return "", err
		}
		named[c.Name] = true
		if t.Desc {
			sql += " DESC"
		}
		switch t.Nulls {
		case filter.NullsFirst:
			sql += " NULLS FIRST"
		case filter.NullsLast:
			sql += " NULLS LAST"
		}
		terms = append(terms, sql)
	}
	if q.Limit != nil || q.Offset > 0 || len(terms) > 0 {
		for _, k := range b.relation.Key {
			if !named[k] {
				terms = append(terms, "t."+catalog.Quote(k))
			}
		}
	}
	if terms == nil {
		return "", nil
	}
	return " ORDER BY " + strings.Join(terms, ", "), nil
}
