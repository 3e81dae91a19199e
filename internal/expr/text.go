package expr

import (
	"encoding/binary"
	"math"
	"unicode/utf8"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// textFunctions are the functions and operators of text.
func textFunctions() []*Function {
	const (
		text, integer, boolean = column.Text, column.Int4, column.Bool
	)
	return []*Function{
		line("||", kinds(text, text), text, concatenate, "the texts one after the other"),
		line("~~", kinds(text, text), boolean, like(true), "LIKE: matches a pattern, where % stands for any text and _ for one character"),
		line("!~~", kinds(text, text), boolean, like(false), "NOT LIKE"),
		line("like_escape", kinds(text, text), text, likeEscape, "a LIKE pattern with another escape character"),
		line("upper", kinds(text), text, mapCase(toUpper), "in upper case, character by character as in C.UTF-8"),
		line("lower", kinds(text), text, mapCase(toLower), "in lower case, character by character as in C.UTF-8"),
		line("length", kinds(text), integer, characters, "number of characters"),
		line("char_length", kinds(text), integer, characters, "number of characters"),
		line("character_length", kinds(text), integer, characters, "number of characters"),
		line("substring", kinds(text, integer), text, substringFrom, "from a character (counted from 1) to the end"),
		line("substring", kinds(text, integer, integer), text, substringFor, "from a character (counted from 1), so many characters"),
		line("substr", kinds(text, integer), text, substringFrom, "from a character (counted from 1) to the end"),
		line("substr", kinds(text, integer, integer), text, substringFor, "from a character (counted from 1), so many characters"),
	}
}

// concatAny is text || any type and its mirror: PostgreSQL writes them as
// text || (value::text). The binder puts the cast in.
var concatAny = &Function{Name: "||", Args: kinds(column.Text, column.Text), Result: column.Text, class: operatorClass, kernel: concatenate}

func concatenate(f *frame) {
	for _, i := range f.sel {
		start := len(f.out.Buf)
		f.out.Buf = append(f.out.Buf, f.bytes(0, i)...)
		f.out.Buf = append(f.out.Buf, f.bytes(1, i)...)
		f.finish(i, start)
	}
}

func characters(f *frame) {
	for _, i := range f.sel {
		f.out.Int[i] = int64(utf8.RuneCount(f.bytes(0, i)))
	}
}

func substringFrom(f *frame) {
	from := f.args[1].Int
	for _, i := range f.sel {
		f.out.SetBytes(int(i), cutCharacters(f.bytes(0, i), from[i]-1, math.MaxInt64))
	}
}

var errNegativeSubstring = sqlerr.New(sqlerr.SubstringError, "negative substring length not allowed")

func substringFor(f *frame) {
	from, length := f.args[1].Int, f.args[2].Int
	for _, i := range f.sel {
		if length[i] < 0 {
			f.fail(i, errNegativeSubstring)
			continue
		}
		f.out.SetBytes(int(i), cutCharacters(f.bytes(0, i), from[i]-1, from[i]-1+length[i]))
	}
}

// cutCharacters gives the characters of s with numbers from start (counted
// from 0) up to but without end; both may lie outside of s.
func cutCharacters(s []byte, start, end int64) []byte {
	if end <= 0 || end <= start {
		return nil
	}
	if most := min(end, int64(len(s))); ascii(s[:most]) { // a character is a byte
		return s[min(max(start, 0), most):most]
	}
	low, n := 0, int64(0)
	for low < len(s) && n < start {
		low += characterLength(s[low:])
		n++
	}
	high := low
	for high < len(s) && n < end {
		if start < 0 {
			start = 0
		}
		high += characterLength(s[high:])
		n++
	}
	return s[low:high]
}

// ascii tells whether all bytes are characters of their own.
func ascii(s []byte) bool {
	var seen uint64
	for len(s) >= 8 {
		seen |= binary.LittleEndian.Uint64(s)
		s = s[8:]
	}
	for _, c := range s {
		seen |= uint64(c)
	}
	return seen&0x8080808080808080 == 0
}

func characterLength(s []byte) int {
	if s[0] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRune(s)
	return n
}
