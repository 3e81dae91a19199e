package expr

import (
	"strings"

	"github.com/millstream-dev/millstream/internal/column"
)

// typeID is a type of PostgreSQL's while an overload is chosen: a
// column.Kind, or foreignBase plus an index into foreignTypes.
type typeID uint16

const foreignBase typeID = 1000

// category and preferred are what PostgreSQL chooses overloads by.
func (t typeID) category() byte {
	if t >= foreignBase {
		return foreignTypes[t-foreignBase].category
	}
	switch k := column.Kind(t); {
	case k.IsArray():
		return 'A'
	case k == column.Bool:
		return 'B'
	case k.IsNumber():
		return 'N'
	case k.IsString():
		return 'S'
	case k.IsTime() || k == column.Time:
		return 'D'
	case k == column.Inet || k == column.Cidr:
		return 'I'
	case k == column.Interval:
		return 'T'
	case k == column.Unknown:
		return 'X'
	}
	return 'U'
}

func (t typeID) preferred() bool {
	if t >= foreignBase {
		return foreignTypes[t-foreignBase].preferred
	}
	switch column.Kind(t) {
	case column.Bool, column.Float8, column.Text, column.Timestamptz, column.Interval, column.Inet:
		return true
	}
	return false
}

func (t typeID) name() string {
	if t >= foreignBase {
		return foreignTypes[t-foreignBase].name
	}
	return column.Kind(t).Name()
}

// candidate is an overload among which one is chosen. function is nil for an
// overload with foreign types.
type candidate struct {
	args     []typeID
	function *Function
}

// candidates are all overloads by name: ours and the foreign ones.
var candidates = map[bool]map[string][]candidate{
	true:  buildCandidates(foreignOperators, true),
	false: buildCandidates(foreignFunctions, false),
}

func buildCandidates(foreign map[string]string, operators bool) map[string][]candidate {
	ids := map[string]typeID{}
	for _, k := range column.Values() {
		ids[catalogueName(k)] = typeID(k)
	}
	for i, f := range foreignTypes {
		ids[f.name] = foreignBase + typeID(i)
	}
	out := map[string][]candidate{}
	for _, f := range functions.list {
		if isWord(f.Name) == operators || f.Variadic {
			continue
		}
		args := make([]typeID, len(f.Args))
		for i, k := range f.Args {
			args[i] = declaredID(k)
		}
		out[f.Name] = append(out[f.Name], candidate{args, f})
	}
	for name, list := range foreign {
		if _, ours := out[name]; !ours {
			continue
		}
		for _, s := range strings.Fields(list) {
			var args []typeID
			for _, a := range strings.Split(s, ",") {
				args = append(args, ids[a])
			}
			out[name] = append(out[name], candidate{args, foreignOverload(name, args)})
		}
	}
	return out
}

// foreignOverload gives the function behind an overload with foreign types,
// if we have one: text || anything.
func foreignOverload(name string, args []typeID) *Function {
	if name != "||" {
		return nil
	}
	text := typeID(column.Text)
	if args[0] == text && args[1].name() == "anynonarray" || args[1] == text && args[0].name() == "anynonarray" {
		return concatAny
	}
	return nil
}

// catalogueName is the type's pg_type.typname.
func catalogueName(k column.Kind) string {
	switch {
	case isPolymorphic(k):
		return kindName(k)
	case k.IsArray():
		return "_" + catalogueName(k.Elem())
	}
	switch k {
	case column.Bool:
		return "bool"
	case column.Int2:
		return "int2"
	case column.Int4:
		return "int4"
	case column.Int8:
		return "int8"
	case column.Float4:
		return "float4"
	case column.Float8:
		return "float8"
	case column.Varchar:
		return "varchar"
	case column.Timestamp:
		return "timestamp"
	case column.Time:
		return "time"
	case column.Timestamptz:
		return "timestamptz"
	}
	return k.Name()
}
