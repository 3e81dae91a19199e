package oracle

import (
	"fmt"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// A view's query is run nearly as it is written. What changes: topics become
// temporary views over the decoded records, one for each time that a topic is
// read (so that a record can be late in one branch of a UNION ALL and not in
// another); tumble becomes a subselect with date_bin; CTEs are written where
// they are used; and each row carries columns that tell its record and
// window (the hidden columns) up to the grouping.

// hidden are the columns that every row carries below the grouping.
var hidden = []string{"ms__s", "ms__p", "ms__o", "ms__rn", "ms__et", "ms__ws", "ms__we", "ms__v"}

// rewritten is a view's query over the decoded records.
type rewritten struct {
	top     *pg.SelectStmt
	carries bool                      // the top's rows end in the hidden columns: nothing is grouped
	core    *grouper                  // the grouping, nil if nothing is grouped
	sources []*topic                  // of the branches
	tumbles map[*pg.SelectStmt]string // the subselects that stand for tumble and hop, and the windows' size
	hops    bool                      // a record may be in several windows
	gap     string                    // of sessions, "" for other windows
	ttl     bool                      // they are those of a view with a ttl: of each key the last one counts
}

// grouper is the query level that aggregates.
type grouper struct {
	query  *pg.SelectStmt // within top
	keys   []*pg.Node     // the GROUP BY expressions, names and numbers resolved
	aggs   []*pg.Node     // the different aggregate calls
	bucket *pg.Node       // the key that is date_bin or date_trunc, nil if none
	call   *pg.FuncCall   // its call
	// approximate are the output columns over approx_count_distinct.
	approximate []string
}

type rewriter struct {
	def *definition
	// input makes the temporary view for a branch and gives its name.
	input func(source int, t *topic) (string, error)
	// look gives a table that is joined, by its name as it is written.
	look func(name string) (*lookup, error)
	// describe gives the column names of a query.
	describe func(sql string) ([]string, error)
	sources  []*topic
	core     *grouper
	tumbles  map[*pg.SelectStmt]string
	hops     bool
	gap      string
	// taken is a condition that a record is in the results of one of its
	// windows: on ms__s, ms__rn and the window's start.
	taken func(start string) string
	// bound is the "start" or "end" of a record's session, or what it is of the
	// record alone.
	bound func(which, alone string) string
}

// scope are the CTEs that a query level sees.
type scope map[string]*pg.CommonTableExpr

func (r *rewriter) run(query *pg.SelectStmt) (*rewritten, error) {
	r.tumbles = map[*pg.SelectStmt]string{}
	top, carries, err := r.query(clone(query), scope{})
	if err != nil {
		return nil, err
	}
	if r.gap != "" && r.core != nil {
		r.core.bucket, r.core.call = nil, nil // a key as any other
	}
	return &rewritten{top: top, carries: carries, core: r.core, sources: r.sources, tumbles: r.tumbles, hops: r.hops, gap: r.gap}, nil
}

func (r *rewriter) query(s *pg.SelectStmt, outer scope) (*pg.SelectStmt, bool, error) {
	sc := outer
	if s.WithClause != nil {
		sc = scope{}
		for k, v := range outer {
			sc[k] = v
		}
		for _, n := range s.WithClause.Ctes {
			sc[n.GetCommonTableExpr().Ctename] = n.GetCommonTableExpr()
		}
		s.WithClause = nil
	}
	if s.Op != pg.SetOperation_SETOP_NONE {
		left, carries, err := r.query(s.Larg, sc)
		if err != nil {
			return nil, false, err
		}
		right, _, err := r.query(s.Rarg, sc)
		s.Larg, s.Rarg = left, right
		return s, carries, err
	}
	if len(s.FromClause) != 1 {
		return nil, false, fmt.Errorf("the oracle knows queries over one input, not %d", len(s.FromClause))
	}
	in, err := r.from(s.FromClause[0], sc)
	if err != nil {
		return nil, false, err
	}
	s.FromClause[0] = in.node
	fixCollations(s.WhereClause)
	fixCollations(s.HavingClause)
	for _, n := range slices.Concat(s.TargetList, s.GroupClause) {
		fixCollations(n)
	}
	s.TargetList = expandStars(s.TargetList, in)
	if len(s.DistinctClause) > 0 && !grouped(s) { // its records are grouped by all that is selected
		for i := range s.TargetList {
			s.GroupClause = append(s.GroupClause, &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Val: &pg.A_Const_Ival{Ival: &pg.Integer{Ival: int32(i + 1)}}}}})
		}
	}
	if grouped(s) {
		if r.core != nil {
			return nil, false, fmt.Errorf("the oracle knows one grouping in a query, not two")
		}
		r.core = newGrouper(s, in)
		return s, false, r.core.place()
	}
	if in.carries {
		for _, h := range hidden {
			s.TargetList = append(s.TargetList, target("", columnRef(h)))
		}
	}
	return s, in.carries, nil
}

// input is what a query level reads.
type input struct {
	node    *pg.Node
	columns []string // that a star stands for
	carries bool
	parts   map[string][]string // of a join: what a star stands for that is qualified
}

func (r *rewriter) from(n *pg.Node, sc scope) (*input, error) {
	switch {
	case n.GetRangeVar() != nil:
		v := n.GetRangeVar()
		return r.relation(v.Relname, v.Alias, sc)
	case n.GetRangeSubselect() != nil:
		sub := n.GetRangeSubselect()
		return r.subselect(sub.Subquery.GetSelectStmt(), sub.Alias, sc)
	case n.GetRangeFunction() != nil:
		return r.tumble(n.GetRangeFunction(), sc)
	case n.GetJoinExpr() != nil:
		return r.join(n.GetJoinExpr(), sc)
	}
	return nil, fmt.Errorf("the oracle knows topics, subqueries, tumble, hop and joins with tables in FROM")
}

func (r *rewriter) relation(name string, alias *pg.Alias, sc scope) (*input, error) {
	if alias == nil {
		alias = &pg.Alias{Aliasname: name}
	}
	if cte := sc[name]; cte != nil {
		alias = clone(alias)
		if len(alias.Colnames) == 0 {
			alias.Colnames = cte.Aliascolnames
		}
		inner := scope{}
		for k, v := range sc {
			if k != name { // not recursive
				inner[k] = v
			}
		}
		return r.subselect(clone(cte.Ctequery.GetSelectStmt()), alias, inner)
	}
	t := r.def.topic(name)
	if t == nil {
		return nil, fmt.Errorf("no foreign table %q", name)
	}
	rel, err := r.input(len(r.sources), t)
	if err != nil {
		return nil, err
	}
	r.sources = append(r.sources, t)
	node := &pg.Node{Node: &pg.Node_RangeVar{RangeVar: &pg.RangeVar{Relname: rel, Inh: true, Relpersistence: "p", Alias: alias}}}
	return &input{node: node, columns: renamed(t.names(), alias), carries: true}, nil
}

func (r *rewriter) subselect(s *pg.SelectStmt, alias *pg.Alias, sc scope) (*input, error) {
	q, carries, err := r.query(s, sc)
	if err != nil {
		return nil, err
	}
	text, err := selectSQL(q)
	if err != nil {
		return nil, err
	}
	names, err := r.describe(text)
	if err != nil {
		return nil, err
	}
	if carries {
		names = names[:len(names)-len(hidden)]
	}
	if alias == nil {
		alias = &pg.Alias{Aliasname: "ms__sub"}
	}
	return &input{node: subselectNode(q, alias), columns: renamed(names, alias), carries: carries}, nil
}

func subselectNode(q *pg.SelectStmt, alias *pg.Alias) *pg.Node {
	return &pg.Node{Node: &pg.Node_RangeSubselect{RangeSubselect: &pg.RangeSubselect{Subquery: selectNode(q), Alias: alias}}}
}

// tumble turns tumble(t, time, size), hop(t, time, slide, size) and
// session(t, time, gap) into a subselect that adds window_start and window_end,
// and sets the hidden window. Of hop it has a row for each window that a record
// is in; of session the hidden window is that of the record alone.
func (r *rewriter) tumble(f *pg.RangeFunction, sc scope) (*input, error) {
	var call *pg.FuncCall
	name := ""
	if len(f.Functions) == 1 && len(f.Functions[0].GetList().GetItems()) > 0 {
		call = f.Functions[0].GetList().Items[0].GetFuncCall()
		name = funcName(f.Functions[0].GetList().Items[0])
	}
	if !((name == "tumble" || name == "session") && len(call.Args) == 3 || name == "hop" && len(call.Args) == 4) {
		return nil, fmt.Errorf("the oracle knows tumble(input, time, size), hop(input, time, slide, size) and session(input, time, gap) as functions in FROM")
	}
	in, err := r.relation(refName(call.Args[0]), nil, sc)
	if err != nil {
		return nil, err
	}
	at, err := exprSQL(call.Args[1])
	if err != nil {
		return nil, err
	}
	size, err := exprSQL(call.Args[len(call.Args)-1])
	if err != nil {
		return nil, err
	}
	start, rest := fmt.Sprintf("date_bin(%s, %s, '1970-01-01')", size, at), ""
	if name == "hop" {
		slide, err := exprSQL(call.Args[2])
		if err != nil {
			return nil, err
		}
		start = "ms__window"
		rest = fmt.Sprintf(" CROSS JOIN LATERAL generate_series(date_bin(%[1]s, %[2]s - (%[3]s)::interval, '1970-01-01') + (%[1]s)::interval, date_bin(%[1]s, %[2]s, '1970-01-01'), %[1]s) AS ms__w (ms__window) WHERE %[4]s",
			slide, at, size, r.taken("ms__window"))
		r.hops = true
	}
	shownStart, shownEnd := start, start+" + "+size
	if name == "session" {
		r.gap, start = size, at
		shownStart, shownEnd = r.bound("start", at), r.bound("end", at+" + "+size)
	}
	q, err := parseSelect(fmt.Sprintf("SELECT %s AS window_start, %s AS window_end, ms__s, ms__p, ms__o, ms__rn, ms__et, (%[3]s)::timestamptz AS ms__ws, (%[3]s + %[4]s)::timestamptz AS ms__we, ms__v FROM x%[5]s", shownStart, shownEnd, start, size, rest))
	if err != nil {
		return nil, err
	}
	var targets []*pg.Node
	for _, c := range in.columns {
		targets = append(targets, target("", columnRef(c)))
	}
	own := q.TargetList
	targets = append(targets, own[0], own[1])
	if in.node.GetRangeVar() != nil { // a topic: its metadata can be selected
		for _, c := range metaColumns {
			targets = append(targets, target("", columnRef(c)))
		}
	}
	q.TargetList = append(targets, own[2:]...)
	if join := q.FromClause[0].GetJoinExpr(); join != nil {
		join.Larg = in.node
	} else {
		q.FromClause[0] = in.node
	}
	r.tumbles[q] = size
	alias := f.Alias
	if alias == nil {
		alias = &pg.Alias{Aliasname: name}
	}
	columns := append(slices.Clone(in.columns), "window_start", "window_end")
	return &input{node: subselectNode(q, alias), columns: renamed(columns, alias), carries: in.carries}, nil
}

// renamed applies an alias's column names.
func renamed(names []string, alias *pg.Alias) []string {
	out := slices.Clone(names)
	for i, n := range alias.GetColnames() {
		if i < len(out) {
			out[i] = n.GetString_().GetSval()
		}
	}
	return out
}

func expandStars(targets []*pg.Node, in *input) []*pg.Node {
	var out []*pg.Node
	for _, t := range targets {
		if !isStar(t.GetResTarget().Val) {
			out = append(out, t)
			continue
		}
		fields := t.GetResTarget().Val.GetColumnRef().Fields
		if len(fields) > 1 && in.parts != nil {
			alias := fields[len(fields)-2].GetString_().GetSval()
			for _, c := range in.parts[alias] {
				out = append(out, target("", columnRef(alias, c)))
			}
			continue
		}
		for _, c := range in.columns {
			out = append(out, target("", columnRef(c)))
		}
	}
	return out
}

// newGrouper resolves what is grouped by: a number is an output column; a
// name is an input column if there is one, otherwise an output column.
func newGrouper(s *pg.SelectStmt, in *input) *grouper {
	g := &grouper{query: s}
	for i, k := range s.GroupClause {
		k = clone(resolveKey(k, s.TargetList, in.columns))
		g.keys = append(g.keys, k)
		s.GroupClause[i] = k
		if call := bucketCall(k, streamOf(s.FromClause[0])); call != nil {
			g.bucket, g.call = k, call
		}
	}
	for _, n := range append(slices.Clone(s.TargetList), s.HavingClause) {
		visit(n, nil, func(n *pg.Node) {
			if isAggregate(n) && !slices.ContainsFunc(g.aggs, func(a *pg.Node) bool { return equal(a, n) }) {
				g.aggs = append(g.aggs, clone(n))
			}
		})
	}
	return g
}

func resolveKey(k *pg.Node, targets []*pg.Node, inputs []string) *pg.Node {
	if i := k.GetAConst().GetIval(); i != nil && int(i.Ival) >= 1 && int(i.Ival) <= len(targets) {
		return targets[i.Ival-1].GetResTarget().Val
	}
	name := refName(k)
	if name == "" || len(k.GetColumnRef().Fields) > 1 || slices.Contains(inputs, name) || slices.Contains(metaColumns, name) {
		return k
	}
	for _, t := range targets {
		if t.GetResTarget().Name == name {
			return t.GetResTarget().Val
		}
	}
	return k
}

// bucketCall finds the date_bin or date_trunc that a key is, looking through
// the subqueries that it comes from.
func bucketCall(k *pg.Node, from *pg.Node) *pg.FuncCall {
	switch funcName(k) {
	case "date_bin", "date_trunc":
		return k.GetFuncCall()
	}
	name := refName(k)
	sub := from.GetRangeSubselect().GetSubquery().GetSelectStmt()
	for sub != nil && sub.Op != pg.SetOperation_SETOP_NONE {
		sub = sub.Larg
	}
	if name == "" || sub == nil {
		return nil
	}
	for i, n := range from.GetRangeSubselect().GetAlias().GetColnames() {
		if n.GetString_().GetSval() == name && i < len(sub.TargetList) {
			return bucketCall(sub.TargetList[i].GetResTarget().Val, streamOf(sub.FromClause[0]))
		}
	}
	for _, t := range sub.TargetList {
		rt := t.GetResTarget()
		if rt.Name == name || rt.Name == "" && refName(rt.Val) == name {
			if refName(rt.Val) == "window_start" {
				return nil // tumble's
			}
			return bucketCall(rt.Val, streamOf(sub.FromClause[0]))
		}
	}
	return nil
}
