package expr

import (
	"bytes"
	"math"
	"unicode/utf8"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// textFormatFunctions put together values of any types.
func textFormatFunctions() []*Function {
	const text, integer = column.Text, column.Int4
	return []*Function{
		stable(variadic("concat", kinds(), text, concatAll, "the texts of all values that aren't NULL, one after the other")),
		stable(variadic("concat_ws", kinds(text), text, concatWith, "the texts of all values that aren't NULL, with the first one between them")),
		stable(calledOnNull(line("format", kinds(text), text, formatText, "a format without values: `%%` stands for `%`"))),
		stable(variadic("format", kinds(text), text, formatText, "a format with values: `%s` as it is, `%I` as an identifier, `%L` as a literal; positions `%1$s` and widths `%-10s`, `%*s`")),
		line("quote_ident", kinds(text), text, quoteWith(appendIdentifier), "as an SQL identifier, in quotes where it needs them"),
		line("quote_literal", kinds(text), text, quoteWith(appendLiteral), "as an SQL literal in quotes"),
		calledOnNull(line("quote_nullable", kinds(text), text, quoteNullable, "as an SQL literal in quotes, or `NULL`")),
		variadic("num_nulls", kinds(), integer, countNulls(true), "number of arguments that are NULL"),
		variadic("num_nonnulls", kinds(), integer, countNulls(false), "number of arguments that aren't NULL"),
	}
}

// append appends an argument's text.
func (f *frame) append(dst []byte, arg int, i int32) []byte {
	return datum.Append(dst, f.args[arg], int(i))
}

func concatAll(f *frame) {
	for _, i := range f.sel {
		start := len(f.out.Buf)
		for arg, a := range f.args {
			if !a.Null[i] {
				f.out.Buf = f.append(f.out.Buf, arg, i)
			}
		}
		f.finish(i, start)
	}
}

func concatWith(f *frame) {
	for _, i := range f.sel {
		if f.out.Null[i] = f.args[0].Null[i]; f.out.Null[i] {
			continue
		}
		start, first := len(f.out.Buf), true
		for arg, a := range f.args[1:] {
			if a.Null[i] {
				continue
			}
			if !first {
				f.out.Buf = append(f.out.Buf, f.bytes(0, i)...)
			}
			first = false
			f.out.Buf = f.append(f.out.Buf, arg+1, i)
		}
		f.finish(i, start)
	}
}

func countNulls(counted bool) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			n := int64(0)
			for _, a := range f.args {
				n += toInt(a.Null[i] == counted)
			}
			f.out.Int[i] = n
		}
	}
}

func quoteWith(appendQuoted func(dst, s []byte) []byte) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			start := len(f.out.Buf)
			f.out.Buf = appendQuoted(f.out.Buf, f.bytes(0, i))
			f.finish(i, start)
		}
	}
}

func quoteNullable(f *frame) {
	for _, i := range f.sel {
		start := len(f.out.Buf)
		if f.args[0].Null[i] {
			f.out.Buf = append(f.out.Buf, "NULL"...)
		} else {
			f.out.Buf = appendLiteral(f.out.Buf, f.bytes(0, i))
		}
		f.finish(i, start)
	}
}

func appendIdentifier(dst, s []byte) []byte {
	return append(dst, quoteIdentifier(string(s))...)
}

func appendLiteral(dst, s []byte) []byte {
	escapes := bytes.IndexByte(s, '\\') >= 0
	if escapes {
		dst = append(dst, 'E')
	}
	dst = append(dst, '\'')
	for _, c := range s {
		if c == '\'' || c == '\\' {
			dst = append(dst, c)
		}
		dst = append(dst, c)
	}
	return append(dst, '\'')
}

// formatSpec is one specifier of a format: %[position$][-][width]type.
type formatSpec struct {
	argument int   // its position from 1, 0 for the next one
	left     bool  // aligned to the left
	width    int64 // in characters
	// widthFrom is the position of the argument that gives the width: 0 for
	// the next one, -1 if none does.
	widthFrom int
	kind      byte
}

var (
	errUnterminated   = sqlerr.New(sqlerr.InvalidParameterValue, "unterminated format() type specifier")
	errTooFew         = sqlerr.New(sqlerr.InvalidParameterValue, "too few arguments for format()")
	errArgumentZero   = sqlerr.New(sqlerr.InvalidParameterValue, "format specifies argument 0, but arguments are numbered from 1")
	errWidthPosition  = sqlerr.New(sqlerr.InvalidParameterValue, "width argument position must be ended by \"$\"")
	errFormatNumber   = sqlerr.New(sqlerr.NumericValueOutOfRange, "number is out of range")
	errNullIdentifier = sqlerr.New(sqlerr.NullValueNotAllowed, "null values cannot be formatted as an SQL identifier")
)

func formatText(f *frame) {
	for _, i := range f.sel {
		if f.out.Null[i] = f.args[0].Null[i]; f.out.Null[i] {
			continue
		}
		start := len(f.out.Buf)
		if err := f.format(i, f.bytes(0, i)); err != nil {
			f.out.Buf = f.out.Buf[:start]
			f.fail(i, err)
			continue
		}
		f.finish(i, start)
	}
}

func (f *frame) format(i int32, format []byte) *sqlerr.Error {
	next := 1
	for len(format) > 0 {
		at := bytes.IndexByte(format, '%')
		if at < 0 {
			f.out.Buf = append(f.out.Buf, format...)
			return nil
		}
		f.out.Buf = append(f.out.Buf, format[:at]...)
		format = format[at+1:]
		if len(format) > 0 && format[0] == '%' {
			f.out.Buf, format = append(f.out.Buf, '%'), format[1:]
			continue
		}
		spec, rest, err := parseFormat(format)
		if err == nil {
			next, err = f.formatValue(i, spec, next)
		}
		if err != nil {
			return err
		}
		format = rest
	}
	return nil
}

// formatValue appends an argument as a specifier says; next is the argument
// that comes when none is named.
func (f *frame) formatValue(i int32, spec formatSpec, next int) (int, *sqlerr.Error) {
	if spec.widthFrom >= 0 {
		if spec.widthFrom > 0 {
			next = spec.widthFrom
		}
		if next >= len(f.args) {
			return 0, errTooFew
		}
		var err *sqlerr.Error
		if spec.width, err = f.widthOf(next, i); err != nil {
			return 0, err
		}
		next++
	}
	if spec.argument > 0 {
		next = spec.argument
	}
	if next >= len(f.args) {
		return 0, errTooFew
	}
	f.scratch = f.scratch[:0]
	switch {
	case !f.args[next].Null[i]:
		f.scratch = f.append(f.scratch, next, i)
		plain := len(f.scratch)
		switch spec.kind {
		case 'I':
			f.scratch = appendIdentifier(f.scratch, f.scratch[:plain])[plain:]
		case 'L':
			f.scratch = appendLiteral(f.scratch, f.scratch[:plain])[plain:]
		}
	case spec.kind == 'L':
		f.scratch = append(f.scratch, "NULL"...)
	case spec.kind == 'I':
		return 0, errNullIdentifier
	}
	return next + 1, f.align(f.scratch, spec)
}

// widthOf reads an argument as a width; NULL is 0.
func (f *frame) widthOf(arg int, i int32) (int64, *sqlerr.Error) {
	a := f.args[arg]
	if a.Null[i] {
		return 0, nil
	}
	if a.Type.Kind == column.Int2 || a.Type.Kind == column.Int4 {
		return a.Int[i], nil
	}
	width := column.NewVector(column.Of(column.Int4), 1)
	if err := datum.Input(width, 0, f.append(nil, arg, i)); err != nil {
		return 0, err
	}
	return width.Int[0], nil
}

// align appends a value, filled with spaces to the width.
func (f *frame) align(value []byte, spec formatSpec) *sqlerr.Error {
	width, left := spec.width, spec.left || spec.width < 0
	if width == math.MinInt32 {
		return errFormatNumber
	}
	if width < 0 {
		width = -width
	}
	missing := width - int64(utf8.RuneCount(value))
	if missing > maxGrowth {
		return errGrowth
	}
	if left {
		f.out.Buf = append(f.out.Buf, value...)
	}
	for ; missing > 0; missing-- {
		f.out.Buf = append(f.out.Buf, ' ')
	}
	if !left {
		f.out.Buf = append(f.out.Buf, value...)
	}
	return nil
}

// parseFormat reads what stands behind a %.
func parseFormat(s []byte) (spec formatSpec, rest []byte, err *sqlerr.Error) {
	spec.widthFrom = -1
	n, digits, s, err := formatNumber(s)
	switch {
	case err != nil:
		return spec, nil, err
	case digits && s[0] != '$':
		spec.width = n
		return formatType(spec, s)
	case digits && n == 0:
		return spec, nil, errArgumentZero
	case digits:
		spec.argument, s = int(n), s[1:]
	}
	for len(s) > 0 && s[0] == '-' {
		spec.left, s = true, s[1:]
	}
	if len(s) == 0 {
		return spec, nil, errUnterminated
	}
	indirect := s[0] == '*'
	if indirect {
		s = s[1:]
	}
	n, digits, s, err = formatNumber(s)
	switch {
	case err != nil:
		return spec, nil, err
	case !indirect:
		spec.width = n
	case !digits:
		spec.widthFrom = 0
	case s[0] != '$':
		return spec, nil, errWidthPosition
	case n == 0:
		return spec, nil, errArgumentZero
	default:
		spec.widthFrom, s = int(n), s[1:]
	}
	return formatType(spec, s)
}

// formatNumber reads digits; at least one byte is left after them.
func formatNumber(s []byte) (n int64, digits bool, rest []byte, err *sqlerr.Error) {
	for len(s) > 0 && s[0] >= '0' && s[0] <= '9' {
		if n = n*10 + int64(s[0]-'0'); n > math.MaxInt32 {
			return 0, false, nil, errFormatNumber
		}
		s, digits = s[1:], true
	}
	if len(s) == 0 {
		return 0, false, nil, errUnterminated
	}
	return n, digits, s, nil
}

func formatType(spec formatSpec, s []byte) (formatSpec, []byte, *sqlerr.Error) {
	if len(s) == 0 {
		return spec, nil, errUnterminated
	}
	if spec.kind = s[0]; spec.kind != 's' && spec.kind != 'I' && spec.kind != 'L' {
		return spec, nil, sqlerr.New(sqlerr.InvalidParameterValue, "unrecognized format() type specifier \"%s\"", s[:characterLength(s)])
	}
	return spec, s[1:], nil
}
