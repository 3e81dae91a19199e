package expr

import (
	"math"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/decimal"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

func integerToBool(f *frame) {
	a := f.args[0].Int
	for _, i := range f.sel {
		f.setBool(i, a[i] != 0)
	}
}

func narrowInteger(to column.Kind) kernel {
	r := integerRanges[to]
	return func(f *frame) {
		a, out := f.args[0].Int, f.out.Int
		for _, i := range f.sel {
			if a[i] < r.low || a[i] > r.high {
				f.fail(i, r.err)
				continue
			}
			out[i] = a[i]
		}
	}
}

func integerToFloat(f *frame) {
	a, out := f.args[0].Int, f.out.Float
	for _, i := range f.sel {
		out[i] = float64(a[i])
	}
}

func integerToReal(f *frame) {
	a, out := f.args[0].Int, f.out.Float
	for _, i := range f.sel {
		out[i] = float64(float32(a[i]))
	}
}

func integerToDecimal(f *frame) {
	a := f.args[0].Int
	for _, i := range f.sel {
		start := len(f.out.Buf)
		f.out.Buf = decimal.EncodeInt64(f.out.Buf, a[i], 0)
		f.finish(i, start)
	}
}

// floatToInteger rounds halves to the even integer.
func floatToInteger(to column.Kind) kernel {
	r := integerRanges[to]
	// The high end of bigint isn't a double; its neighbour above is.
	low, end := float64(r.low), -float64(r.low)
	return func(f *frame) {
		a, out := f.args[0].Float, f.out.Int
		for _, i := range f.sel {
			x := math.RoundToEven(a[i])
			if !(x >= low && x < end) {
				f.fail(i, r.err)
				continue
			}
			out[i] = int64(x)
		}
	}
}

func floatToReal(f *frame) {
	a, out := f.args[0].Float, f.out.Float
	for _, i := range f.sel {
		x, err := toReal(a[i])
		if err != nil {
			f.fail(i, err)
			continue
		}
		out[i] = x
	}
}

func toReal(x float64) (float64, *sqlerr.Error) {
	r := float64(float32(x))
	if math.IsInf(r, 0) && !math.IsInf(x, 0) {
		return 0, errFloatOverflow
	}
	if r == 0 && x != 0 {
		return 0, errFloatUnderflow
	}
	return r, nil
}

func floatToDecimal(f *frame) {
	a := f.args[0].Float
	for _, i := range f.sel {
		f.setDecimal(i, decimal.FromFloat64(a[i]), nil)
	}
}

func realToDecimal(f *frame) {
	a := f.args[0].Float
	for _, i := range f.sel {
		f.setDecimal(i, decimal.FromFloat32(float32(a[i])), nil)
	}
}

func decimalToInteger(to column.Kind) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			f.setInteger(i, f.decimal(0, i), to)
		}
	}
}

// setInteger sets an integer result to a rounded numeric, or fails the row.
func (f *frame) setInteger(i int32, d decimal.Decimal, to column.Kind) {
	var n int64
	var err *sqlerr.Error
	switch to {
	case column.Int2:
		var n16 int16
		n16, err = d.Int16()
		n = int64(n16)
	case column.Int4:
		var n32 int32
		n32, err = d.Int32()
		n = int64(n32)
	default:
		n, err = d.Int64()
	}
	if err != nil {
		f.fail(i, err)
		return
	}
	f.out.Int[i] = n
}

func decimalToFloat(f *frame) {
	for _, i := range f.sel {
		f.setFloat(i, f.decimal(0, i))
	}
}

func (f *frame) setFloat(i int32, d decimal.Decimal) {
	x, err := d.Float64()
	if err != nil {
		f.fail(i, err)
		return
	}
	f.out.Float[i] = x
}

func decimalToReal(f *frame) {
	for _, i := range f.sel {
		f.setReal(i, f.decimal(0, i))
	}
}

func (f *frame) setReal(i int32, d decimal.Decimal) {
	x, err := d.Float32()
	if err != nil {
		f.fail(i, err)
		return
	}
	f.out.Float[i] = float64(x)
}

// fitDecimal applies numeric(precision, scale).
func fitDecimal(f *frame) {
	for _, i := range f.sel {
		d, err := f.decimal(0, i).Fit(f.typ.Precision, f.typ.Scale)
		f.setDecimal(i, d, err)
	}
}
