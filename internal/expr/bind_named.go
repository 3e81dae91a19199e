package expr

import (
	"fmt"
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"
)

// argumentNames are the arguments of functions that may be called by name.
// What is left out is 0.
var argumentNames = map[string][]string{
	"make_interval": {"years", "months", "weeks", "days", "hours", "mins", "secs"},
}

// namedArguments gives a call's arguments in their order, nil for those that
// are left out.
func (b *binding) namedArguments(name string, n *pg_query.FuncCall) ([]*pg_query.Node, error) {
	names, ok := argumentNames[name]
	if !ok || len(n.Args) > len(names) {
		return n.Args, nil
	}
	out := make([]*pg_query.Node, len(names))
	for i, arg := range n.Args {
		named := arg.GetNamedArgExpr()
		if named == nil {
			out[i] = arg
			continue
		}
		at := slices.Index(names, named.Name)
		if at < 0 || out[at] != nil {
			return nil, b.at(named.Location, problem(codeUnknownFunction,
				fmt.Sprintf("%s has no argument %s, or it is given twice", name, named.Name), "arguments are "+strings.Join(names, ", ")))
		}
		out[at] = named.Arg
	}
	return out, nil
}
