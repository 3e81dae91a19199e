package expr

import (
	"bytes"
	"math"
	"slices"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// arrayFunctions are the functions and operators of one-dimensional arrays.
func arrayFunctions() []*Function {
	const (
		integer, text, boolean = column.Int4, column.Text, column.Bool
		arrays, element        = anyCompatibleArray, anyCompatible
	)
	texts := column.ArrayOf(text)
	nullable := calledOnNull
	out := []*Function{
		line("@>", kinds(anyArray, anyArray), boolean, arrayContains(0, 1), "every element of the second is one of the first"),
		line("<@", kinds(anyArray, anyArray), boolean, arrayContains(1, 0), "every element of the first is one of the second"),
		line("&&", kinds(anyArray, anyArray), boolean, arraysOverlap, "they have an element in common"),
		nullable(line("||", kinds(arrays, arrays), arrays, joinArrays, "the elements one after the other")),
		nullable(line("||", kinds(arrays, element), arrays, appendElement(0, 1), "with one element more at the end")),
		nullable(line("||", kinds(element, arrays), arrays, prependElement, "with one element more at the start")),
		nullable(line("array_cat", kinds(arrays, arrays), arrays, joinArrays, "the elements one after the other")),
		nullable(line("array_append", kinds(arrays, element), arrays, appendElement(0, 1), "with one element more at the end")),
		nullable(line("array_prepend", kinds(element, arrays), arrays, prependElement, "with one element more at the start")),
		line("cardinality", kinds(anyArray), integer, arrayLength(true), "number of elements"),
		line("array_length", kinds(anyArray, integer), integer, arrayLength(false), "number of elements of dimension 1; NULL for none"),
		line("array_lower", kinds(anyArray, integer), integer, arrayBound(false), "first index: 1, NULL without elements"),
		line("array_upper", kinds(anyArray, integer), integer, arrayBound(true), "last index, NULL without elements"),
		line("array_ndims", kinds(anyArray), integer, arrayDimensions, "number of dimensions: 1, NULL without elements"),
		nullable(line("array_position", kinds(arrays, element), integer, arrayPosition, "index of the first element that isn't distinct from a value")),
		nullable(line("array_position", kinds(arrays, element, integer), integer, arrayPosition, "the same from an index on")),
		nullable(line("array_positions", kinds(arrays, element), column.ArrayOf(integer), arrayPositions, "indexes of all elements that aren't distinct from a value")),
		nullable(line("array_remove", kinds(arrays, element), arrays, arrayRemove, "without the elements that aren't distinct from a value")),
		nullable(line("array_replace", kinds(arrays, element, element), arrays, arrayReplace, "each element that isn't distinct from a value replaced by another")),
		line("trim_array", kinds(anyArray, integer), anyArray, trimArray, "without so many elements at the end"),
		stable(line("array_to_string", kinds(anyArray, text), text, arrayToString, "the texts of the elements that aren't NULL, with a text between them")),
		nullable(stable(line("array_to_string", kinds(anyArray, text, text), text, arrayToString, "the same with a text for NULLs"))),
		nullable(line("string_to_array", kinds(text, text), texts, stringToArray, "parts of a text, which another separates; with NULL its characters")),
		nullable(line("string_to_array", kinds(text, text, text), texts, stringToArray, "the same with a text that stands for NULL")),
	}
	for _, c := range comparisons {
		out = append(out, line(c.name, kinds(anyArray, anyArray), boolean, compareBy(c, compareDatums), c.doc+", element by element"))
	}
	return out
}

// array reads an argument's elements; what was read before from it is gone.
func (f *frame) array(arg int, i int32) *column.Vector {
	for len(f.arrays) <= arg {
		f.arrays = append(f.arrays, &column.Vector{})
	}
	v := f.args[arg]
	datum.ReadArray(f.arrays[arg], v.Type, v.Bytes(int(i)))
	return f.arrays[arg]
}

// setArray sets the result to an array.
func (f *frame) setArray(i int32, elements *column.Vector) {
	if elements.Len() > datum.MaxArrayElements {
		f.fail(i, errArraySize)
		return
	}
	start := len(f.out.Buf)
	f.out.Buf = datum.AppendArray(f.out.Buf, elements)
	f.finish(i, start)
}

var errArraySize = sqlerr.New(sqlerr.ProgramLimitExceeded, "an array of more than %d elements is not supported", datum.MaxArrayElements)

// result gives an empty vector for the elements of a result.
func (f *frame) result() *column.Vector {
	if f.made == nil {
		f.made = &column.Vector{}
	}
	f.made.Reset(f.typ.Elem(), 0)
	return f.made
}

// holdsEqual tells whether an element of x equals value j of y; NULLs equal
// nothing.
func holdsEqual(x, y *column.Vector, j int) bool {
	for k := range x.Len() {
		if !x.Null[k] && datum.Compare(x, k, y, j) == 0 {
			return true
		}
	}
	return false
}

// arrayContains tells whether every element of argument part is in whole.
func arrayContains(whole, part int) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			x, y := f.array(whole, i), f.array(part, i)
			holds := true
			for j := 0; j < y.Len() && holds; j++ {
				holds = !y.Null[j] && holdsEqual(x, y, j)
			}
			f.setBool(i, holds)
		}
	}
}

func arraysOverlap(f *frame) {
	for _, i := range f.sel {
		x, y := f.array(0, i), f.array(1, i)
		holds := false
		for j := 0; j < y.Len() && !holds; j++ {
			holds = !y.Null[j] && holdsEqual(x, y, j)
		}
		f.setBool(i, holds)
	}
}

// joinArrays gives the other array where one is NULL.
func joinArrays(f *frame) {
	for _, i := range f.sel {
		a, b := f.args[0].Null[i], f.args[1].Null[i]
		switch {
		case a && b:
			f.out.Null[i] = true
		case a || b:
			arg := 0
			if a {
				arg = 1
			}
			f.out.SetBytes(int(i), f.bytes(arg, i))
		default:
			x, y, out := f.array(0, i), f.array(1, i), f.result()
			appendAll(out, x, 0, x.Len())
			appendAll(out, y, 0, y.Len())
			f.setArray(i, out)
		}
	}
}

// appendAll appends elements from up to but without to.
func appendAll(out, v *column.Vector, from, to int) {
	for j := from; j < to; j++ {
		out.Append(v, j)
	}
}

// appendElement treats a NULL array as an empty one.
func appendElement(array, element int) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			out := f.result()
			if !f.args[array].Null[i] {
				x := f.array(array, i)
				appendAll(out, x, 0, x.Len())
			}
			out.Append(f.args[element], int(i))
			f.setArray(i, out)
		}
	}
}

func prependElement(f *frame) {
	for _, i := range f.sel {
		out := f.result()
		out.Append(f.args[0], int(i))
		if !f.args[1].Null[i] {
			x := f.array(1, i)
			appendAll(out, x, 0, x.Len())
		}
		f.setArray(i, out)
	}
}

// arrayLength is cardinality, or array_length for a dimension.
func arrayLength(all bool) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			n := datum.ArrayLength(f.bytes(0, i))
			if !all && (n == 0 || f.args[1].Int[i] != 1) {
				f.out.Null[i] = true
				continue
			}
			f.out.Int[i] = int64(n)
		}
	}
}

func arrayBound(upper bool) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			n := datum.ArrayLength(f.bytes(0, i))
			if f.out.Null[i] = n == 0 || f.args[1].Int[i] != 1; f.out.Null[i] {
				continue
			}
			if f.out.Int[i] = 1; upper {
				f.out.Int[i] = int64(n)
			}
		}
	}
}

func arrayDimensions(f *frame) {
	for _, i := range f.sel {
		f.out.Null[i] = datum.ArrayLength(f.bytes(0, i)) == 0
		f.out.Int[i] = 1
	}
}

// sameElement tells whether element j of x is not distinct from row i of an
// argument.
func (f *frame) sameElement(x *column.Vector, j, arg int, i int32) bool {
	return datum.CompareNullsLast(x, j, f.args[arg], int(i)) == 0
}

var errInitialPosition = sqlerr.New(sqlerr.NullValueNotAllowed, "initial position must not be null")

func arrayPosition(f *frame) {
	for _, i := range f.sel {
		if f.out.Null[i] = true; f.args[0].Null[i] {
			continue
		}
		x := f.array(0, i)
		if x.Len() == 0 || f.args[1].Null[i] && !slices.Contains(x.Null, true) {
			continue
		}
		from := 0
		if len(f.args) == 3 {
			if f.args[2].Null[i] {
				f.fail(i, errInitialPosition)
				continue
			}
			from = int(max(f.args[2].Int[i]-1, 0))
		}
		for j := from; j < x.Len(); j++ {
			if f.sameElement(x, j, 1, i) {
				f.out.Null[i], f.out.Int[i] = false, int64(j+1)
				break
			}
		}
	}
}

func arrayPositions(f *frame) {
	for _, i := range f.sel {
		if f.out.Null[i] = f.args[0].Null[i]; f.out.Null[i] {
			continue
		}
		x, out := f.array(0, i), f.result()
		for j := range x.Len() {
			if f.sameElement(x, j, 1, i) {
				k := out.Grow()
				out.Null[k], out.Int[k] = false, int64(j+1)
			}
		}
		f.setArray(i, out)
	}
}

func arrayRemove(f *frame) {
	for _, i := range f.sel {
		if f.out.Null[i] = f.args[0].Null[i]; f.out.Null[i] {
			continue
		}
		x, out := f.array(0, i), f.result()
		for j := range x.Len() {
			if !f.sameElement(x, j, 1, i) {
				out.Append(x, j)
			}
		}
		f.setArray(i, out)
	}
}

func arrayReplace(f *frame) {
	for _, i := range f.sel {
		if f.out.Null[i] = f.args[0].Null[i]; f.out.Null[i] {
			continue
		}
		x, out := f.array(0, i), f.result()
		for j := range x.Len() {
			if f.sameElement(x, j, 1, i) {
				out.Append(f.args[2], int(i))
			} else {
				out.Append(x, j)
			}
		}
		f.setArray(i, out)
	}
}

func trimArray(f *frame) {
	for _, i := range f.sel {
		x, n := f.array(0, i), f.args[1].Int[i]
		if n < 0 || n > int64(x.Len()) {
			f.fail(i, sqlerr.New(sqlerr.ArrayElementError, "number of elements to trim must be between 0 and %d", x.Len()))
			continue
		}
		out := f.result()
		appendAll(out, x, 0, x.Len()-int(n))
		f.setArray(i, out)
	}
}

// arrayToString joins the elements' texts; a third argument stands for NULLs.
func arrayToString(f *frame) {
	for _, i := range f.sel {
		if f.out.Null[i] = f.args[0].Null[i] || f.args[1].Null[i]; f.out.Null[i] {
			continue
		}
		x, separator := f.array(0, i), f.bytes(1, i)
		start, first := len(f.out.Buf), true
		for j := range x.Len() {
			if x.Null[j] && (len(f.args) < 3 || f.args[2].Null[i]) {
				continue
			}
			if !first {
				f.out.Buf = append(f.out.Buf, separator...)
			}
			if first = false; x.Null[j] {
				f.out.Buf = append(f.out.Buf, f.bytes(2, i)...)
			} else {
				f.out.Buf = datum.Append(f.out.Buf, x, j)
			}
			if len(f.out.Buf)-start > math.MaxInt32 {
				break
			}
		}
		f.finish(i, start)
	}
}

func stringToArray(f *frame) {
	for _, i := range f.sel {
		if f.out.Null[i] = f.args[0].Null[i]; f.out.Null[i] {
			continue
		}
		s, out := f.bytes(0, i), f.result()
		add := func(part []byte) {
			j := out.Grow()
			if len(f.args) == 3 && !f.args[2].Null[i] && bytes.Equal(part, f.bytes(2, i)) {
				return
			}
			out.Null[j] = false
			out.SetBytes(j, part)
		}
		switch {
		case len(s) == 0:
		case f.args[1].Null[i]:
			for ; len(s) > 0; s = s[characterLength(s):] {
				add(s[:characterLength(s)])
			}
		case len(f.bytes(1, i)) == 0:
			add(s)
		default:
			for _, part := range bytes.Split(s, f.bytes(1, i)) {
				add(part)
			}
		}
		f.setArray(i, out)
	}
}
