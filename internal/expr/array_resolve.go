package expr

import (
	"github.com/millstream-dev/millstream/internal/column"
)

// Kinds that stand in the function table for what PostgreSQL calls polymorphic
// types: one line declares a function for arrays of everything.
const (
	// anyArray is an array, anyElement a value of its elements' type.
	anyArray column.Kind = 0x70 + iota
	anyElement
	// anyCompatibleArray and anyCompatible likewise, where all are cast to a
	// common type.
	anyCompatibleArray
	anyCompatible
)

var polymorphicNames = map[column.Kind]string{
	anyArray: "anyarray", anyElement: "anyelement", anyCompatibleArray: "anycompatiblearray", anyCompatible: "anycompatible",
}

func isPolymorphic(k column.Kind) bool { return polymorphicNames[k] != "" }

// kindName is the name of a kind of the function table.
func kindName(k column.Kind) string {
	if name := polymorphicNames[k]; name != "" {
		return name
	}
	return k.Name()
}

// declaredID is the type that an overload of ours declares.
func declaredID(k column.Kind) typeID {
	name, ok := polymorphicNames[k]
	if !ok {
		return typeID(k)
	}
	for i, f := range foreignTypes {
		if f.name == name {
			return foreignBase + typeID(i)
		}
	}
	panic("expr: no type " + name)
}

// polymorphic tells the kind of a declared type, 0 for others.
func (t typeID) polymorphic() column.Kind {
	if t < foreignBase {
		return 0
	}
	name := foreignTypes[t-foreignBase].name
	for k, n := range polymorphicNames {
		if n == name {
			return k
		}
	}
	return 0
}

func (t typeID) isArray() bool { return t < foreignBase && column.Kind(t).IsArray() }

// takes tells whether a declared type of any array, or of any value, takes a
// type.
func (t typeID) takes(from typeID) bool {
	switch foreignTypes[t-foreignBase].name {
	case "anyarray", "anycompatiblearray":
		return from.isArray()
	case "anynonarray":
		return !from.isArray()
	}
	return true
}

// consistent tells whether the arguments for which an overload declares
// polymorphic types agree: arrays and elements of one type, or of types that
// have a common one.
func consistent(args, declared []typeID) bool {
	element := unknownID
	var compatible []typeID
	for i, d := range declared {
		a, kind := args[i], d.polymorphic()
		if a == unknownID || kind == 0 {
			continue
		}
		if kind == anyArray || kind == anyCompatibleArray {
			a = typeID(column.Kind(a).Elem())
		}
		if kind == anyCompatible || kind == anyCompatibleArray {
			compatible = append(compatible, a)
			continue
		}
		if element != unknownID && element != a {
			return false
		}
		element = a
	}
	_, ok := commonOf(compatible)
	return ok
}

// commonOf gives the type that all can be cast to, as commonType does.
func commonOf(ids []typeID) (column.Kind, bool) {
	chosen := unknownID
	for _, next := range ids {
		switch {
		case next == chosen:
		case chosen == unknownID:
			chosen = next
		case next.category() != chosen.category():
			return 0, false
		case !chosen.preferred() && implicitlyCoercible(chosen, next) && !implicitlyCoercible(next, chosen):
			chosen = next
		}
	}
	for _, id := range ids {
		if !implicitlyCoercible(id, chosen) {
			return 0, false
		}
	}
	return column.Kind(chosen), true
}

// settle replaces the polymorphic types of a function by those that its
// arguments have: the kinds that they are cast to, and the result's.
func settle(f *Function, args []Expr) (kinds []column.Kind, result column.Kind) {
	element := column.Unknown
	var compatible []typeID
	for i, d := range f.Args {
		a := args[i].Type().Kind
		if a == column.Unknown || !isPolymorphic(d) {
			continue
		}
		if d == anyArray || d == anyCompatibleArray {
			a = a.Elem()
		}
		element = a
		compatible = append(compatible, typeID(a))
	}
	if k, ok := commonOf(compatible); ok && element != column.Unknown {
		element = k
	}
	if element == column.Unknown {
		for _, d := range f.Args {
			if d == anyArray || d == anyElement {
				return nil, column.Unknown
			}
		}
		element = column.Text
	}
	concrete := func(k column.Kind) column.Kind {
		switch k {
		case anyArray, anyCompatibleArray:
			return column.ArrayOf(element)
		case anyElement, anyCompatible:
			return element
		}
		return k
	}
	kinds = make([]column.Kind, len(f.Args))
	for i, k := range f.Args {
		kinds[i] = concrete(k)
	}
	return kinds, concrete(f.Result)
}
