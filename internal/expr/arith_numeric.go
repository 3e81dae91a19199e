package expr

import (
	"github.com/millstream-dev/millstream/internal/decimal"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// decimalKernel makes a kernel of an operation on two numerics.
func decimalKernel(op func(a, b decimal.Decimal) (decimal.Decimal, *sqlerr.Error)) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			d, err := op(f.decimal(0, i), f.decimal(1, i))
			f.setDecimal(i, d, err)
		}
	}
}

// decimalFunction makes a kernel of a function of one numeric.
func decimalFunction(op func(decimal.Decimal) (decimal.Decimal, *sqlerr.Error)) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			d, err := op(f.decimal(0, i))
			f.setDecimal(i, d, err)
		}
	}
}

func negateDecimal(d decimal.Decimal) (decimal.Decimal, *sqlerr.Error) { return d.Neg(), nil }

func absoluteDecimal(d decimal.Decimal) (decimal.Decimal, *sqlerr.Error) { return d.Abs(), nil }

func roundDecimal(d decimal.Decimal) (decimal.Decimal, *sqlerr.Error) { return d.Round(0) }

// roundToScale is round(numeric, integer).
func roundToScale(f *frame) {
	scale := f.args[1].Int
	for _, i := range f.sel {
		d, err := f.decimal(0, i).Round(int32(scale[i]))
		f.setDecimal(i, d, err)
	}
}
