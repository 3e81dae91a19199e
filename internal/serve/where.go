package serve

import (
	"net/http"
	"strings"

	"github.com/millstream-dev/millstream/internal/serve/filter"
)

// where is the WHERE clause of a query.
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

// operators of PostgreSQL, for those of the grammar that have one.
var operators = map[filter.Op]string{
	filter.Eq: "=", filter.Neq: "<>", filter.Gt: ">", filter.Gte: ">=", filter.Lt: "<", filter.Lte: "<=",
	filter.IsDistinct: "IS DISTINCT FROM",
	filter.Like:       "LIKE", filter.ILike: "ILIKE", filter.Match: "~", filter.IMatch: "~*",
	filter.Cs: "@>", filter.Cd: "<@", filter.Ov: "&&",
	filter.Sl: "<<", filter.Sr: ">>", filter.Nxr: "&<", filter.Nxl: "&>", filter.Adj: "-|-",
}

func (b *builder) condition(c *filter.Condition) (string, *Problem) {
	left, err := b.resolve(c.Column, true)
	if err != nil {
		return "", err
	}
	if err := fits(left, c); err != nil {
		return "", err
	}
	var sql string
	switch c.Op {
	case filter.IsOp:
		sql = left.sql + " IS " + tests[c.Is]
	case filter.In:
		sql = b.in(left, c)
	default:
		sql = left.sql + " " + operators[c.Op] + " " + b.operand(left, c)
	}
	if c.Not {
		return "(NOT (" + sql + "))", nil
	}
	return "(" + sql + ")", nil
}

// operand is the value that a column is compared with, or the array of them.
func (b *builder) operand(left expr, c *filter.Condition) string {
	value, cast := c.Values[0], left.cast
	switch c.Op {
	case filter.Like, filter.ILike:
		value, cast = strings.ReplaceAll(value, "*", "%"), "text"
	case filter.Match, filter.IMatch:
		cast = "text"
	}
	if c.Quantifier == filter.One {
		return b.bind(value, cast, c.Place)
	}
	return strings.ToUpper(string(c.Quantifier)) + " (" + b.bind(value, cast+"[]", c.Place) + ")"
}

// tests are those of is.
var tests = map[filter.Is]string{
	filter.IsNull: "NULL", filter.IsNotNull: "NOT NULL", filter.IsTrue: "TRUE", filter.IsFalse: "FALSE", filter.IsUnknown: "UNKNOWN",
}

// fits tells whether the operator goes with the column's type, before
// PostgreSQL would say so without a place.
func fits(left expr, c *filter.Condition) *Problem {
	wrong := func(want, hint string) *Problem {
		return problem(http.StatusBadRequest, codeOperator, "%s is for %s, and %q is %s", c.Op, want, left.name, left.display).at(c.Place).hint("%s", hint)
	}
	switch c.Op {
	case filter.Like, filter.ILike, filter.Match, filter.IMatch:
		if left.category != "S" {
			hint := "compare with eq, gt, lt, …"
			if left.cast == "jsonb" {
				hint = "take the value as text, with ->>"
			}
			return wrong("text", hint)
		}
	case filter.Cs, filter.Cd:
		if left.cast != "jsonb" && !strings.Contains("ARGI", left.category) {
			return wrong("arrays, ranges and jsonb", "compare with eq, or with in.(…)")
		}
	case filter.Ov:
		if !strings.Contains("ARGI", left.category) {
			return wrong("arrays and ranges", "compare with eq, or with in.(…)")
		}
	case filter.Sl, filter.Sr, filter.Nxr, filter.Nxl, filter.Adj:
		if !strings.Contains("RGI", left.category) {
			return wrong("ranges", "compare with lt or gt")
		}
	case filter.IsOp:
		if c.Is != filter.IsNull && c.Is != filter.IsNotNull && left.cast != "boolean" {
			return problem(http.StatusBadRequest, codeOperator, "is.%s is for booleans, and %q is %s", c.Is, left.name, left.display).at(c.Place).hint("use is.null or is.not_null")
		}
	}
	if c.Quantifier != filter.One && left.category == "A" {
		return problem(http.StatusBadRequest, codeOperator, "%s compares with each element of a list, and %q is an array itself", c.Quantifier, left.name).at(c.Place).hint("use or=(…) or and=(…)")
	}
	return nil
}

// in of an empty list is false for every row, nulls included, as = ANY('{}')
// is.
func (b *builder) in(left expr, c *filter.Condition) string {
	if len(c.Values) == 0 {
		return "false"
	}
	list := make([]string, len(c.Values))
	for i, v := range c.Values {
		list[i] = b.bind(v, left.cast, c.Place)
	}
	return left.sql + " IN (" + strings.Join(list, ", ") + ")"
}
