package oracle

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
	pg "github.com/pganalyze/pg_query_go/v6"
)

// printsDifferently are the types with values that are equal and print
// differently: of a group's, the least (source, partition, offset) stands for
// the key, and min and max take the greatest.
func printsDifferently(oid uint32) bool {
	return slices.Contains([]uint32{pgtype.NumericOID, pgtype.Float4OID, pgtype.Float8OID, pgtype.JSONBOID}, oid)
}

// represent makes the query choose the representative of equal values as the
// dialect does, where PostgreSQL alone would take any. types are those of the
// row query's columns: keys, then aggregates' arguments.
func (g *grouper) represent(types []uint32) error {
	var failed error
	replace := func(n *pg.Node, sql string) {
		e, err := parseExpr(sql)
		if err != nil {
			failed = err
			return
		}
		n.Node = e.Node
	}
	enter := func(n *pg.Node) bool {
		if isAggregate(n) {
			name := funcName(n)
			i := slices.IndexFunc(g.aggs, func(a *pg.Node) bool { return equal(a, n) })
			if i < 0 {
				return false
			}
			sql, err := represented(n.GetFuncCall(), name, types[len(g.keys)+i])
			if err != nil {
				failed = err
			} else if sql != "" {
				replace(n, sql)
			}
			return false
		}
		if n.GetResTarget() != nil {
			return true
		}
		if funcName(n) == "array_agg" { // place has put it there
			return false
		}
		for i, k := range g.keys {
			if !equal(k, n) {
				continue
			}
			if printsDifferently(types[i]) {
				text, err := exprSQL(k)
				if err != nil {
					failed = err
				}
				replace(n, fmt.Sprintf("(array_agg(%s ORDER BY ms__s, ms__p, ms__o))[1]", text))
			}
			return false
		}
		return true
	}
	for _, n := range append(slices.Clone(g.query.TargetList), g.query.HavingClause) {
		if rt := n.GetResTarget(); rt != nil && rt.Name == "" {
			rt.Name = refName(rt.Val)
		}
		visit(n, enter, func(*pg.Node) {})
	}
	return failed
}

// represented is an aggregate that chooses among equal values which print
// differently as the dialect does; "" where it need not choose. oid is its
// argument's type.
func represented(a *pg.FuncCall, name string, oid uint32) (string, error) {
	switch {
	case (name == "min" || name == "max") && printsDifferently(oid):
		return extreme(a, name)
	case a.AggDistinct && name != "count" && oid == pgtype.NumericOID:
		return distinct(a, name)
	case a.AggWithinGroup && name != "percentile_cont" && oid == pgtype.NumericOID:
		return mostDigits(a)
	case (name == "string_agg" || name == "jsonb_agg" || name == "jsonb_object_agg") && !a.AggDistinct:
		return inPlaces(a)
	}
	return "", nil
}

// mostDigits is percentile_disc or mode of numerics: of the values that equal
// PostgreSQL's answer the one with the most digits.
func mostDigits(a *pg.FuncCall) (string, error) {
	arg, filter, err := argumentOf(a)
	if err != nil {
		return "", err
	}
	value, err := exprSQL(&pg.Node{Node: &pg.Node_FuncCall{FuncCall: clone(a)}})
	return fmt.Sprintf("(SELECT ms__w FROM unnest(array_agg(%s)%s) AS ms__u (ms__w) WHERE ms__w = %s ORDER BY scale(ms__w) DESC LIMIT 1)", arg, filter, value), err
}

// inPlaces is a list whose rows come by event time, source, partition and
// offset where their ORDER BY does not tell.
func inPlaces(a *pg.FuncCall) (string, error) {
	a = clone(a)
	for _, name := range []string{"ms__et", "ms__s", "ms__p", "ms__o"} {
		a.AggOrder = append(a.AggOrder, &pg.Node{Node: &pg.Node_SortBy{SortBy: &pg.SortBy{Node: columnRef(name),
			SortbyDir: pg.SortByDir_SORTBY_DEFAULT, SortbyNulls: pg.SortByNulls_SORTBY_NULLS_DEFAULT}}})
	}
	return exprSQL(&pg.Node{Node: &pg.Node_FuncCall{FuncCall: a}})
}

// distinct is an aggregate over the different values of a numeric: of equal
// ones it is the one with the most digits.
func distinct(a *pg.FuncCall, name string) (string, error) {
	arg, filter, err := argumentOf(a)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(`(SELECT %s(ms__d) FROM (SELECT DISTINCT ON (ms__d) ms__d FROM unnest(array_agg(%s)%s) AS ms__u (ms__d) ORDER BY ms__d, scale(ms__d) DESC) AS ms__v)`,
		name, arg, filter), nil
}

// argumentOf is the text of an aggregate's argument, and of its FILTER, if it
// has one.
func argumentOf(a *pg.FuncCall) (arg, filter string, err error) {
	if arg, err = exprSQL(argument(a)); err != nil || a.AggFilter == nil {
		return arg, "", err
	}
	filter, err = exprSQL(a.AggFilter)
	return arg, " FILTER (WHERE " + filter + ")", err
}

// extreme is min or max that takes the greatest (source, partition, offset)
// of equal values.
func extreme(a *pg.FuncCall, name string) (string, error) {
	arg, err := exprSQL(a.Args[0])
	if err != nil {
		return "", err
	}
	condition := "(" + arg + ") IS NOT NULL"
	if a.AggFilter != nil {
		filter, err := exprSQL(a.AggFilter)
		if err != nil {
			return "", err
		}
		condition = "CASE WHEN " + filter + " THEN " + condition + " END"
	}
	direction := "ASC"
	if name == "max" {
		direction = "DESC"
	}
	return fmt.Sprintf("(array_agg(%s ORDER BY %[1]s %s, ms__s DESC, ms__p DESC, ms__o DESC) FILTER (WHERE %s))[1]", arg, direction, condition), nil
}

// place writes the aggregates that PostgreSQL has not as those that they stand
// for: approx_count_distinct as the exact number, which is compared with a
// tolerance.
func (g *grouper) place() error {
	var failed error
	stands := map[string]func(*pg.FuncCall, string) (*pg.Node, error){
		"first_value": placed, "last_value": placed, "approx_count_distinct": counted, "approx_percentile": bucketed,
	}
	for i, n := range append(slices.Clone(g.query.TargetList), g.query.HavingClause) {
		if rt := n.GetResTarget(); rt != nil && rt.Name == "" {
			rt.Name = funcName(rt.Val)
		}
		visit(n, nil, func(n *pg.Node) {
			name := funcName(n)
			stand := stands[name]
			if stand == nil {
				return
			}
			if name == "approx_count_distinct" && i < len(g.query.TargetList) {
				g.approximate = append(g.approximate, g.query.TargetList[i].GetResTarget().Name)
			}
			e, err := stand(n.GetFuncCall(), name)
			if err != nil {
				failed = err
				return
			}
			n.Node = e.Node
		})
	}
	return failed
}

// counted is approx_count_distinct.
func counted(a *pg.FuncCall, _ string) (*pg.Node, error) {
	arg, filter, err := argumentOf(a)
	if err != nil {
		return nil, err
	}
	return parseExpr("count(DISTINCT " + arg + ")" + filter)
}

// bucketed is approx_percentile: the greatest of the values in the bucket of
// the exact one.
func bucketed(a *pg.FuncCall, _ string) (*pg.Node, error) {
	arg, filter, err := argumentOf(a)
	if err != nil {
		return nil, err
	}
	fraction, err := exprSQL(a.Args[1])
	if err != nil {
		return nil, err
	}
	return parseExpr(fmt.Sprintf(`(SELECT max(ms__w) FROM unnest(array_agg(%s)%s) AS ms__u (ms__w)
		WHERE pg_temp.ms__bucket(ms__w) = pg_temp.ms__bucket(percentile_disc(%[3]s) WITHIN GROUP (ORDER BY %[1]s)%[2]s))`, arg, filter, fraction))
}

// bucketFunction tells the sign, the exponent and eight more bits of a number.
const bucketFunction = `
CREATE FUNCTION pg_temp.ms__bucket(x double precision) RETURNS bit(20) LANGUAGE sql IMMUTABLE AS $$
	SELECT ('x' || encode(float8send(CASE WHEN x = 0 THEN 0 WHEN x = 'NaN' THEN 'NaN' ELSE x END), 'hex'))::bit(64)::bit(20) $$;
`

// placed is first_value or last_value: the argument of the row with the least
// or greatest (event time, source, partition, offset).
func placed(a *pg.FuncCall, name string) (*pg.Node, error) {
	arg, err := exprSQL(a.Args[0])
	if err != nil {
		return nil, err
	}
	filter := ""
	if a.AggFilter != nil {
		if filter, err = exprSQL(a.AggFilter); err != nil {
			return nil, err
		}
		filter = " FILTER (WHERE " + filter + ")"
	}
	order := "ms__et, ms__s, ms__p, ms__o"
	if name == "last_value" {
		order = strings.ReplaceAll(order, ",", " DESC,") + " DESC"
	}
	return parseExpr(fmt.Sprintf("(array_agg(%s ORDER BY %s)%s)[1]", arg, order, filter))
}

// ownQuery is the view's query as a batch, its columns named w1, w2, … in the
// order of the view's table. names are the row query's describing names of an
// ungrouped query's outputs.
func (q *rewritten) ownQuery(v *view, names []string) (string, error) {
	text, err := selectSQL(q.top)
	if err != nil {
		return "", err
	}
	if !q.carries {
		return text, nil
	}
	n := outputs(q.top)
	columns := make([]string, n)
	for i := range columns {
		columns[i] = fmt.Sprintf("c%d", i+1)
	}
	list := strings.Join(columns, ", ")
	from := fmt.Sprintf("(%s) AS ms__q (%s, %s)", text, list, strings.Join(hidden, ", "))
	if len(v.key) == 0 {
		return fmt.Sprintf("SELECT ms__s, ms__p, ms__o, %s FROM %s", list, from), nil
	}
	var key []string
	for _, k := range v.key {
		i := slices.Index(names, k)
		if i < 0 {
			return "", fmt.Errorf("view %s: the key %q is no column of it", v.name, k)
		}
		key = append(key, columns[i])
	}
	keys := strings.Join(key, ", ")
	return fmt.Sprintf("SELECT DISTINCT ON (%s) %s, ms__et, ms__s, ms__p, ms__o FROM %s ORDER BY %s, ms__et DESC, ms__s DESC, ms__p DESC, ms__o DESC",
		keys, list, from, keys), nil
}
