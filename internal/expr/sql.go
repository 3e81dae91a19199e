package expr

import (
	"fmt"
	"strings"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
)

// SQL gives the expression as PostgreSQL text: bound again, it gives an equal
// tree. Casts that PostgreSQL puts in are written out.
func SQL(e Expr) string {
	var p printer
	p.expr(e)
	return p.String()
}

type printer struct{ strings.Builder }

// operand writes e so that it holds together beside an operator.
func (p *printer) operand(e Expr) {
	if isAtom(e) {
		p.expr(e)
		return
	}
	p.WriteByte('(')
	p.expr(e)
	p.WriteByte(')')
}

func isAtom(e Expr) bool {
	switch e := e.(type) {
	case *Column, *Coalesce, *Aggregate:
		return true
	case *Const:
		// A negative number would lose its sign to a cast.
		return e.Value.Null[0] || !e.T.Kind.IsInteger() || e.Value.Int[0] >= 0
	case *Call:
		return e.Function.class == scalarClass || e.Function.class == internalClass || e.Function.class == castClass || e.Function.class == arrayClass || e.Function.class == subscriptClass
	}
	return false
}

func (p *printer) expr(e Expr) {
	switch e := e.(type) {
	case *Column:
		p.WriteString(quoteIdentifier(e.Name))
	case *Const:
		p.constant(e)
	case *Call:
		p.call(e)
	case *Logic:
		p.list(e.Args, map[LogicOp]string{And: " AND ", Or: " OR "}[e.Op], p.operand)
	case *Coalesce:
		p.WriteString("COALESCE(")
		p.list(e.Args, ", ", p.expr)
		p.WriteByte(')')
	case *Case:
		p.WriteString("CASE")
		for _, w := range e.Whens {
			p.WriteString(" WHEN ")
			p.expr(w.Condition)
			p.WriteString(" THEN ")
			p.expr(w.Result)
		}
		p.WriteString(" ELSE ")
		p.expr(e.Else)
		p.WriteString(" END")
	case *Aggregate:
		p.aggregate(e)
	}
}

func (p *printer) list(args []Expr, between string, one func(Expr)) {
	for i, a := range args {
		if i > 0 {
			p.WriteString(between)
		}
		one(a)
	}
}

func (p *printer) aggregate(e *Aggregate) {
	p.WriteString(e.Kind.String() + "(")
	if e.Distinct {
		p.WriteString("DISTINCT ")
	}
	within := orderedForms[e.Kind.String()].within
	switch {
	case within:
		if e.Kind != Mode {
			fmt.Fprintf(p, "%g", e.Fraction)
		}
		p.WriteString(") WITHIN GROUP (")
		p.order([]Expr{e.Arg}, []SortOrder{{Desc: e.Desc, NullsFirst: e.Desc}})
	case e.Arg == nil:
		p.WriteByte('*')
	default:
		p.list(e.items(), ", ", p.expr)
		if e.Kind == StringAgg {
			p.WriteString(", " + quoteLiteral(e.Separator))
		}
		if e.Kind == ApproxPercentile {
			fmt.Fprintf(p, ", %g", e.Fraction)
		}
		if len(e.More) > 0 {
			p.WriteByte(' ')
			p.order(e.More, e.Order)
		}
	}
	p.WriteByte(')')
	if e.Filter != nil {
		p.WriteString(" FILTER (WHERE ")
		p.expr(e.Filter)
		p.WriteByte(')')
	}
}

// items are an aggregate's arguments as they are written: what makes JSON of
// them is left out.
func (e *Aggregate) items() []Expr {
	if c, ok := e.Arg.(*Call); ok && (e.Kind == JSONBAgg || e.Kind == JSONBObjectAgg) {
		return c.Args
	}
	return []Expr{e.Arg}
}

func (p *printer) order(exprs []Expr, order []SortOrder) {
	p.WriteString("ORDER BY ")
	for i, e := range exprs {
		if i > 0 {
			p.WriteString(", ")
		}
		p.expr(e)
		if order[i].Desc {
			p.WriteString(" DESC")
		}
		switch {
		case order[i].NullsFirst && !order[i].Desc:
			p.WriteString(" NULLS FIRST")
		case !order[i].NullsFirst && order[i].Desc:
			p.WriteString(" NULLS LAST")
		}
	}
}

func (p *printer) constant(e *Const) {
	v := e.Value
	switch {
	case v.Null[0]:
		p.WriteString("NULL")
		if e.T.Kind != column.Unknown {
			p.WriteString("::" + e.T.String())
		}
	case e.T.Kind == column.Bool && v.Int[0] != 0:
		p.WriteString("true")
	case e.T.Kind == column.Bool:
		p.WriteString("false")
	case e.T.Kind == column.Int4:
		fmt.Fprintf(p, "%d", v.Int[0])
	case e.T.Kind == column.Unknown:
		p.WriteString(quoteLiteral(string(v.Bytes(0))))
	default:
		p.WriteString(quoteLiteral(string(datum.Append(nil, v, 0))) + "::" + e.T.String())
	}
}

// spelled are operators that read better in words.
var spelled = map[string]string{"~~": "LIKE", "!~~": "NOT LIKE", "~~*": "ILIKE", "!~~*": "NOT ILIKE"}

func (p *printer) call(e *Call) {
	f := e.Function
	switch {
	case f.class == castClass:
		p.operand(e.Args[0])
		p.WriteString("::" + e.T.String())
	case f.class == elementsClass:
		p.operand(e.Args[0])
		p.WriteString(" " + f.Name + " (")
		p.expr(e.Args[1])
		p.WriteByte(')')
	case f.class == arrayClass:
		p.WriteString("ARRAY[")
		p.list(e.Args, ", ", p.expr)
		p.WriteString("]::" + e.T.String())
	case f.class == subscriptClass:
		p.WriteByte('(')
		p.expr(e.Args[0])
		p.WriteString(")[")
		p.list(e.Args[1:], ":", p.expr)
		p.WriteByte(']')
	case f.class == listClass:
		p.operand(e.Args[0])
		p.WriteString(" " + f.Name + " (ARRAY[")
		p.list(e.Args[1:], ", ", p.expr)
		p.WriteString("])")
	case f.class == suffixClass:
		p.operand(e.Args[0])
		p.WriteString(" " + f.Name)
	case f.class == operatorClass && len(e.Args) == 1:
		p.WriteString(f.Name + " ")
		p.operand(e.Args[0])
	case f.class == operatorClass:
		name := f.Name
		if s, ok := spelled[name]; ok {
			name = s
		}
		p.operand(e.Args[0])
		p.WriteString(" " + name + " ")
		p.operand(e.Args[1])
	default:
		name := f.Name
		if ownGrammar[name] {
			name = "pg_catalog." + name
		}
		p.WriteString(name + "(")
		p.list(e.Args, ", ", p.expr)
		p.WriteByte(')')
	}
}

// ownGrammar are the functions whose bare name is not called with arguments
// in parentheses.
var ownGrammar = map[string]bool{"extract": true, "position": true, "overlay": true}

func quoteLiteral(s string) string {
	quoted := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.Contains(s, `\`) {
		return "E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}

// quoteIdentifier quotes all but plain lower-case names.
func quoteIdentifier(s string) string {
	plain := s != ""
	for i, c := range s {
		if !(c >= 'a' && c <= 'z' || c == '_' || i > 0 && c >= '0' && c <= '9') {
			plain = false
		}
	}
	if plain && !reserved[s] {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

// reserved are PostgreSQL's keywords that need quotes as a name: all but the
// unreserved ones.
var reserved = func() map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(`all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case
		cast char character check coalesce collate collation column concurrently constraint create cross current_catalog
		current_date current_role current_schema current_time current_timestamp current_user dec decimal default
		deferrable desc distinct do else end except exists extract false fetch float for foreign freeze from full grant
		greatest group grouping having ilike in initially inner inout int integer intersect interval into is isnull join
		lateral leading least left like limit localtime localtimestamp national natural nchar none normalize not notnull
		null nullif numeric offset on only or order out outer overlaps overlay placing position precision primary real
		references returning right row select session_user setof similar smallint some substring symmetric table
		tablesample then time timestamp to trailing treat trim true union unique user using values varchar variadic
		verbose when where window with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse
		xmlpi xmlroot xmlserialize xmltable`) {
		out[w] = true
	}
	return out
}()
