package expr

import (
	"unicode/utf8"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

func boolToText(f *frame) {
	a := f.args[0].Int
	for _, i := range f.sel {
		word := "false"
		if a[i] != 0 {
			word = "true"
		}
		f.out.SetString(int(i), word)
	}
}

// toText gives a value's text form.
func toText(f *frame) {
	a := f.args[0]
	for _, i := range f.sel {
		start := len(f.out.Buf)
		f.out.Buf = datum.Append(f.out.Buf, a, int(i))
		f.finish(i, start)
	}
}

// fromText reads a value's text form, as its type's input function.
func fromText(f *frame) {
	for _, i := range f.sel {
		text := f.bytes(0, i)
		if datum.Reserved(text, f.typ.Kind) {
			f.fail(i, errPresent)
			continue
		}
		if err := datum.Input(f.out, int(i), text); err != nil {
			f.fail(i, err)
		}
	}
}

// errPresent is what a text such as 'now' gives that PostgreSQL reads as the
// moment of reading: it would not give the same result twice.
var errPresent = sqlerr.New(sqlerr.FeatureNotSupported, "input that means the present moment (now, today, …) is not supported")

// fitText applies varchar(n). A cast cuts; an assignment cuts spaces only.
func fitText(cut bool) kernel {
	return func(f *frame) {
		n := int(f.typ.Length)
		for _, i := range f.sel {
			s := f.bytes(0, i)
			end := cutLength(s, n)
			if !cut && !onlySpaces(s[end:]) {
				f.fail(i, sqlerr.New(sqlerr.StringDataRightTruncation, "value too long for type %s", f.typ))
				continue
			}
			f.out.SetBytes(int(i), s[:end])
		}
	}
}

// cutLength is the length in bytes of the first n characters.
func cutLength(s []byte, n int) int {
	if len(s) <= n {
		return len(s)
	}
	at := 0
	for ; n > 0 && at < len(s); n-- {
		_, size := utf8.DecodeRune(s[at:])
		at += size
	}
	return at
}

func onlySpaces(s []byte) bool {
	for _, c := range s {
		if c != ' ' {
			return false
		}
	}
	return true
}

// inputConstant reads a literal as a constant of type t.
func inputConstant(text []byte, t column.Type) (*Const, *sqlerr.Error) {
	v := column.NewVector(t, 1)
	if err := datum.Input(v, 0, text); err != nil {
		return nil, err
	}
	return &Const{T: t, Value: v}, nil
}
