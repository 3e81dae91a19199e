package plan

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/millstream-dev/millstream/internal/diag"
)

// walk calls f for each message of a parse tree, parents first; where f gives
// false it goes no deeper.
func walk(m proto.Message, f func(proto.Message) bool) {
	if m == nil || !m.ProtoReflect().IsValid() {
		return
	}
	walkMessage(m.ProtoReflect(), f)
}

func walkMessage(m protoreflect.Message, f func(proto.Message) bool) {
	if !f(m.Interface()) {
		return
	}
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.Kind() != protoreflect.MessageKind:
		case field.IsList():
			for i := range v.List().Len() {
				walkMessage(v.List().Get(i).Message(), f)
			}
		default:
			walkMessage(v.Message(), f)
		}
		return true
	})
}

// nodeOffset gives the byte at which an expression begins, or -1.
func nodeOffset(n *pg_query.Node) int32 {
	least := int32(-1)
	walk(n, func(m proto.Message) bool {
		r := m.ProtoReflect()
		field := r.Descriptor().Fields().ByName("location")
		if field == nil {
			return true
		}
		if at := int32(r.Get(field).Int()); at > 0 && (least < 0 || at < least) {
			least = at
		}
		return true
	})
	return least
}

// refuseInside looks in an expression for what stands in no view: window
// functions, subqueries, grouping().
func (q *query) refuseInside(n *pg_query.Node) diag.List {
	var problems diag.List
	walk(n, func(m proto.Message) bool {
		switch v := m.(type) {
		case *pg_query.FuncCall:
			if v.GetOver() != nil {
				problems = append(problems, problem(codeOver, q.at(v.GetLocation()),
					"use an ordinary view over the materialized view for it",
					"window functions (OVER) are not supported yet"))
				return false
			}
		case *pg_query.SubLink:
			problems = append(problems, problem(codeSubquery, q.at(v.GetLocation()),
				"subqueries can stand in FROM", "a subquery in an expression is not supported"))
			return false
		case *pg_query.GroupingFunc:
			problems = append(problems, problem(codeGroupingSets, q.at(v.GetLocation()), "remove it",
				"GROUPING is not supported: there are no grouping sets"))
			return false
		}
		return true
	})
	return problems
}
