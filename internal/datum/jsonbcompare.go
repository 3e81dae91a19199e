package datum

import (
	"bytes"
	"cmp"
	"encoding/binary"

	"github.com/millstream-dev/millstream/internal/decimal"
)

// appendJSONBKey appends a key of a jsonb text. Numbers are cut to what
// counts, everything else of the text is canonical.
func appendJSONBKey(dst, text []byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, jsonbKeyLength)...)
	dst = appendNormalized(dst, text)
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(dst)-start-jsonbKeyLength))
	return dst
}

// jsonbKeyLength is the size of the length before a jsonb's key.
const jsonbKeyLength = 4

// appendNormalized copies a jsonb text without the zeros at the end of
// fractions.
func appendNormalized(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		c := text[i]
		end := i + 1
		switch {
		case c == '"':
			end = i + stringLength(text[i:])
			dst = append(dst, text[i:end]...)
		case c == '-' || isDigit(c):
			for end < len(text) && (text[end] == '.' || isDigit(text[end])) {
				end++
			}
			number := text[i:end]
			if bytes.IndexByte(number, '.') >= 0 {
				number = bytes.TrimRight(number, "0")
				number = bytes.TrimSuffix(number, []byte("."))
			}
			dst = append(dst, number...)
		default:
			dst = append(dst, c)
		}
		i = end
	}
	return dst
}

// stringLength is the length of the JSON string that s begins with, quotes
// included.
func stringLength(s []byte) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(s)
}

// jsonbItem is an event of walking over a jsonb: a scalar, a key, the begin
// or the end of a container. Its numbers are PostgreSQL's order of types.
type jsonbItem byte

const (
	itemNull jsonbItem = iota
	itemString
	itemNumber
	itemBool
	itemArray
	itemObject
	itemEnd
)

// jsonbEvent is an item with its text and, for containers, its count of
// members.
type jsonbEvent struct {
	item  jsonbItem
	text  []byte
	count int
}

// CompareJSONB orders two jsonb texts as PostgreSQL's btree does: object,
// array, boolean, number, string, null; longer before shorter containers; an
// empty array at the top, and only there, stands before all scalars.
func CompareJSONB(a, b []byte) int {
	if bytes.Equal(a, b) {
		return 0
	}
	x, y := walkJSONB(a), walkJSONB(b)
	if c, ok := compareTop(x[0], y[0]); ok {
		return c
	}
	for i := range min(len(x), len(y)) {
		if c := compareEvents(x[i], y[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(x), len(y))
}

// compareTop decides between a scalar and a container. PostgreSQL stores a
// scalar at the top as an array of one element.
func compareTop(x, y jsonbEvent) (int, bool) {
	scalarX, scalarY := x.item < itemArray, y.item < itemArray
	switch {
	case scalarX == scalarY:
		return 0, false
	case scalarX && y.item == itemArray:
		return scalarToArray(y.count), true
	case scalarY && x.item == itemArray:
		return -scalarToArray(x.count), true
	case scalarX:
		return -1, true
	}
	return 1, true
}

func scalarToArray(count int) int {
	if count == 0 {
		return 1
	}
	return -1
}

func compareEvents(x, y jsonbEvent) int {
	if x.item != y.item {
		return cmp.Compare(x.item, y.item)
	}
	switch x.item {
	case itemString:
		return bytes.Compare(x.text, y.text)
	case itemNumber:
		d, _ := decimal.Parse(x.text)
		e, _ := decimal.Parse(y.text)
		return d.Cmp(e)
	case itemBool:
		return cmp.Compare(x.text[0], y.text[0]) // f, t
	case itemArray, itemObject:
		return cmp.Compare(x.count, y.count)
	}
	return 0
}

// walkJSONB lists the events of a jsonb text.
func walkJSONB(text []byte) []jsonbEvent {
	events := make([]jsonbEvent, 0, 16)
	var open []int // events of the containers around
	begin := func(item jsonbItem, text []byte, member bool) {
		if member && len(open) > 0 {
			events[open[len(open)-1]].count++
		}
		events = append(events, jsonbEvent{item: item, text: text})
	}
	for i := 0; i < len(text); {
		length := tokenLength(text[i:])
		token := text[i : i+length]
		i += length
		switch c := token[0]; {
		case c == '{' || c == '[':
			item := itemArray
			if c == '{' {
				item = itemObject
			}
			begin(item, nil, true)
			open = append(open, len(events)-1)
		case c == '}' || c == ']':
			events = append(events, jsonbEvent{item: itemEnd})
			open = open[:len(open)-1]
		case c == '"':
			// A key counts no member of its own: its value does.
			key := i < len(text) && text[i] == ':'
			begin(itemString, unescape(token), !key)
		case c == 't' || c == 'f':
			begin(itemBool, token, true)
		case c == 'n':
			begin(itemNull, token, true)
		case c == '-' || isDigit(c):
			begin(itemNumber, token, true)
		}
	}
	return events
}

// tokenLength is the length of the token that s begins with.
func tokenLength(s []byte) int {
	switch c := s[0]; {
	case c == '"':
		return stringLength(s)
	case c == '-' || isAlpha(c) || isDigit(c):
		n := 1
		for n < len(s) && (s[n] == '.' || isAlpha(s[n]) || isDigit(s[n])) {
			n++
		}
		return n
	}
	return 1
}

// unescape gives the content of a string of a jsonb text.
func unescape(token []byte) []byte {
	body := token[1 : len(token)-1]
	if bytes.IndexByte(body, '\\') < 0 {
		return body
	}
	out := make([]byte, 0, len(body))
	for i := 0; i < len(body); i++ {
		c := body[i]
		if c == '\\' {
			i++
			if c = simpleEscapes[body[i]]; c == 0 {
				c = hexDigit(body[i+3])<<4 | hexDigit(body[i+4])
				i += 4
			}
		}
		out = append(out, c)
	}
	return out
}
