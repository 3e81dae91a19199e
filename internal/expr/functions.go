package expr

import (
	"fmt"
	"slices"
	"strings"

	"github.com/millstream-dev/millstream/internal/column"
)

// Function is one line of the function table: one overload of a function or
// of an operator, or a cast.
type Function struct {
	Name   string // as in SQL: "abs", "+", for a cast its target type
	Args   []column.Kind
	Result column.Kind
	// CalledOnNull tells a function that computes with NULLs; all others are
	// strict: a NULL argument makes the result NULL and the kernel isn't run.
	CalledOnNull bool
	// Stable tells what PostgreSQL doesn't compute at planning, because it
	// depends on a session's settings. Ours are fixed, so it is computed at
	// planning here too, but its failures belong to rows.
	Stable bool
	Doc    string // one line for the SQL reference
	// Refusal says why the overload is not supported and what to write
	// instead; empty for one that works.
	Refusal string
	// Spark is how Spark SQL writes it when not in the same way, or
	// "refused: …".
	Spark string

	// Variadic tells that values of any types follow those in Args, at least
	// one.
	Variadic bool

	// check, if there is one, looks at a call's arguments when it is bound.
	check func(*Call) error

	class  class
	kernel kernel
	// mirrored tells that the kernel takes the operands the other way round:
	// PostgreSQL writes interval + date as date + interval, so the date is
	// evaluated first.
	mirrored bool
	window   *windowFunction // for NewWindowCall
}

// class tells how a function is written.
type class uint8

const (
	scalarClass    class = iota // f(x, y)
	operatorClass               // x + y, - x
	castClass                   // x::type
	suffixClass                 // x IS NULL
	listClass                   // x = ANY (ARRAY[y, z])
	elementsClass               // x = ANY (y)
	arrayClass                  // ARRAY[x, y]
	subscriptClass              // x[i], x[i:j]
	internalClass               // made by the planner, no SQL of its own
)

// kernel computes a function for the selected rows of a batch.
type kernel func(f *frame)

// functionTable finds overloads by name.
type functionTable struct {
	byName map[string][]*Function
	list   []*Function // in order of declaration, for the documentation
}

var functions = newFunctionTable(
	arithmeticFunctions(),
	comparisonFunctions(),
	textFunctions(),
	textFindFunctions(),
	textEditFunctions(),
	textFormatFunctions(),
	byteaFunctions(),
	arrayFunctions(),
	timeOfDayFunctions(),
	networkFunctions(),
	regexpFunctions(),
	jsonFunctions(),
	jsonEditFunctions(),
	numericFunctions(),
	mathFunctions(),
	bitFunctions(),
	inexactFunctions(),
	timeFunctions(),
	intervalFunctions(),
	madeTimeFunctions(),
	toCharFunctions(),
	numberFormatFunctions(),
	fromCharFunctions(),
)

func newFunctionTable(families ...[]*Function) *functionTable {
	t := &functionTable{byName: map[string][]*Function{}}
	for _, family := range families {
		for _, f := range family {
			if !isWord(f.Name) {
				f.class = operatorClass
			}
			t.byName[f.Name] = append(t.byName[f.Name], f)
			t.list = append(t.list, f)
		}
	}
	return t
}

// isWord tells a function's name from an operator.
func isWord(name string) bool {
	c := name[0]
	return c >= 'a' && c <= 'z' || c == '_'
}

// names lists the functions (or with operators, the operators) that work.
func (t *functionTable) names(operators bool) []string {
	var out []string
	for name, overloads := range t.byName {
		works := slices.ContainsFunc(overloads, func(f *Function) bool { return f.Refusal == "" })
		if works && isWord(name) != operators {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// line declares an overload. Kernels are nil for overloads that are refused.
func line(name string, args []column.Kind, result column.Kind, k kernel, doc string) *Function {
	return &Function{Name: name, Args: args, Result: result, kernel: k, Doc: doc}
}

// mirrored declares an operator that is computed with its operands swapped.
func mirrored(name string, args []column.Kind, result column.Kind, k kernel, doc string) *Function {
	f := line(name, args, result, k, doc)
	f.mirrored = true
	return f
}

// variadic declares a function that takes values of any types after args. It
// computes with NULLs.
func variadic(name string, args []column.Kind, result column.Kind, k kernel, doc string) *Function {
	f := calledOnNull(line(name, args, result, k, doc))
	f.Variadic = true
	return f
}

// calledOnNull marks a function that computes with NULLs.
func calledOnNull(f *Function) *Function {
	f.CalledOnNull = true
	return f
}

// stable marks a function as depending on session settings in PostgreSQL.
func stable(f *Function) *Function {
	f.Stable = true
	return f
}

// refused declares an overload that PostgreSQL has and this engine has not.
func refused(name string, args []column.Kind, result column.Kind, why string) *Function {
	return &Function{Name: name, Args: args, Result: result, Refusal: why}
}

// kinds lists argument types.
func kinds(k ...column.Kind) []column.Kind { return k }

// signature gives f(x, y) or x + y with types in place of arguments.
func (f *Function) signature() string {
	var names []string
	for _, k := range f.Args {
		names = append(names, kindName(k))
	}
	if f.Variadic {
		names = append(names, "any, …")
	}
	return signature(f.Name, f.class == operatorClass, names)
}

func signature(name string, operator bool, types []string) string {
	switch {
	case !operator:
		return name + "(" + strings.Join(types, ", ") + ")"
	case len(types) == 1:
		return name + " " + types[0]
	}
	return types[0] + " " + name + " " + types[1]
}

// Document gives the function list of the SQL reference, as Markdown.
func Document() string {
	var b strings.Builder
	b.WriteString("| function or operator | gives | |\n| --- | --- | --- |\n")
	for _, f := range functions.list {
		if f.Refusal != "" {
			continue
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s |\n", strings.ReplaceAll(f.signature(), "|", `\|`), kindName(f.Result), f.Doc)
	}
	b.WriteString("\n| aggregate | gives | |\n| --- | --- | --- |\n")
	for _, a := range aggregates {
		arg := "*"
		if a.arg != column.Invalid {
			arg = a.arg.Name()
		} else if a.kind != CountStar {
			arg = "any"
		}
		result := "any"
		if a.result != column.Invalid {
			result = a.result.Name()
		}
		call := a.name + "(" + arg + ")"
		if f, ok := orderedForms[a.name]; ok {
			call = f.form
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s |\n", call, result, a.doc)
	}
	return b.String()
}
