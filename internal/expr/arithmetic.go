package expr

import (
	"math"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/decimal"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// arithmeticFunctions are + - * / % and the signs on numbers.
func arithmeticFunctions() []*Function {
	var out []*Function
	add := func(f *Function) { out = append(out, f) }
	for _, a := range []column.Kind{column.Int2, column.Int4, column.Int8} {
		for _, b := range []column.Kind{column.Int2, column.Int4, column.Int8} {
			r := max(a, b) // the kinds of integers are in order of their size
			add(line("+", kinds(a, b), r, integerKernel(r, addIntegers), "sum"))
			add(line("-", kinds(a, b), r, integerKernel(r, subtractIntegers), "difference"))
			add(line("*", kinds(a, b), r, integerKernel(r, multiplyIntegers), "product"))
			add(line("/", kinds(a, b), r, divideInteger(r), "quotient, cut to an integer"))
		}
		add(line("%", kinds(a, a), a, remainderInteger, "remainder, with the dividend's sign"))
		add(line("+", kinds(a), a, same, "the number itself"))
		add(line("-", kinds(a), a, negateInteger(a), "negation"))
	}
	type float func(a, b float64) (float64, *sqlerr.Error)
	for _, a := range []column.Kind{column.Float4, column.Float8} {
		for _, b := range []column.Kind{column.Float4, column.Float8} {
			r, ops := max(a, b), [4]float{addFloats, subtractFloats, multiplyFloats, divideFloats}
			if r == column.Float4 {
				ops = [4]float{addReals, subtractReals, multiplyReals, divideReals}
			}
			add(line("+", kinds(a, b), r, floatKernel(ops[0]), "sum"))
			add(line("-", kinds(a, b), r, floatKernel(ops[1]), "difference"))
			add(line("*", kinds(a, b), r, floatKernel(ops[2]), "product"))
			add(line("/", kinds(a, b), r, floatKernel(ops[3]), "quotient"))
		}
		add(line("+", kinds(a), a, same, "the number itself"))
		add(line("-", kinds(a), a, floatFunction(negateFloat), "negation"))
	}
	n := column.Numeric
	return append(out,
		line("+", kinds(n, n), n, decimalKernel(decimal.Decimal.Add), "sum, exact"),
		line("-", kinds(n, n), n, decimalKernel(decimal.Decimal.Sub), "difference, exact"),
		line("*", kinds(n, n), n, decimalKernel(decimal.Decimal.Mul), "product, exact"),
		line("/", kinds(n, n), n, decimalKernel(decimal.Decimal.Div), "quotient, with at least 16 significant digits"),
		line("%", kinds(n, n), n, decimalKernel(decimal.Decimal.Mod), "remainder, with the dividend's sign"),
		line("+", kinds(n), n, same, "the number itself"),
		line("-", kinds(n), n, decimalFunction(negateDecimal), "negation"),
	)
}

// numericFunctions are the functions of numbers.
func numericFunctions() []*Function {
	const (
		i2, i4, i8     = column.Int2, column.Int4, column.Int8
		f4, f8, number = column.Float4, column.Float8, column.Numeric
	)
	return []*Function{
		line("abs", kinds(i2), i2, absoluteInteger(i2), "absolute value"),
		line("abs", kinds(i4), i4, absoluteInteger(i4), "absolute value"),
		line("abs", kinds(i8), i8, absoluteInteger(i8), "absolute value"),
		line("abs", kinds(f4), f4, floatFunction(math.Abs), "absolute value"),
		line("abs", kinds(f8), f8, floatFunction(math.Abs), "absolute value"),
		line("abs", kinds(number), number, decimalFunction(absoluteDecimal), "absolute value"),
		line("round", kinds(f8), f8, floatFunction(math.RoundToEven), "nearest integer, halves to the even one"),
		line("round", kinds(number), number, decimalFunction(roundDecimal), "nearest integer, halves away from zero"),
		line("round", kinds(number, i4), number, roundToScale, "rounded to so many digits after the point, halves away from zero"),
		line("floor", kinds(f8), f8, floatFunction(math.Floor), "greatest integer not above"),
		line("floor", kinds(number), number, decimalFunction(decimal.Decimal.Floor), "greatest integer not above"),
		line("ceil", kinds(f8), f8, floatFunction(math.Ceil), "least integer not below"),
		line("ceil", kinds(number), number, decimalFunction(decimal.Decimal.Ceil), "least integer not below"),
		line("ceiling", kinds(f8), f8, floatFunction(math.Ceil), "least integer not below"),
		line("ceiling", kinds(number), number, decimalFunction(decimal.Decimal.Ceil), "least integer not below"),
		line("mod", kinds(i2, i2), i2, remainderInteger, "remainder, with the dividend's sign"),
		line("mod", kinds(i4, i4), i4, remainderInteger, "remainder, with the dividend's sign"),
		line("mod", kinds(i8, i8), i8, remainderInteger, "remainder, with the dividend's sign"),
		line("mod", kinds(number, number), number, decimalKernel(decimal.Decimal.Mod), "remainder, with the dividend's sign"),
	}
}
