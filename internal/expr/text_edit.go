package expr

import (
	"bytes"
	"unicode/utf8"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// textEditFunctions make a text of others: trimmed, padded, replaced.
func textEditFunctions() []*Function {
	const text, integer = column.Text, column.Int4
	return []*Function{
		line("btrim", kinds(text), text, trimSpaces(true, true), "without spaces at both ends: `trim(x)`"),
		line("btrim", kinds(text, text), text, trimSet(true, true), "without any of these characters at both ends: `trim('xy' from s)`"),
		line("ltrim", kinds(text), text, trimSpaces(true, false), "without spaces at the start: `trim(leading from s)`"),
		line("ltrim", kinds(text, text), text, trimSet(true, false), "without any of these characters at the start"),
		line("rtrim", kinds(text), text, trimSpaces(false, true), "without spaces at the end: `trim(trailing from s)`"),
		line("rtrim", kinds(text, text), text, trimSet(false, true), "without any of these characters at the end"),
		line("replace", kinds(text, text, text), text, replaceText, "every occurrence of a text replaced by another"),
		line("translate", kinds(text, text, text), text, translateText, "each character of a set replaced by the one at its place in another set, or left out"),
		line("left", kinds(text, integer), text, leftText, "the first characters; for a negative number all but the last"),
		line("right", kinds(text, integer), text, rightText, "the last characters; for a negative number all but the first"),
		line("lpad", kinds(text, integer), text, pad(true), "filled with spaces at the start, or cut, to a length"),
		line("lpad", kinds(text, integer, text), text, pad(true), "filled with a text at the start, or cut, to a length"),
		line("rpad", kinds(text, integer), text, pad(false), "filled with spaces at the end, or cut, to a length"),
		line("rpad", kinds(text, integer, text), text, pad(false), "filled with a text at the end, or cut, to a length"),
		line("repeat", kinds(text, integer), text, repeatText, "so many times one after the other"),
		line("reverse", kinds(text), text, reverseText, "its characters from the last to the first"),
		line("initcap", kinds(text), text, initialCapitals, "each word with a capital and small letters, as in C.UTF-8"),
		line("overlay", kinds(text, text, integer), text, overlayText, "a part replaced: `overlay(s placing t from 2)`"),
		line("overlay", kinds(text, text, integer, integer), text, overlayText, "a part replaced: `overlay(s placing t from 2 for 3)`"),
	}
}

// maxGrowth is how much longer a value may be made than the values that it is
// made of: PostgreSQL's own limit of 1 GiB, for each row of a batch, would be
// more than a machine has. It is the same for every batch, so that which rows
// fail doesn't depend on how the log is read.
const maxGrowth = 256 << 10

// serverMaxText is the longest value that PostgreSQL makes, in bytes.
const serverMaxText = 1<<30 - 1 - 4

var (
	errRequestedLength = sqlerr.New(sqlerr.ProgramLimitExceeded, "requested length too large")
	errGrowth          = sqlerr.New(sqlerr.ProgramLimitExceeded, "the result is over %d bytes longer than its arguments", maxGrowth)
)

// grows checks the length of a result that is longer than its arguments.
func grows(length, arguments int64) *sqlerr.Error {
	switch {
	case length > serverMaxText:
		return errRequestedLength
	case length > arguments+maxGrowth:
		return errGrowth
	}
	return nil
}

func trimSpaces(start, end bool) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			f.out.SetBytes(int(i), trimCharacters(f.bytes(0, i), []byte(" "), start, end))
		}
	}
}

func trimSet(start, end bool) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			f.out.SetBytes(int(i), trimCharacters(f.bytes(0, i), f.bytes(1, i), start, end))
		}
	}
}

// trimCharacters cuts the characters of set from the ends of s.
func trimCharacters(s, set []byte, start, end bool) []byte {
	for start && len(s) > 0 {
		n := characterLength(s)
		if !bytes.Contains(set, s[:n]) {
			break
		}
		s = s[n:]
	}
	for end && len(s) > 0 {
		_, n := utf8.DecodeLastRune(s)
		if !bytes.Contains(set, s[len(s)-n:]) {
			break
		}
		s = s[:len(s)-n]
	}
	return s
}

func replaceText(f *frame) {
	for _, i := range f.sel {
		s, from, to := f.bytes(0, i), f.bytes(1, i), f.bytes(2, i)
		if len(from) == 0 {
			f.out.SetBytes(int(i), s)
			continue
		}
		n := int64(bytes.Count(s, from))
		if err := grows(int64(len(s))+n*int64(len(to)-len(from)), int64(len(s)+len(to))); err != nil {
			f.fail(i, err)
			continue
		}
		start := len(f.out.Buf)
		for {
			at := bytes.Index(s, from)
			if at < 0 {
				break
			}
			f.out.Buf = append(append(f.out.Buf, s[:at]...), to...)
			s = s[at+len(from):]
		}
		f.out.Buf = append(f.out.Buf, s...)
		f.finish(i, start)
	}
}

func translateText(f *frame) {
	for _, i := range f.sel {
		s, from, to := f.bytes(0, i), f.bytes(1, i), f.bytes(2, i)
		start := len(f.out.Buf)
		for len(s) > 0 {
			n := characterLength(s)
			if at := bytes.Index(from, s[:n]); at < 0 {
				f.out.Buf = append(f.out.Buf, s[:n]...)
			} else {
				number := int64(utf8.RuneCount(from[:at]))
				f.out.Buf = append(f.out.Buf, cutCharacters(to, number, number+1)...)
			}
			s = s[n:]
		}
		f.finish(i, start)
	}
}

func leftText(f *frame) {
	n := f.args[1].Int
	for _, i := range f.sel {
		s, end := f.bytes(0, i), n[i]
		if end < 0 {
			end += int64(utf8.RuneCount(s))
		}
		f.out.SetBytes(int(i), cutCharacters(s, 0, end))
	}
}

func rightText(f *frame) {
	n := f.args[1].Int
	for _, i := range f.sel {
		s, start := f.bytes(0, i), int64(int32(-n[i])) // the least integer stays itself
		if n[i] >= 0 {
			start = int64(utf8.RuneCount(s)) - n[i]
		}
		f.out.SetBytes(int(i), s[len(cutCharacters(s, 0, start)):])
	}
}

// pad is lpad and rpad.
func pad(atStart bool) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			s, fill := f.bytes(0, i), []byte(" ")
			if len(f.args) == 3 {
				fill = f.bytes(2, i)
			}
			length := max(f.args[1].Int[i], 0)
			s = cutCharacters(s, 0, length)
			missing := length - int64(utf8.RuneCount(s))
			if len(fill) == 0 {
				length, missing = length-missing, 0
			}
			// PostgreSQL reckons with four bytes for each character.
			if length*4 > serverMaxText {
				f.fail(i, errRequestedLength)
				continue
			}
			if missing > maxGrowth {
				f.fail(i, errGrowth)
				continue
			}
			start := len(f.out.Buf)
			if atStart {
				f.out.Buf = append(appendFill(f.out.Buf, fill, missing), s...)
			} else {
				f.out.Buf = appendFill(append(f.out.Buf, s...), fill, missing)
			}
			f.finish(i, start)
		}
	}
}

// appendFill appends n characters of a text that is repeated.
func appendFill(dst, fill []byte, n int64) []byte {
	rest := fill
	for ; n > 0; n-- {
		if len(rest) == 0 {
			rest = fill
		}
		length := characterLength(rest)
		dst, rest = append(dst, rest[:length]...), rest[length:]
	}
	return dst
}

func repeatText(f *frame) {
	times := f.args[1].Int
	for _, i := range f.sel {
		s, n := f.bytes(0, i), max(times[i], 0)
		if err := grows(n*int64(len(s)), int64(len(s))); err != nil {
			f.fail(i, err)
			continue
		}
		if len(s) == 0 {
			n = 0
		}
		start := len(f.out.Buf)
		for ; n > 0; n-- {
			f.out.Buf = append(f.out.Buf, s...)
		}
		f.finish(i, start)
	}
}

func reverseText(f *frame) {
	for _, i := range f.sel {
		s, start := f.bytes(0, i), len(f.out.Buf)
		for len(s) > 0 {
			_, n := utf8.DecodeLastRune(s)
			f.out.Buf = append(f.out.Buf, s[len(s)-n:]...)
			s = s[:len(s)-n]
		}
		f.finish(i, start)
	}
}

func initialCapitals(f *frame) {
	for _, i := range f.sel {
		s, start := f.bytes(0, i), len(f.out.Buf)
		inWord := false
		for len(s) > 0 {
			r, n := utf8.DecodeRune(s)
			s = s[n:]
			if inWord {
				r = toLower(r)
			} else {
				r = toUpper(r)
			}
			inWord = isAlphanumeric(r)
			f.out.Buf = utf8.AppendRune(f.out.Buf, r)
		}
		f.finish(i, start)
	}
}

var errIntegerRange = sqlerr.New(sqlerr.NumericValueOutOfRange, "integer out of range")

// overlayText is overlay(s placing t from start for length): without length
// as many characters as t has.
func overlayText(f *frame) {
	for _, i := range f.sel {
		s, t, from := f.bytes(0, i), f.bytes(1, i), f.args[2].Int[i]
		length := int64(utf8.RuneCount(t))
		if len(f.args) == 4 {
			length = f.args[3].Int[i]
		}
		if from <= 0 {
			f.fail(i, errNegativeSubstring)
			continue
		}
		end := from + length
		if int64(int32(end)) != end {
			f.fail(i, errIntegerRange)
			continue
		}
		start := len(f.out.Buf)
		f.out.Buf = append(f.out.Buf, cutCharacters(s, 0, from-1)...)
		f.out.Buf = append(f.out.Buf, t...)
		f.out.Buf = append(f.out.Buf, cutCharacters(s, max(end-1, 0), 1<<32)...)
		f.finish(i, start)
	}
}
