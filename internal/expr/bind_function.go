package expr

import (
	"fmt"
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/diag"
)

// volatileFunctions are PostgreSQL's functions whose value depends on the
// moment, the session or chance.
var volatileFunctions = map[string]bool{
	"now": true, "clock_timestamp": true, "statement_timestamp": true, "transaction_timestamp": true,
	"timeofday": true, "random": true, "random_normal": true, "setseed": true, "gen_random_uuid": true, "uuid_generate_v4": true,
	"uuidv4": true, "uuidv7": true, "nextval": true, "currval": true, "lastval": true, "setval": true, "pg_sleep": true,
	"txid_current": true, "pg_current_xact_id": true, "current_setting": true, "set_config": true,
	"pg_backend_pid": true, "version": true, "current_database": true, "inet_client_addr": true,
}

// windowTables are the functions that stand in FROM only.
var windowTables = map[string]bool{"tumble": true, "hop": true, "session": true}

func (b *binding) funcCall(n *pg_query.FuncCall) (Expr, error) {
	parts := nameParts(n.Funcname)
	name := parts[len(parts)-1]
	if len(parts) > 2 || len(parts) == 2 && parts[0] != "pg_catalog" {
		return nil, b.at(n.Location, problem(codeUnknownFunction, fmt.Sprintf("function %s does not exist", strings.Join(parts, ".")), "only PostgreSQL's own functions are there"))
	}
	if isAggregate(name) || laterAggregates[name] {
		return b.aggregate(name, n)
	}
	if err := b.plainCall(name, n); err != nil {
		return nil, b.at(n.Location, err)
	}
	nodes, err := b.namedArguments(name, n)
	if err != nil {
		return nil, err
	}
	args, err := b.all(nodes)
	if err != nil {
		return nil, err
	}
	for i, a := range args {
		if a == nil {
			args[i] = integerConst(column.Int4, 0)
		}
	}
	return b.function(name, args, n)
}

// plainCall refuses what only aggregates and table functions have, and
// functions that are not the same at each reading.
func (b *binding) plainCall(name string, n *pg_query.FuncCall) error {
	switch {
	case volatileFunctions[name]:
		return problem(codeVolatile, fmt.Sprintf("%s() is not the same at each reading of the log", name),
			"the time a record was written is the column _timestamp; the event time is a column of yours")
	case windowTables[name]:
		return problem(codeUnsupported, fmt.Sprintf("%s is a table function", name), fmt.Sprintf("write it in FROM: FROM %s(t, time, INTERVAL '5 minutes')", name))
	case n.Over != nil:
		return problem(codeAggregateForm, fmt.Sprintf("window functions (%s(…) OVER) are not supported", name), "")
	case n.AggStar || n.AggDistinct || n.AggFilter != nil || len(n.AggOrder) > 0 || n.AggWithinGroup:
		return problem(codeAggregateForm, fmt.Sprintf("%s is not an aggregate function", name), "leave out *, DISTINCT, ORDER BY and FILTER")
	case n.FuncVariadic:
		return problem(codeUnsupported, "VARIADIC is not supported", "")
	}
	return nil
}

// function binds a function to typed arguments. As in PostgreSQL, a type's
// name with one argument is a cast where no function of the name takes the
// argument as it is.
func (b *binding) function(name string, args []Expr, n *pg_query.FuncCall) (Expr, error) {
	if kind, ok := typeNames[name]; ok && len(args) == 1 {
		if _, exists := functions.byName[name]; !exists {
			e, err := coerceTo(args[0], column.Of(kind), explicitCast)
			if err != nil {
				return nil, b.at(n.Location, err)
			}
			if e != args[0] {
				b.note(e, n.Location)
			}
			return e, nil
		}
	}
	ids := typeIDs(args)
	if f := variadicFor(name, ids); f != nil {
		return b.callVariadic(f, args, n.Location)
	}
	chosen, how := chooseFunction(name, ids)
	if how != found {
		return nil, b.at(n.Location, functionProblem(name, ids, how))
	}
	f := chosen.function
	if f == nil || f.Refusal != "" {
		return nil, b.at(n.Location, refusal(f, name, false, chosen.args))
	}
	return b.call(f, args, n.Location)
}

// variadicFor finds a function that takes any number of values of any types.
func variadicFor(name string, ids []typeID) *Function {
	for _, f := range functions.byName[name] {
		if f.Variadic && len(ids) > len(f.Args) && coercible(ids[:len(f.Args)], idsOf(f.Args)) {
			return f
		}
	}
	return nil
}

// callVariadic makes a call whose further arguments keep their types; untyped
// literals become text.
func (b *binding) callVariadic(f *Function, args []Expr, offset int32) (Expr, error) {
	cast := make([]Expr, len(args))
	for i, a := range args {
		var err error
		if i < len(f.Args) {
			cast[i], err = coerceTo(a, column.Of(f.Args[i]), implicitCast)
		} else {
			cast[i], err = unknownToText(a)
		}
		if err != nil {
			return nil, b.at(b.literalOffset(a, offset), err)
		}
	}
	return b.note(&Call{Function: f, Args: cast, T: column.Of(f.Result)}, offset), nil
}

// functionProblem says why no function was chosen.
func functionProblem(name string, ids []typeID, how outcome) *diag.Diagnostic {
	written := signature(name, false, typeNamesOf(ids))
	if how == ambiguous {
		return problem(codeAmbiguous, fmt.Sprintf("function %s is not unique", written), "give a literal its type: '1'::integer")
	}
	d := problem(codeUnknownFunction, fmt.Sprintf("function %s does not exist", written), "")
	overloads := functions.byName[name]
	if len(overloads) == 0 {
		names := append(functions.names(false), "coalesce", "nullif", "greatest", "least")
		for _, a := range aggregates {
			names = append(names, a.name)
		}
		slices.Sort(names)
		names = slices.Compact(names)
		d.Hint = "docs/sql.md lists the functions"
		if best := diag.Closest(name, names); best != "" {
			d.Hint = fmt.Sprintf("did you mean %s?", best)
		}
		return d
	}
	var there []string
	for _, f := range overloads {
		if f.Refusal == "" {
			there = append(there, f.signature())
		}
	}
	d.Detail = "there is " + strings.Join(there, ", ")
	d.Hint = argumentHint(name, ids, overloads)
	return d
}

// argumentHint proposes the overload that needs the fewest casts.
func argumentHint(name string, ids []typeID, overloads []*Function) string {
	var best []string
	for _, f := range overloads {
		if f.Refusal != "" || len(f.Args) != len(ids) {
			continue
		}
		var needed []string
		possible := true
		for i, id := range ids {
			_, castable := casts[[2]column.Kind{column.Kind(id), f.Args[i]}]
			lossy := column.Kind(id).IsFloat() && f.Args[i].IsInteger()
			possible = possible && !lossy && (castable || implicitlyCoercible(id, declaredID(f.Args[i])))
			if !implicitlyCoercible(id, declaredID(f.Args[i])) {
				needed = append(needed, fmt.Sprintf("argument %d: x::%s", i+1, kindName(f.Args[i])))
			}
		}
		if possible && (best == nil || len(needed) < len(best)) {
			best = needed
		}
	}
	if best == nil {
		return "check the number and the types of the arguments"
	}
	return "cast " + strings.Join(best, ", ")
}
