package expr

import (
	"bytes"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// jsonEditFunctions look into documents further, and make new ones.
func jsonEditFunctions() []*Function {
	const doc, text, integer, boolean = column.JSONB, column.Text, column.Int4, column.Bool
	array := column.ArrayOf(text)
	return []*Function{
		line("#>", kinds(doc, array), doc, jsonPath(false), "value at a path of keys and indexes, as jsonb: `x #> '{a,0,b}'`"),
		line("#>>", kinds(doc, array), text, jsonPath(true), "value at a path of keys and indexes, as text: `x #>> '{a,0,b}'`"),
		line("@>", kinds(doc, doc), boolean, jsonContainment(0, 1), "the first contains the second"),
		line("<@", kinds(doc, doc), boolean, jsonContainment(1, 0), "the second contains the first"),
		line("?", kinds(doc, text), boolean, jsonHasKey, "has a key, or a text as an element"),
		line("?|", kinds(doc, array), boolean, jsonHasKeys(false), "has one of the keys: `x ?| '{a,b}'`"),
		line("?&", kinds(doc, array), boolean, jsonHasKeys(true), "has all of the keys"),
		line("||", kinds(doc, doc), doc, jsonConcat, "two arrays one after the other, or two objects in one; other values count as arrays of one element"),
		line("-", kinds(doc, text), doc, jsonDeleteKey, "without a key, or without elements that are a text"),
		line("-", kinds(doc, array), doc, jsonDeleteKeys, "without keys, or without elements that are one of the texts"),
		line("-", kinds(doc, integer), doc, jsonDeleteElement, "without an element"),
		line("jsonb_typeof", kinds(doc), text, jsonTypeOf, "`object`, `array`, `string`, `number`, `boolean` or `null`"),
		line("jsonb_array_length", kinds(doc), integer, jsonArrayLength, "number of elements"),
		line("jsonb_strip_nulls", kinds(doc), doc, jsonStripNulls, "without the members of objects that are null"),
		stable(calledOnNull(line("jsonb_build_object", kinds(), doc, jsonBuildObject, "`{}`"))),
		stable(variadic("jsonb_build_object", kinds(), doc, jsonBuildObject, "an object of keys and values in turn")),
		stable(calledOnNull(line("jsonb_build_array", kinds(), doc, jsonBuildArray, "`[]`"))),
		stable(variadic("jsonb_build_array", kinds(), doc, jsonBuildArray, "an array of values")),
	}
}

// setDocument sets a jsonb from JSON as an argument's text may be.
func (f *frame) setDocument(i int32, json []byte) {
	start := len(f.out.Buf)
	out, err := datum.JSONBFromText(f.out.Buf, json)
	if err != nil {
		f.out.Buf = f.out.Buf[:start]
		f.fail(i, err)
		return
	}
	f.out.Buf = out
	f.finish(i, start)
}

// eachElement calls visit for the elements of an array until it gives false.
func eachElement(doc []byte, visit func(value []byte) bool) {
	if doc[1] == ']' {
		return
	}
	for at := 1; ; at += len(", ") {
		end := skipJSON(doc, at)
		if !visit(doc[at:end]) || doc[end] == ']' {
			return
		}
		at = end
	}
}

// eachMember calls visit for the members of an object until it gives false.
// Keys are in quotes.
func eachMember(doc []byte, visit func(key, value []byte) bool) {
	if doc[1] == '}' {
		return
	}
	for at := 1; ; at += len(", ") {
		keyEnd := skipJSON(doc, at)
		valueAt := keyEnd + len(": ")
		end := skipJSON(doc, valueAt)
		if !visit(doc[at:keyEnd], doc[valueAt:end]) || doc[end] == '}' {
			return
		}
		at = end
	}
}

func isContainer(doc []byte) bool { return doc[0] == '{' || doc[0] == '[' }

func equalScalars(a, b []byte) bool {
	isNumber := func(c byte) bool { return c == '-' || c >= '0' && c <= '9' }
	if isNumber(a[0]) && isNumber(b[0]) {
		return datum.CompareJSONB(a, b) == 0
	}
	return bytes.Equal(a, b)
}

func jsonContainment(whole, part int) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			a, b := f.bytes(whole, i), f.bytes(part, i)
			switch {
			case !isContainer(a) && isContainer(b):
				f.setBool(i, false)
			case isContainer(a) && !isContainer(b):
				// An array contains a bare scalar that is its element.
				f.setBool(i, a[0] == '[' && containsElement(a, b))
			default:
				f.setBool(i, contains(a, b))
			}
		}
	}
}

// contains tells whether document a contains b: all members of b's objects,
// all elements of its arrays in any order.
func contains(a, b []byte) bool {
	holds := true
	switch {
	case !isContainer(a) || !isContainer(b):
		return !isContainer(a) && !isContainer(b) && equalScalars(a, b)
	case a[0] != b[0]:
		return false
	case b[0] == '{':
		eachMember(b, func(key, value []byte) bool {
			there, ok := jsonFindMember(a, key)
			holds = ok && contains(there, value)
			return holds
		})
	default:
		eachElement(b, func(value []byte) bool {
			holds = containsElement(a, value)
			return holds
		})
	}
	return holds
}

func containsElement(array, value []byte) bool {
	found := false
	eachElement(array, func(element []byte) bool {
		found = contains(element, value)
		return !found
	})
	return found
}

// hasKey looks for a key given in quotes among an object's keys, an array's
// texts, or a bare text.
func hasKey(doc, key []byte) bool {
	switch doc[0] {
	case '{':
		_, ok := jsonFindMember(doc, key)
		return ok
	case '[':
		found := false
		eachElement(doc, func(value []byte) bool {
			found = bytes.Equal(value, key)
			return !found
		})
		return found
	}
	return bytes.Equal(doc, key)
}

func jsonHasKey(f *frame) {
	for _, i := range f.sel {
		f.scratch = datum.AppendJSONString(f.scratch[:0], f.bytes(1, i))
		f.setBool(i, hasKey(f.bytes(0, i), f.scratch))
	}
}

// jsonHasKeys is ?| and ?&: NULL keys don't count.
func jsonHasKeys(all bool) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			holds := all
			for _, e := range f.arrayOf(1, i) {
				if e.null {
					continue
				}
				f.scratch = datum.AppendJSONString(f.scratch[:0], []byte(e.text))
				if has := hasKey(f.bytes(0, i), f.scratch); has != all {
					holds = has
					break
				}
			}
			f.setBool(i, holds)
		}
	}
}

func jsonPath(asText bool) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			value, ok := f.followPath(f.bytes(0, i), f.arrayOf(1, i))
			f.setJSON(i, value, ok, asText)
		}
	}
}

// followPath goes down from a document; no step leads out of a scalar.
func (f *frame) followPath(doc []byte, path []arrayElement) ([]byte, bool) {
	for _, step := range path {
		if step.null {
			return nil, false
		}
	}
	for _, step := range path {
		var ok bool
		switch doc[0] {
		case '{':
			f.scratch = datum.AppendJSONString(f.scratch[:0], []byte(step.text))
			doc, ok = jsonFindMember(doc, f.scratch)
		case '[':
			if !step.isIndex {
				return nil, false
			}
			doc, ok = jsonFindElement(doc, step.index)
		default:
			return nil, false
		}
		if !ok {
			return nil, false
		}
	}
	return doc, true
}

func jsonConcat(f *frame) {
	inner := func(doc []byte) []byte {
		if doc[0] == '[' {
			return doc[1 : len(doc)-1]
		}
		return doc
	}
	for _, i := range f.sel {
		a, b := f.bytes(0, i), f.bytes(1, i)
		if a[0] == '{' && b[0] == '{' {
			f.scratch = append(f.scratch[:0], a[:len(a)-1]...)
			if len(a) > 2 && len(b) > 2 {
				f.scratch = append(f.scratch, ", "...)
			}
			f.scratch = append(f.scratch, b[1:]...)
			f.setDocument(i, f.scratch)
			continue
		}
		a, b = inner(a), inner(b)
		start := len(f.out.Buf)
		f.out.Buf = append(append(f.out.Buf, '['), a...)
		if len(a) > 0 && len(b) > 0 {
			f.out.Buf = append(f.out.Buf, ", "...)
		}
		f.out.Buf = append(append(f.out.Buf, b...), ']')
		f.finish(i, start)
	}
}

var (
	errDeleteScalar = sqlerr.New(sqlerr.InvalidParameterValue, "cannot delete from scalar")
	errDeleteObject = sqlerr.New(sqlerr.InvalidParameterValue, "cannot delete from object using integer index")
	errLengthScalar = sqlerr.New(sqlerr.InvalidParameterValue, "cannot get array length of a scalar")
	errLengthObject = sqlerr.New(sqlerr.InvalidParameterValue, "cannot get array length of a non-array")
	errOddArguments = sqlerr.New(sqlerr.InvalidParameterValue, "argument list must have even number of elements")
	errKeyNotScalar = sqlerr.New(sqlerr.InvalidParameterValue, "key value must be scalar, not array, composite, or json")
)

// listWriter appends the parts of an object or an array that are kept.
type listWriter struct {
	out   []byte
	first bool
}

func (w *listWriter) open(c byte) { w.out, w.first = append(w.out, c), true }

func (w *listWriter) next() {
	if !w.first {
		w.out = append(w.out, ", "...)
	}
	w.first = false
}

func (w *listWriter) member(key, value []byte) {
	w.next()
	w.out = append(append(append(w.out, key...), ": "...), value...)
}

func (w *listWriter) element(value []byte) {
	w.next()
	w.out = append(w.out, value...)
}

func jsonDeleteKey(f *frame) {
	for _, i := range f.sel {
		f.scratch = datum.AppendJSONString(f.scratch[:0], f.bytes(1, i))
		f.deleteKeys(i, func(key []byte) bool { return bytes.Equal(key, f.scratch) })
	}
}

// jsonDeleteKeys is x - text[]; NULLs among the keys mean nothing.
func jsonDeleteKeys(f *frame) {
	for _, i := range f.sel {
		keys := map[string]bool{}
		for _, e := range f.arrayOf(1, i) {
			if !e.null {
				keys[string(datum.AppendJSONString(nil, []byte(e.text)))] = true
			}
		}
		f.deleteKeys(i, func(key []byte) bool { return keys[string(key)] })
	}
}

// deleteKeys leaves out the members, and the texts of an array, for which gone
// holds.
func (f *frame) deleteKeys(i int32, gone func(key []byte) bool) {
	doc := f.bytes(0, i)
	if !isContainer(doc) {
		f.fail(i, errDeleteScalar)
		return
	}
	start, w := len(f.out.Buf), listWriter{out: f.out.Buf}
	w.open(doc[0])
	if doc[0] == '{' {
		eachMember(doc, func(key, value []byte) bool {
			if !gone(key) {
				w.member(key, value)
			}
			return true
		})
	} else {
		eachElement(doc, func(value []byte) bool {
			if !gone(value) {
				w.element(value)
			}
			return true
		})
	}
	f.out.Buf = append(w.out, doc[len(doc)-1])
	f.finish(i, start)
}

func jsonDeleteElement(f *frame) {
	for _, i := range f.sel {
		doc, index := f.bytes(0, i), f.args[1].Int[i]
		switch doc[0] {
		case '{':
			f.fail(i, errDeleteObject)
			continue
		case '[':
		default:
			f.fail(i, errDeleteScalar)
			continue
		}
		if index < 0 && len(doc) > 2 {
			if index += jsonLength(doc); index < 0 {
				index = -1
			}
		}
		start, w := len(f.out.Buf), listWriter{out: f.out.Buf}
		w.open('[')
		eachElement(doc, func(value []byte) bool {
			if index != 0 {
				w.element(value)
			}
			index--
			return true
		})
		f.out.Buf = append(w.out, ']')
		f.finish(i, start)
	}
}

func jsonTypeOf(f *frame) {
	for _, i := range f.sel {
		name := "number"
		switch f.bytes(0, i)[0] {
		case '{':
			name = "object"
		case '[':
			name = "array"
		case '"':
			name = "string"
		case 't', 'f':
			name = "boolean"
		case 'n':
			name = "null"
		}
		f.out.SetString(int(i), name)
	}
}

func jsonArrayLength(f *frame) {
	for _, i := range f.sel {
		switch doc := f.bytes(0, i); {
		case doc[0] == '{':
			f.fail(i, errLengthObject)
		case doc[0] != '[':
			f.fail(i, errLengthScalar)
		case doc[1] == ']':
			f.out.Int[i] = 0
		default:
			f.out.Int[i] = jsonLength(doc)
		}
	}
}

func jsonStripNulls(f *frame) {
	for _, i := range f.sel {
		start := len(f.out.Buf)
		f.out.Buf = appendStripped(f.out.Buf, f.bytes(0, i))
		f.finish(i, start)
	}
}

func appendStripped(dst, doc []byte) []byte {
	if !isContainer(doc) {
		return append(dst, doc...)
	}
	w := listWriter{out: dst}
	w.open(doc[0])
	if doc[0] == '{' {
		eachMember(doc, func(key, value []byte) bool {
			if value[0] != 'n' {
				w.member(key, nil)
				w.out = appendStripped(w.out, value)
			}
			return true
		})
	} else {
		eachElement(doc, func(value []byte) bool {
			w.next()
			w.out = appendStripped(w.out, value)
			return true
		})
	}
	return append(w.out, doc[len(doc)-1])
}

func jsonBuildArray(f *frame) {
	for _, i := range f.sel {
		f.scratch = append(f.scratch[:0], '[')
		for arg, a := range f.args {
			if arg > 0 {
				f.scratch = append(f.scratch, ',')
			}
			f.scratch = datum.AppendJSON(f.scratch, a, int(i))
		}
		f.setDocument(i, append(f.scratch, ']'))
	}
}

func jsonBuildObject(f *frame) {
	if len(f.args)%2 != 0 {
		for _, i := range f.sel {
			f.fail(i, errOddArguments)
		}
		return
	}
	for _, i := range f.sel {
		f.scratch = append(f.scratch[:0], '{')
		if err := f.appendMembers(i); err != nil {
			f.fail(i, err)
			continue
		}
		f.setDocument(i, append(f.scratch, '}'))
	}
}

func (f *frame) appendMembers(i int32) *sqlerr.Error {
	for arg := 0; arg < len(f.args); arg += 2 {
		key := f.args[arg]
		switch {
		case key.Null[i]:
			return sqlerr.New(sqlerr.InvalidParameterValue, "argument %d: key must not be null", arg+1)
		case key.Type.Kind == column.JSONB, key.Type.Kind.IsArray():
			return errKeyNotScalar
		}
		if arg > 0 {
			f.scratch = append(f.scratch, ',')
		}
		start := len(f.scratch)
		f.scratch = datum.AppendJSON(f.scratch, key, int(i))
		if f.scratch[start] != '"' {
			f.scratch = append(f.scratch, 0, '"')
			copy(f.scratch[start+1:], f.scratch[start:len(f.scratch)-2])
			f.scratch[start] = '"'
		}
		f.scratch = datum.AppendJSON(append(f.scratch, ':'), f.args[arg+1], int(i))
	}
	return nil
}
