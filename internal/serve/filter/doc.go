// Package filter reads the query string of a table's endpoint: PostgREST's
// grammar, as far as it is listed here, into a tree with limits.
//
//	column=op.value  column=not.op.value          conditions; all must hold
//	and=(…)  or=(…)  not.and=(…)  not.or=(…)      trees of conditions
//	select=a,alias:b,c::text,j->x->>y,a.sum(),*   what to give
//	order=a.desc.nullslast,j->x                   in which order
//	limit=n  offset=n  cursor=…  final=true       how much of it
//
//	tree      = "(" node { "," node } ")"
//	node      = [ "not." ] ( "and" | "or" ) tree | field "." [ "not." ] op "." value
//	op        = eq | neq | gt | gte | lt | lte | like | ilike | match | imatch | is | in | isdistinct
//	          | cs | cd | ov | sl | sr | nxr | nxl | adj
//	          , after eq gt gte lt lte like ilike match imatch also with (any) or (all)
//	field     = name { ( "->" | "->>" ) ( key | index ) }
//	name      = characters other than . , : ( ) " ->   |   '"' { character | '\' character } '"'
//	value     = of in: "(" [ item { "," item } ] ")"
//	            of is: null | not_null | true | false | unknown
//	            of any and all: an array literal {…}
//	            else at the top level everything up to the end, and in a tree
//	            a quoted string, an array literal {…}, or everything up to , or )
//	item      = "*" | [ name ":" ] ( field [ "::" type ] [ "." aggregate "()" ] | "count()" ) [ "::" type ]
//	aggregate = avg | count | max | min | sum
//
// In like and ilike, * stands for %. Casts are allowed in select only, as in
// PostgREST, and only to the types of Casts. Items without an aggregate are
// what an answer with aggregates is grouped by.
//
// Invariants:
//
//  1. A parameter that means something (Reserved) is never a column.
//  2. Every error has a place: the parameter, and the character in its value.
//  3. The tree is bounded by the limits below, whatever the input.
//  4. Nothing of the input becomes SQL here: names are looked up in the
//     catalogue and values are bound by whoever uses the tree.
package filter

// Limits of a query string.
const (
	// MaxQueryBytes is the longest query string, as it stands in the URL:
	// what proxies commonly let pass.
	MaxQueryBytes = 8 << 10
	// MaxParameters bounds the parameters of a query string.
	MaxParameters = 100
	// MaxDepth is the deepest nesting of and and or.
	MaxDepth = 10
	// MaxConditions bounds the conditions of a query, in trees and outside.
	MaxConditions = 100
	// MaxValues bounds the values of all in lists together; each is a bind
	// parameter, of which PostgreSQL takes 65,535.
	MaxValues = 1000
	// MaxSelect bounds the items of select: PostgreSQL gives at most 1,664
	// columns.
	MaxSelect = 500
	// MaxPath is the longest path into a value.
	MaxPath = 16
	// MaxOrder bounds the terms of order.
	MaxOrder = 32
	// MaxLimit is the greatest limit. To get all rows, limit is left out.
	MaxLimit = 10_000_000
	// MaxOffset is the greatest offset: PostgreSQL reads and drops every row
	// before it.
	MaxOffset = 10_000_000
	// MaxNameBytes is the longest identifier of PostgreSQL.
	MaxNameBytes = 63
)

// Reserved are the parameters that mean something. A column of such a name is
// filtered by and=(name.eq.value).
var Reserved = []string{"select", "order", "limit", "offset", "and", "or", "not", "cursor", "final"}

// Casts are the types that select may cast to, with PostgreSQL's name of each.
var Casts = map[string]string{
	"boolean": "boolean", "bool": "boolean",
	"smallint": "smallint", "int2": "smallint",
	"integer": "integer", "int": "integer", "int4": "integer",
	"bigint": "bigint", "int8": "bigint",
	"real": "real", "float4": "real",
	"double precision": "double precision", "float8": "double precision",
	"numeric": "numeric", "decimal": "numeric",
	"text": "text", "varchar": "character varying",
	"uuid": "uuid", "date": "date",
	"timestamp": "timestamp without time zone", "timestamptz": "timestamp with time zone",
	"jsonb": "jsonb", "json": "json",
}
