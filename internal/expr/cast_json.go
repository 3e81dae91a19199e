package expr

import (
	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/decimal"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// jsonKind names what a document is, as PostgreSQL's messages do.
func jsonKind(doc []byte) string {
	switch doc[0] {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 'n':
		return "null"
	case 't', 'f':
		return "boolean"
	}
	return "numeric"
}

func (f *frame) failJSON(i int32, kind string) {
	f.fail(i, sqlerr.New(sqlerr.InvalidParameterValue, "cannot cast jsonb %s to type %s", kind, f.typ.Kind.Name()))
}

// eachJSONNumber calls set for the rows that are numbers, and fails the
// others.
func eachJSONNumber(f *frame, set func(i int32, d decimal.Decimal)) {
	for _, i := range f.sel {
		doc := f.bytes(0, i)
		if kind := jsonKind(doc); kind != "numeric" {
			f.failJSON(i, kind)
			continue
		}
		d, err := decimal.Parse(doc)
		if err != nil {
			f.fail(i, err)
			continue
		}
		set(i, d)
	}
}

func jsonToDecimal(f *frame) {
	eachJSONNumber(f, func(i int32, d decimal.Decimal) { f.setDecimal(i, d, nil) })
}

func jsonToInteger(to column.Kind) kernel {
	return func(f *frame) {
		eachJSONNumber(f, func(i int32, d decimal.Decimal) { f.setInteger(i, d, to) })
	}
}

func jsonToFloat(f *frame) { eachJSONNumber(f, f.setFloat) }

func jsonToReal(f *frame) { eachJSONNumber(f, f.setReal) }

func jsonToBool(f *frame) {
	for _, i := range f.sel {
		doc := f.bytes(0, i)
		if kind := jsonKind(doc); kind != "boolean" {
			f.failJSON(i, kind)
			continue
		}
		f.setBool(i, doc[0] == 't')
	}
}
