package expr

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// textFindFunctions look into texts, and write numbers as texts.
func textFindFunctions() []*Function {
	const text, integer, boolean, big = column.Text, column.Int4, column.Bool, column.Int8
	return []*Function{
		line("~~*", kinds(text, text), boolean, likeAnyCase(true), "ILIKE: LIKE for both in lower case"),
		line("!~~*", kinds(text, text), boolean, likeAnyCase(false), "NOT ILIKE"),
		line("position", kinds(text, text), integer, findText, "place of a text in another, 0 if it isn't there: `position(t in s)`"),
		line("strpos", kinds(text, text), integer, findText, "place of the second text in the first, 0 if it isn't there"),
		line("starts_with", kinds(text, text), boolean, startsWith, "begins with a text"),
		line("^@", kinds(text, text), boolean, startsWith, "begins with a text"),
		line("split_part", kinds(text, text, integer), text, splitPart, "the field with a number, from the end if negative, where a text separates fields"),
		line("ascii", kinds(text), integer, codeOfFirst, "Unicode number of the first character"),
		line("chr", kinds(integer), text, characterOf, "character with a Unicode number"),
		line("octet_length", kinds(text), integer, countBytes(1), "number of bytes in UTF-8"),
		line("bit_length", kinds(text), integer, countBytes(8), "number of bits in UTF-8"),
		line("to_hex", kinds(integer), text, hexOf(0xffffffff), "hexadecimal digits, as of an unsigned number"),
		line("to_hex", kinds(big), text, hexOf(0xffffffffffffffff), "hexadecimal digits, as of an unsigned number"),
		line("md5", kinds(text), text, md5Of, "MD5 hash, as hexadecimal digits"),
	}
}

// likeAnyCase matches as PostgreSQL does in UTF-8: both in lower case.
func likeAnyCase(holds bool) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			f.scratch = appendLower(f.scratch[:0], f.bytes(0, i))
			n := len(f.scratch)
			f.scratch = appendLower(f.scratch, f.bytes(1, i))
			switch matchLike(f.scratch[:n], f.scratch[n:]) {
			case likeMatch:
				f.setBool(i, holds)
			case likeBroken:
				f.fail(i, errPatternEnd)
			default:
				f.setBool(i, !holds)
			}
		}
	}
}

func appendLower(dst, s []byte) []byte {
	for len(s) > 0 {
		r, n := utf8.DecodeRune(s)
		dst = utf8.AppendRune(dst, toLower(r))
		s = s[n:]
	}
	return dst
}

func findText(f *frame) {
	for _, i := range f.sel {
		s := f.bytes(0, i)
		if at := bytes.Index(s, f.bytes(1, i)); at < 0 {
			f.out.Int[i] = 0
		} else {
			f.out.Int[i] = int64(utf8.RuneCount(s[:at])) + 1
		}
	}
}

func startsWith(f *frame) {
	for _, i := range f.sel {
		f.setBool(i, bytes.HasPrefix(f.bytes(0, i), f.bytes(1, i)))
	}
}

var errFieldZero = sqlerr.New(sqlerr.InvalidParameterValue, "field position must not be zero")

func splitPart(f *frame) {
	number := f.args[2].Int
	for _, i := range f.sel {
		if number[i] == 0 {
			f.fail(i, errFieldZero)
			continue
		}
		f.out.SetBytes(int(i), fieldOf(f.bytes(0, i), f.bytes(1, i), number[i]))
	}
}

// fieldOf gives the field with a number, counted from the end if negative.
func fieldOf(s, separator []byte, number int64) []byte {
	if len(separator) == 0 {
		if number == 1 || number == -1 {
			return s
		}
		return nil
	}
	if number < 0 {
		number += int64(bytes.Count(s, separator)) + 2
		if number < 1 {
			return nil
		}
	}
	for ; number > 1; number-- {
		at := bytes.Index(s, separator)
		if at < 0 {
			return nil
		}
		s = s[at+len(separator):]
	}
	if at := bytes.Index(s, separator); at >= 0 {
		return s[:at]
	}
	return s
}

func codeOfFirst(f *frame) {
	for _, i := range f.sel {
		f.out.Int[i] = 0
		if s := f.bytes(0, i); len(s) > 0 {
			r, _ := utf8.DecodeRune(s)
			f.out.Int[i] = int64(r)
		}
	}
}

var (
	errNegativeCharacter = sqlerr.New(sqlerr.InvalidParameterValue, "character number must be positive")
	errNullCharacter     = sqlerr.New(sqlerr.ProgramLimitExceeded, "null character not permitted")
)

func characterOf(f *frame) {
	code := f.args[0].Int
	for _, i := range f.sel {
		switch c := code[i]; {
		case c < 0:
			f.fail(i, errNegativeCharacter)
		case c == 0:
			f.fail(i, errNullCharacter)
		case c > utf8.MaxRune:
			f.fail(i, sqlerr.New(sqlerr.ProgramLimitExceeded, "requested character too large for encoding: %d", c))
		case !utf8.ValidRune(rune(c)):
			f.fail(i, sqlerr.New(sqlerr.ProgramLimitExceeded, "requested character not valid for encoding: %d", c))
		default:
			start := len(f.out.Buf)
			f.out.Buf = utf8.AppendRune(f.out.Buf, rune(c))
			f.finish(i, start)
		}
	}
}

func countBytes(times int64) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			f.out.Int[i] = int64(len(f.bytes(0, i))) * times
		}
	}
}

func hexOf(mask uint64) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			start := len(f.out.Buf)
			f.out.Buf = strconv.AppendUint(f.out.Buf, uint64(f.args[0].Int[i])&mask, 16)
			f.finish(i, start)
		}
	}
}
