package filter

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// text writes a query as one line, for comparison.
func text(q *Query) string {
	var parts []string
	for _, n := range q.Where {
		parts = append(parts, nodeText(n))
	}
	for _, i := range q.Select {
		s := fieldText(i.Column)
		if i.Star {
			s = "*"
		}
		if i.Cast != "" {
			s += "::" + i.Cast
		}
		if i.Aggregate != "" {
			s += "." + string(i.Aggregate) + "()"
		}
		if i.Result != "" {
			s += "::" + i.Result
		}
		if i.Alias != "" {
			s += " as " + i.Alias
		}
		parts = append(parts, "select "+s)
	}
	for _, t := range q.Order {
		parts = append(parts, fmt.Sprintf("order %s desc=%v nulls=%d", fieldText(t.Column), t.Desc, t.Nulls))
	}
	if q.Limit != nil {
		parts = append(parts, fmt.Sprintf("limit %d", *q.Limit))
	}
	if q.Offset != 0 {
		parts = append(parts, fmt.Sprintf("offset %d", q.Offset))
	}
	if q.Cursor != "" {
		parts = append(parts, "cursor "+q.Cursor)
	}
	if q.Final != AllRows {
		parts = append(parts, fmt.Sprintf("final %d", q.Final))
	}
	return strings.Join(parts, "; ")
}

func fieldText(n Name) string {
	s := n.Text
	for _, step := range n.Path {
		s += map[bool]string{false: "->", true: "->>"}[step.Text]
		if step.Index {
			s += step.Key
		} else {
			s += fmt.Sprintf("%q", step.Key)
		}
	}
	return s
}

func nodeText(n Node) string {
	switch n := n.(type) {
	case *Logic:
		word := map[bool]string{false: "and", true: "or"}[n.Or]
		if n.Not {
			word = "not " + word
		}
		var inner []string
		for _, c := range n.Nodes {
			inner = append(inner, nodeText(c))
		}
		return word + "(" + strings.Join(inner, ", ") + ")"
	case *Condition:
		op := string(n.Op)
		if n.Quantifier != One {
			op += " " + string(n.Quantifier)
		}
		if n.Not {
			op = "not " + op
		}
		if n.Op == IsOp {
			return fmt.Sprintf("%s %s %s", fieldText(n.Column), op, n.Is)
		}
		return fmt.Sprintf("%s %s %q", fieldText(n.Column), op, n.Values)
	}
	return "?"
}

func TestParse(t *testing.T) {
	tests := []struct{ query, want string }{
		{"", ""},
		{"&&", ""},
		{"type=eq.type_A", `type eq ["type_A"]`},
		{"a=gte.10&a=lt.20", `a gte ["10"]; a lt ["20"]`},
		{"a=eq.", `a eq [""]`},
		{"a=eq.x.y,z)", `a eq ["x.y,z)"]`},
		{`a=eq."x"`, `a eq ["\"x\""]`}, // at the top level quotes are the value's own
		{"a=not.eq.1", `a not eq ["1"]`},
		{"a=isdistinct.1", `a isdistinct ["1"]`},
		{"a=like.*x%25*", `a like ["*x%*"]`},
		{"a=is.null&b=is.NOT_NULL&c=not.is.true", `a is null; b is not_null; c not is true`},
		{"a=in.(1,2,3)", `a in ["1" "2" "3"]`},
		{`a=in.("a,b","c\"d",e f)`, `a in ["a,b" "c\"d" "e f"]`},
		{`a=in.("a"b,c)`, `a in ["\"a\"b" "c"]`}, // not closed by a comma: taken as it stands
		{"a=in.()", `a in []`},
		{"a=in.(,)", `a in ["" ""]`},
		{"a=not.in.(x)", `a not in ["x"]`},
		{"na+me=eq.a+b", `na me eq ["a b"]`},
		{"a.b=eq.1", `a.b eq ["1"]`},
		{"%22a.b%22=eq.1", `a.b eq ["1"]`},
		{"or=(a.eq.1,b.gt.2)", `or(a eq ["1"], b gt ["2"])`},
		{"not.or=(a.eq.1)", `not or(a eq ["1"])`},
		{"and=( a.eq.1 , or(b.is.null, not.and(c.in.(1,2),d.not.like.*x)) )", `and(a eq ["1 "], or(b is null, not and(c in ["1" "2"], d not like ["*x"])))`},
		{`and=(limit.eq.10,"or".eq.a,and.eq.b)`, `and(limit eq ["10"], or eq ["a"], and eq ["b"])`},
		{`or=(a.eq."x,y)",b.eq.{1,2},c.eq.{1)`, `or(a eq ["x,y)"], b eq ["{1,2}"], c eq ["{1"])`},
		{"select=*", "select *"},
		{"select=*,_final", "select *; select _final"},
		{"select=a,b:c,d::text,e:f::int8,g::double+precision", `select a; select c as b; select d::text; select f::bigint as e; select g::double precision`},
		{`select="a,b","x:y":"c.d"`, `select a,b; select c.d as x:y`},
		{"select= a , b ", "select a; select b"},
		{"a=match.^x(y|z)&b=not.imatch.x$", `a match ["^x(y|z)"]; b not imatch ["x$"]`},
		{"a=cs.{x,y}&b=cd.{1}&c=ov.[1,3)&d=adj.(1,10)&e=sl.(1,2)&f=sr.(1,2)&g=nxr.(1,2)&h=nxl.(1,2)",
			`a cs ["{x,y}"]; b cd ["{1}"]; c ov ["[1,3)"]; d adj ["(1,10)"]; e sl ["(1,2)"]; f sr ["(1,2)"]; g nxr ["(1,2)"]; h nxl ["(1,2)"]`},
		{"a=eq(any).{1,2}&b=not.like(all).{*x,y*}", `a eq any ["{1,2}"]; b not like all ["{*x,y*}"]`},
		{`or=(a.gt(all).{1,2},b.ilike(any).{"x,y"})`, `or(a gt all ["{1,2}"], b ilike any ["{\"x,y\"}"])`},
		{"j->a->0->>b=eq.x", `j->"a"->0->>"b" eq ["x"]`},
		{`j->"0"->-1=eq.x`, `j->"0"->-1 eq ["x"]`},
		{`%22j.%22->>a.b=eq.x`, `j.->>"a.b" eq ["x"]`},
		{`or=(j->a.gt.1,j->>"b.c".is.null)`, `or(j->"a" gt ["1"], j->>"b.c" is null)`},
		{"select=j->a,x:j->>b::int,j->0", `select j->"a"; select j->>"b"::integer as x; select j->0`},
		{"select=a.sum(),b,c.avg()::int4,count(),n:count(),j->a::numeric.max()::text,count.count()",
			`select a.sum(); select b; select c.avg()::integer; select .count(); select .count() as n; select j->"a"::numeric.max()::text; select count.count()`},
		{"order=j->>a.desc.nullslast,j->0", `order j->>"a" desc=true nulls=2; order j->0 desc=false nulls=0`},
		{"cursor=abc&limit=1", "limit 1; cursor abc"},
		{"a-b=eq.1&select=a-b", `a-b eq ["1"]; select a-b`},
		{"order=a,b.desc,c.asc.nullsfirst,d.nullslast", "order a desc=false nulls=0; order b desc=true nulls=0; order c desc=false nulls=1; order d desc=false nulls=2"},
		{"limit=10&offset=20&final=true", "limit 10; offset 20; final 1"},
		{"limit=0&final=false", "limit 0; final 2"},
	}
	for _, tt := range tests {
		q, err := Parse(tt.query)
		if err != nil {
			t.Errorf("%s: %v", tt.query, err)
			continue
		}
		if diff := cmp.Diff(tt.want, text(q)); diff != "" {
			t.Errorf("%s: %s", tt.query, diff)
		}
	}
}

func TestErrors(t *testing.T) {
	deep := strings.Repeat("and(", MaxDepth) + "a.eq.1" + strings.Repeat(")", MaxDepth)
	many := strings.TrimSuffix(strings.Repeat("a.eq.1,", MaxConditions+1), ",")
	tests := []struct{ query, want string }{
		{"type=type_A", `type:1 "type_A" has no operator (did you mean type=eq.type_A?)`},
		{"a=", `a:1 "" has no operator (did you mean a=eq.?)`},
		{"a=eg.1", `a:1 unknown operator "eg" (did you mean "eq"?)`},
		{"a=not.eg.1", `a:5 unknown operator "eg" (did you mean "eq"?)`},
		{"a=1.5", `a:1 unknown operator "1" (write column=eq.value; the operators are eq, neq, gt, gte, lt, lte, like, ilike, match, imatch, is, in, isdistinct, cs, cd, ov, sl, sr, nxr, nxl, adj)`},
		{"a=fts(english).x", `a:1 full text search ("fts") is not supported here (use ilike or imatch, or make a view that searches)`},
		{"a=eg(any).{1}", `a:1 unknown operator "eg" (did you mean "eq"?)`},
		{"a=neq(any).{1,2}", `a:4 operator "neq" does not take any (any and all go with eq, gt, gte, lt, lte, like, ilike, match and imatch)`},
		{"a=eq(some).{1,2}", `a:3 unexpected "(some).{1,2}" after an operator (write op.value, op(any).{a,b} or op(all).{a,b})`},
		{"a=eq(any).1", `a:9 any wants a list in braces (write eq(any).{a,b})`},
		{"a=eq(any)", `a:8 operator "eq" has no value (write eq.value)`},
		{"a=eq", `a:3 operator "eq" has no value (write eq.value)`},
		{"a=is.nil", `a:4 is.nil: want null, not_null, true, false or unknown (to compare with a value: eq.nil)`},
		{"a=in.1,2", `a:4 in wants a list in parentheses (write in.(a,b,c))`},
		{"a=in.(1,2", `a:4 the list's parenthesis is not closed ()`},
		{"a=in.(1)x", `a:7 unexpected "x" ()`},
		{"or=a.eq.1", `or:1 an opening parenthesis is missing (write and=(a.eq.1,b.gt.2))`},
		{"or=()", `or:2 a column's name is missing (put a name with . , : ( or ) into double quotes)`},
		{"or=(a.eq.1", `or:1 a parenthesis is not closed ()`},
		{"or=(a.eq.1))", `or:9 unexpected ")" ()`},
		{"or=(ä.eq.1,b)", `or:10 column "b" has no operator (write b.eq.value)`},
		{"or=(a.eq)", `or:6 operator "eq" has no value (write eq.value)`},
		{`or=("a.eq.1)`, `or:2 a quotation mark is not closed ()`},
		{"and=(" + deep + ")", fmt.Sprintf(`and:%d and and or are nested deeper than 10 ()`, 2+4*MaxDepth-1)},
		{"and=(" + many + ")", fmt.Sprintf(`and:%d more than 100 conditions ()`, 2+7*MaxConditions+2)},
		{"a=in.(" + strings.Repeat(",", MaxValues) + ")", fmt.Sprintf(`a:%d more than 1000 values in lists ()`, 5+MaxValues)},
		{"not=(a.eq.1)", `not:1 not does not stand alone (write not.and=(…), not.or=(…) or column=not.op.value)`},
		{"cursor=", `cursor:1 cursor is empty (take it from the Link header of the page before; the first page has none)`},
		{"cursor=a&cursor=b", `cursor:0 cursor is given twice (give it once, with commas between its items)`},
		{"j->=eq.1", `j->:0 a path ends without a key (write column->key or column->0)`},
		{"->a=eq.1", `->a:0 a path has no column (write column->key=eq.value)`},
		{"j->>a->b=eq.1", `j->>a->b:0 a path goes on after ->>, which gives text (use ->> for the last step only)`},
		{"j" + strings.Repeat("->a", MaxPath+1) + "=eq.1", "j" + strings.Repeat("->a", MaxPath+1) + `:0 a path has more than 16 steps ()`},
		{"select=", `select:1 a column's name is missing (put a name with . , : ( or ) into double quotes)`},
		{"select=a,,b", `select:3 a column's name is missing (put a name with . , : ( or ) into double quotes)`},
		{"select=value.median()", `select:7 unknown aggregate "median" (there are .avg(), .count(), .max(), .min() and .sum(); put a column's name with a dot into double quotes)`},
		{"select=value.avg", `select:7 unknown aggregate "avg" (there are .avg(), .count(), .max(), .min() and .sum(); put a column's name with a dot into double quotes)`},
		{"select=value.avg()x", `select:12 unexpected "x" ()`},
		{"select=a->b:c", `select:1 an alias has no path (write alias:column->key)`},
		{"select=orders(*)", `select:7 other relations can't be embedded in select (make a view that joins them)`},
		{"select=a->>", `select:5 a path ends without a key (write column->key or column->0)`},
		{"select=a::txt", `select:4 select can't cast to "txt" (did you mean "text"?)`},
		{"select=a::regclass", `select:4 select can't cast to "regclass" (the types are bigint, bool, boolean, date, decimal, double precision, float4, float8, int, int2, int4, int8, integer, json, jsonb, numeric, real, smallint, text, timestamp, timestamptz, uuid, varchar)`},
		{"select=" + strings.Repeat("x", 64) + ":a", `select:1 alias "` + strings.Repeat("x", 60) + `…" is longer than 63 bytes ()`},
		{"select=a&select=b", `select:0 select is given twice (give it once, with commas between its items)`},
		{"order=a.up", `order:3 unexpected "up" in order (write order=column.desc.nullslast)`},
		{"order=a.asc.desc", `order:7 unexpected "desc" in order (write order=column.desc.nullslast)`},
		{"order=", `order:1 a column's name is missing (put a name with . , : ( or ) into double quotes)`},
		{"limit=ten", `limit:1 limit is "ten", want a whole number of rows ()`},
		{"limit=-1", `limit:1 limit is "-1", want a whole number of rows ()`},
		{"limit=", `limit:1 limit is empty, want a whole number of rows ()`},
		{"limit=99999999999999999999", `limit:1 limit is 99999999999999999999, at most 10000000 (leave limit out to get all rows)`},
		{"offset=10000001", `offset:1 offset is 10000001, at most 10000000 (go on from the last row with a filter on the key instead)`},
		{"final=yes", `final:1 final is "yes", want true or false ()`},
		{"a=eq.%zz", `a:0 the value is not well percent-encoded ()`},
		{"a=eq.%ff", `a:0 the value is not UTF-8 ()`},
		{"a=eq.%00", `a:0 the value has a NUL character, which PostgreSQL can't hold ()`},
		{"%22a=eq.1", `"a:0 the column's name is not well quoted (write "na.me", with \" for a quotation mark in it)`},
		{"=eq.1", `:0 a parameter has no name (write column=eq.value)`},
		{strings.Repeat("&", MaxParameters), `:0 101 parameters, at most 100 are read ()`},
		{strings.Repeat("x", MaxQueryBytes+1), `:0 the query string has 8193 bytes, at most 8192 are read ()`},
	}
	for _, tt := range tests {
		_, err := Parse(tt.query)
		if err == nil {
			t.Errorf("%.60s: no error, want %s", tt.query, tt.want)
			continue
		}
		got := fmt.Sprintf("%s:%d %s (%s)", err.Place.Parameter, err.Place.Position, err.Message, err.Hint)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%.60s: %s", tt.query, diff)
		}
	}
}

// unparse writes a query as a query string in which everything is quoted.
func unparse(q *Query) string {
	var parts []string
	add := func(name, value string) { parts = append(parts, name+"="+url.QueryEscape(value)) }
	for _, n := range q.Where {
		add("and", "("+unparseNode(n)+")")
	}
	var items, terms []string
	for _, i := range q.Select {
		s := "*"
		if !i.Star {
			s = field(i.Column)
		}
		if i.Aggregate == Count && i.Column.Text == "" {
			s = "count()"
		}
		if i.Alias != "" {
			s = quoted(i.Alias) + ":" + s
		}
		s += castText(i.Cast)
		if i.Aggregate != "" && i.Column.Text != "" {
			s += "." + string(i.Aggregate) + "()"
		}
		s += castText(i.Result)
		items = append(items, s)
	}
	if items != nil {
		add("select", strings.Join(items, ","))
	}
	for _, t := range q.Order {
		s := field(t.Column) + "." + map[bool]string{false: "asc", true: "desc"}[t.Desc]
		s += []string{"", ".nullsfirst", ".nullslast"}[t.Nulls]
		terms = append(terms, s)
	}
	if terms != nil {
		add("order", strings.Join(terms, ","))
	}
	if q.Limit != nil {
		add("limit", fmt.Sprint(*q.Limit))
	}
	if q.Offset != 0 {
		add("offset", fmt.Sprint(q.Offset))
	}
	if q.Cursor != "" {
		add("cursor", q.Cursor)
	}
	if q.Final != AllRows {
		add("final", []string{"", "true", "false"}[q.Final])
	}
	return strings.Join(parts, "&")
}

func castText(kind string) string {
	for alias, t := range Casts {
		if t == kind {
			return "::" + alias
		}
	}
	return ""
}

func field(n Name) string {
	s := quoted(n.Text)
	for _, step := range n.Path {
		s += map[bool]string{false: "->", true: "->>"}[step.Text]
		if step.Index {
			s += step.Key
		} else {
			s += quoted(step.Key)
		}
	}
	return s
}

func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func unparseNode(n Node) string {
	switch n := n.(type) {
	case *Logic:
		var inner []string
		for _, c := range n.Nodes {
			inner = append(inner, unparseNode(c))
		}
		not := map[bool]string{true: "not."}[n.Not]
		return not + map[bool]string{false: "and", true: "or"}[n.Or] + "(" + strings.Join(inner, ",") + ")"
	case *Condition:
		s := field(n.Column) + "." + map[bool]string{true: "not."}[n.Not] + string(n.Op)
		if n.Quantifier != One {
			s += "(" + string(n.Quantifier) + ")"
		}
		s += "."
		switch n.Op {
		case IsOp:
			return s + string(n.Is)
		case In:
			var vs []string
			for _, v := range n.Values {
				vs = append(vs, quoted(v))
			}
			return s + "(" + strings.Join(vs, ",") + ")"
		}
		return s + quoted(n.Values[0])
	}
	return "?"
}

// FuzzParse checks that no input breaks the parser or its limits, and that
// what was read says the same when it is written out, quoted, and read again.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"type=eq.a&order=b.desc&limit=1", "or=(a.eq.1,not.and(b.in.(1,\"2\"),c.is.null))", "select=*,a:b::text", "final=true&offset=3",
		`a=in.("x\"y",z)`, `and=(a.eq."x,y",b.eq.{1,2})`, "a=like(any).{x,*y}", "j->a->>\"b c\"=ov.[1,2)", "select=a.sum(),b::text,n:count()::int&order=j->0.desc", "cursor=x", "%22a%22=not.isdistinct.1", "a=eq.%e4%b8%96", "order=\"a.b\".nullsfirst",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := Parse(raw)
		if err != nil {
			if err.Message == "" || err.Place.Position < 0 {
				t.Fatalf("%q: an error without message or place: %+v", raw, err)
			}
			return
		}
		conditions := 0
		var depth func(n Node) int
		depth = func(n Node) int {
			l, ok := n.(*Logic)
			if !ok {
				conditions++
				return 0
			}
			deepest := 0
			for _, c := range l.Nodes {
				deepest = max(deepest, depth(c))
			}
			return deepest + 1
		}
		for _, n := range q.Where {
			if d := depth(n); d > MaxDepth {
				t.Fatalf("%q: depth %d", raw, d)
			}
		}
		if conditions > MaxConditions || len(q.Select) > MaxSelect || len(q.Order) > MaxOrder {
			t.Fatalf("%q: over the limits", raw)
		}
		again, err := Parse(unparse(q))
		if err != nil {
			// Quoting makes it longer and each bare condition a tree, so only
			// limits may be met.
			if err.Kind == Syntax {
				t.Fatalf("%q as %q: %v", raw, unparse(q), err)
			}
			return
		}
		want := &Query{Where: slices.Clone(q.Where)}
		for i, n := range want.Where {
			want.Where[i] = &Logic{Nodes: []Node{n}}
		}
		want.Select, want.Order, want.Limit, want.Offset, want.Cursor, want.Final = q.Select, q.Order, q.Limit, q.Offset, q.Cursor, q.Final
		if diff := cmp.Diff(text(want), text(again)); diff != "" {
			t.Fatalf("%q as %q: %s", raw, unparse(q), diff)
		}
	})
}
