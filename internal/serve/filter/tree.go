package filter

import "fmt"

// Query is a parsed query string.
type Query struct {
	Where  []Node // all must hold
	Select []Item // empty: all columns
	Order  []Term // empty: no order asked for
	Limit  *int64 // nil: all rows
	Offset int64  // rows to leave out
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

// Condition compares a column.
type Condition struct {
	Column Name
	Not    bool
	Op     Op
	// Values has one value, none for Is, any number for In.
	Values []string
	Is     Is
	Place  Place // of the value
}

func (*Logic) node()     {}
func (*Condition) node() {}

// Name is a column's name and where it stands.
type Name struct {
	Text  string
	Place Place
}

// Item is one item of select.
type Item struct {
	Star   bool // *: all columns
	Column Name
	Alias  string // "" for none
	Cast   string // PostgreSQL's type, of Casts; "" for none
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
	IsOp       Op = "is"
	In         Op = "in"
	IsDistinct Op = "isdistinct"
)

// Ops are all operators.
var Ops = []Op{Eq, Neq, Gt, Gte, Lt, Lte, Like, ILike, IsOp, In, IsDistinct}

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
