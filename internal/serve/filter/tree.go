package filter

import (
	"fmt"
	"slices"
)

// Query is a parsed query string.
type Query struct {
	Where  []Node // all must hold
	Select []Item // empty: all columns
	Order  []Term // empty: no order asked for
	Limit  *int64 // nil: all rows
	Offset int64  // rows to leave out
	// Cursor says after which row to go on, as an answer before gave it; ""
	// for the start.
	Cursor string
	Final  Finals // which rows by finality
	// FinalPlace is where final stands, if it does.
	FinalPlace Place
}

// Finals says which rows of a windowed view are asked for.
type Finals uint8

// The choices of final=.
const (
	AllRows   Finals = iota // final is not given
	FinalOnly               // final=true: rows of closed windows
	OpenOnly                // final=false: rows that may still change
)

// Place is a place in the query string.
type Place struct {
	Parameter string
	// Position is a character of the parameter's decoded value, from 1; 0
	// stands for the parameter's name.
	Position int
}

// Node is a condition or a tree of them.
type Node interface{ node() }

// Logic joins nodes.
type Logic struct {
	Or    bool // false: and
	Not   bool
	Nodes []Node // at least one
}

// Condition compares a column, or what stands in it at a path.
type Condition struct {
	Column Name
	Not    bool
	Op     Op
	// Quantifier makes Op hold for any or all elements of an array, which the
	// one value is.
	Quantifier Quantifier
	// Values has one value, none for Is, any number for In.
	Values []string
	Is     Is
	Place  Place // of the value
}

func (*Logic) node()     {}
func (*Condition) node() {}

// Name is a column's name, the path into its value, and where it stands.
type Name struct {
	Text  string
	Path  []Step // nil: the value itself
	Place Place
}

// Step is one arrow of a path: -> gives JSON, ->> gives text.
type Step struct {
	Text  bool   // ->>
	Key   string // of an object; of an array its index, as written
	Index bool   // Key is an index
}

// Last is the name that a value at the path goes by: the last key, or the
// column's name where all steps are indexes.
func (n Name) Last() string {
	for _, s := range slices.Backward(n.Path) {
		if !s.Index {
			return s.Key
		}
	}
	return n.Text
}

// Aggregate is a function over the rows of a group.
type Aggregate string

// The aggregates. Count without a column counts rows.
const (
	Avg   Aggregate = "avg"
	Count Aggregate = "count"
	Max   Aggregate = "max"
	Min   Aggregate = "min"
	Sum   Aggregate = "sum"
)

// Aggregates are all aggregates.
var Aggregates = []Aggregate{Avg, Count, Max, Min, Sum}

// Item is one item of select.
type Item struct {
	Star   bool // *: all columns
	Column Name // Text "" for count() of rows
	Alias  string
	Cast   string // PostgreSQL's type, of Casts; "" for none
	// Aggregate is over the column's value after Cast; "" for none.
	Aggregate Aggregate
	// Result is the cast of the aggregate; "" for none.
	Result string
}

// Term is one term of order.
type Term struct {
	Column Name
	Desc   bool
	Nulls  Nulls
}

// Nulls says where nulls stand in an order.
type Nulls uint8

// The places of nulls. By default they come last in ascending order and
// first in descending, as in PostgreSQL.
const (
	NullsDefault Nulls = iota
	NullsFirst
	NullsLast
)

// Op is an operator.
type Op string

// The operators.
const (
	Eq         Op = "eq"
	Neq        Op = "neq"
	Gt         Op = "gt"
	Gte        Op = "gte"
	Lt         Op = "lt"
	Lte        Op = "lte"
	Like       Op = "like"
	ILike      Op = "ilike"
	Match      Op = "match"
	IMatch     Op = "imatch"
	IsOp       Op = "is"
	In         Op = "in"
	IsDistinct Op = "isdistinct"
	Cs         Op = "cs"  // contains
	Cd         Op = "cd"  // is contained in
	Ov         Op = "ov"  // overlaps
	Sl         Op = "sl"  // strictly left of
	Sr         Op = "sr"  // strictly right of
	Nxr        Op = "nxr" // does not extend to the right of
	Nxl        Op = "nxl" // does not extend to the left of
	Adj        Op = "adj" // is adjacent to
)

// Ops are all operators.
var Ops = []Op{Eq, Neq, Gt, Gte, Lt, Lte, Like, ILike, Match, IMatch, IsOp, In, IsDistinct, Cs, Cd, Ov, Sl, Sr, Nxr, Nxl, Adj}

// quantified are the operators that take any and all.
var quantified = []Op{Eq, Gt, Gte, Lt, Lte, Like, ILike, Match, IMatch}

// Quantifier says for how many elements of an array an operator must hold.
type Quantifier string

// The quantifiers.
const (
	One Quantifier = "" // the value is no array, or one to compare with as a whole
	Any Quantifier = "any"
	All Quantifier = "all"
)

// Is is what a column is tested for by is.
type Is string

// The tests of is.
const (
	IsNull    Is = "null"
	IsNotNull Is = "not_null"
	IsTrue    Is = "true"
	IsFalse   Is = "false"
	IsUnknown Is = "unknown"
)

// Kind classes errors.
type Kind uint8

// The kinds of errors.
const (
	Syntax  Kind = iota // not the grammar
	TooLong             // the query string is over MaxQueryBytes
	Limit               // another limit is met
)

// Error is what is wrong with a query string.
type Error struct {
	Kind    Kind
	Place   Place
	Message string // `unknown operator "eg"`
	Hint    string // `did you mean "eq"?`; may be empty
}

func (e *Error) Error() string {
	return fmt.Sprintf("parameter %q, character %d: %s", e.Place.Parameter, e.Place.Position, e.Message)
}
