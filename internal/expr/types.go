package expr

import (
	"fmt"
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/diag"
)

// Limits of type modifiers, PostgreSQL's own.
const (
	maxNumericPrecision = 1000
	maxNumericScale     = 1000
	maxVarcharLength    = 10485760
	timestampPrecision  = 6 // digits of a second that timestamps hold
)

// typeNames are the types by catalogue name; the parser has translated SQL's
// own names (integer, double precision) to these.
var typeNames = func() map[string]column.Kind {
	out := map[string]column.Kind{}
	for _, k := range column.Values() {
		out[catalogueName(k)] = k
	}
	return out
}()

// refusedTypes are types of PostgreSQL's that aren't supported, and what to
// take instead.
var refusedTypes = map[string]string{
	"json": "jsonb", "bpchar": "text or varchar(n)", "char": "text", "name": "text",
	"timetz": "timestamptz", "money": "numeric",
	"serial": "integer", "bigserial": "bigint", "oid": "bigint", "xml": "text", "macaddr": "text", "bit": "text", "varbit": "text", "citext": "text",
	"point": "two columns of double precision", "tsvector": "text", "hstore": "jsonb",
}

// ResolveType gives the type that a type name of the parse tree means. The
// error is a *diag.Diagnostic without position.
func ResolveType(n *pg_query.TypeName) (column.Type, error) {
	names := nameParts(n.Names)
	name := names[len(names)-1]
	if len(names) > 2 || len(names) == 2 && names[0] != "pg_catalog" {
		return column.Type{}, problem(codeUnknownType, fmt.Sprintf("type \"%s\" does not exist", strings.Join(names, ".")), "write the type without a schema")
	}
	switch {
	case n.Setof || n.PctType:
		return column.Type{}, problem(codeUnsupportedType, "SETOF and %TYPE are not types of a value", "")
	}
	kind, ok := typeNames[name]
	if !ok {
		return column.Type{}, unknownType(name)
	}
	t, err := withTypeModifiers(kind, n.Typmods)
	if err == nil && len(n.ArrayBounds) > 0 {
		t.Kind = column.ArrayOf(t.Kind)
	}
	return t, err
}

func unknownType(name string) *diag.Diagnostic {
	if instead, ok := refusedTypes[name]; ok {
		return problem(codeUnsupportedType, fmt.Sprintf("type %s is not supported", name), "take "+instead)
	}
	d := problem(codeUnknownType, fmt.Sprintf("type \"%s\" does not exist", name), "")
	d.Detail = codes[codeUnknownType]
	var names []string
	for n, k := range typeNames {
		names = append(names, n, k.Name())
	}
	slices.Sort(names)
	if best := diag.Closest(name, names); best != "" {
		d.Hint = "did you mean " + best + "?"
	}
	return d
}

func withTypeModifiers(kind column.Kind, nodes []*pg_query.Node) (column.Type, error) {
	t := column.Of(kind)
	if len(nodes) == 0 {
		return t, nil
	}
	mods := make([]int32, len(nodes))
	for i, n := range nodes {
		c, ok := n.GetAConst().GetVal().(*pg_query.A_Const_Ival)
		if !ok {
			return t, problem(codeBadModifier, fmt.Sprintf("the modifier of type %s must be an integer", kind.Name()), "")
		}
		mods[i] = c.Ival.GetIval()
	}
	bad := func(format string, args ...any) (column.Type, error) {
		return t, problem(codeBadModifier, fmt.Sprintf(format, args...), "")
	}
	switch {
	case kind == column.Varchar && len(mods) == 1:
		t.Length = mods[0]
		if t.Length < 1 || t.Length > maxVarcharLength {
			return bad("length for type varchar must be between 1 and %d", maxVarcharLength)
		}
	case kind == column.Numeric && len(mods) <= 2:
		t.Precision = mods[0]
		if len(mods) == 2 {
			t.Scale = mods[1]
		}
		if t.Precision < 1 || t.Precision > maxNumericPrecision {
			return bad("NUMERIC precision %d must be between 1 and %d", t.Precision, maxNumericPrecision)
		}
		if t.Scale < -maxNumericScale || t.Scale > maxNumericScale {
			return bad("NUMERIC scale %d must be between -%d and %d", t.Scale, maxNumericScale, maxNumericScale)
		}
	case (kind == column.Timestamp || kind == column.Timestamptz || kind == column.Time) && len(mods) == 1 && mods[0] == timestampPrecision:
	case kind == column.Timestamp || kind == column.Timestamptz || kind == column.Time:
		return t, problem(codeUnsupportedType, fmt.Sprintf("%s(%d) is not supported", catalogueName(kind), mods[0]),
			"timestamps hold microseconds; cut them with date_trunc('second', x)")
	case kind == column.Interval:
		return t, problem(codeUnsupportedType, "an interval with fields or a precision is not supported here", "write INTERVAL '5 minutes'")
	default:
		return bad("type modifier is not allowed for type \"%s\"", kind.Name())
	}
	return t, nil
}

// nameParts gives the parts of a qualified name.
func nameParts(nodes []*pg_query.Node) []string {
	out := make([]string, len(nodes))
	for i, n := range nodes {
		out[i] = n.GetString_().GetSval()
	}
	return out
}
