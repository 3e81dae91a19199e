package expr

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/decimal"
)

// literal gives a constant: an integer the smallest type that holds it, other
// numbers numeric, texts no type until they meet one.
func (b *binding) literal(n *pg_query.A_Const) (Expr, error) {
	if n.Isnull {
		return nullConst(column.Of(column.Unknown)), nil
	}
	switch v := n.Val.(type) {
	case *pg_query.A_Const_Ival:
		return integerConst(column.Int4, int64(v.Ival.GetIval())), nil
	case *pg_query.A_Const_Boolval:
		return boolConst(v.Boolval.GetBoolval()), nil
	case *pg_query.A_Const_Sval:
		c := &Const{T: column.Of(column.Unknown), Value: column.NewVector(column.Of(column.Unknown), 1)}
		c.Value.SetString(0, v.Sval.GetSval())
		return b.note(c, n.Location), nil
	case *pg_query.A_Const_Fval:
		e, err := numberConst(v.Fval.GetFval())
		return e, b.at(n.Location, err)
	}
	return nil, b.at(n.Location, problem(codeUnsupported, "bit strings are not supported", ""))
}

func integerConst(kind column.Kind, value int64) *Const {
	v := column.NewVector(column.Of(kind), 1)
	v.Int[0] = value
	return &Const{T: v.Type, Value: v}
}

// numberConst reads a number that the parser left as text.
func numberConst(text string) (Expr, error) {
	base := 10
	if strings.ContainsAny(text, "xXoObB_") {
		base = 0
	}
	if i, err := strconv.ParseInt(text, base, 64); err == nil {
		if i >= math.MinInt32 && i <= math.MaxInt32 {
			return integerConst(column.Int4, i), nil
		}
		return integerConst(column.Int8, i), nil
	}
	d, err := decimal.Parse([]byte(strings.ReplaceAll(text, "_", "")))
	if err != nil {
		return nil, rowProblem(codeBadLiteral, err)
	}
	v := column.NewVector(column.Of(column.Numeric), 1)
	v.SetBytes(0, d.Encode(nil))
	return &Const{T: v.Type, Value: v}, nil
}

// typeCast is x::type, CAST(x AS type) and TYPE 'literal'.
func (b *binding) typeCast(n *pg_query.TypeCast) (Expr, error) {
	offset := n.Location
	if offset < 0 {
		offset = n.TypeName.GetLocation()
	}
	if text, fields := intervalFields(n); fields != "" {
		e, err := intervalWithField(text, fields)
		return e, b.at(offset, err)
	}
	t, err := ResolveType(n.TypeName)
	if err != nil {
		return nil, b.at(n.TypeName.GetLocation(), err)
	}
	if array := n.Arg.GetAArrayExpr(); array != nil && t.Kind.IsArray() {
		element := t.Elem()
		return b.arrayExpr(array, &element)
	}
	arg, err := b.bind(n.Arg)
	if err != nil {
		return nil, err
	}
	if c, ok := arg.(*Const); ok && c.T.Kind == column.Unknown {
		offset = nodeOffset(n.Arg)
	}
	e, err := coerceTo(arg, t, explicitCast)
	if err != nil {
		return nil, b.at(offset, err)
	}
	if e != arg {
		b.note(e, offset)
	}
	return e, nil
}

// The masks that the parser writes for INTERVAL '…' FIELD, and the units that
// stand for them.
var intervalMasks = map[int32]string{
	1 << 1: "month", 1 << 2: "year", 1 << 3: "day", 1 << 10: "hour", 1 << 11: "minute", 1 << 12: "second",
}

// intervalFields recognises INTERVAL '5' MINUTE: the literal and the field.
func intervalFields(n *pg_query.TypeCast) (text, field string) {
	names := nameParts(n.TypeName.GetNames())
	literal, ok := n.Arg.GetAConst().GetVal().(*pg_query.A_Const_Sval)
	mods := n.TypeName.GetTypmods()
	if !ok || names[len(names)-1] != "interval" || len(mods) != 1 {
		return "", ""
	}
	mask, ok := mods[0].GetAConst().GetVal().(*pg_query.A_Const_Ival)
	if !ok {
		return "", ""
	}
	return literal.Sval.GetSval(), intervalMasks[mask.Ival.GetIval()]
}

func intervalWithField(text, field string) (Expr, error) {
	if _, err := strconv.Atoi(strings.TrimSpace(text)); err != nil {
		return nil, problem(codeInterval, fmt.Sprintf("INTERVAL '%s' %s is supported with whole numbers only", text, strings.ToUpper(field)),
			"write the unit inside the quotes: INTERVAL '1 hour 30 minutes'")
	}
	c, err := inputConstant([]byte(text+" "+field), column.Of(column.Interval))
	if err != nil {
		return nil, rowProblem(codeBadLiteral, err)
	}
	return c, nil
}
