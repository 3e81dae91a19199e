package expr

import (
	"math"
	"time"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/decimal"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// frame is what a kernel computes with: for the rows in sel it reads args and
// sets out. All vectors are as long as the batch.
type frame struct {
	out      *column.Vector
	args     []*column.Vector
	sel      []int32
	errs     *RowErrors
	typ      column.Type // of the result, with its modifier
	function *Function

	// Memory that a kernel keeps from row to row.
	arrays   []*column.Vector // elements of array arguments
	made     *column.Vector   // elements of a result
	scratch  []byte
	live     []int32
	word     []byte         // the text that cached was made of
	cached   any            // what a kernel made of a text argument, mostly a constant
	zone     *time.Location // likewise for time zones
	zoneName []byte
}

// fail makes row i fail: its value is NULL and its error is recorded.
func (f *frame) fail(i int32, err *sqlerr.Error) {
	f.out.Null[i] = true
	f.errs.Set(i, err)
}

// errTooLong is what a batch whose result doesn't fit a vector gives.
var errTooLong = sqlerr.New(sqlerr.ProgramLimitExceeded, "string too long (%d bytes in a batch are allowed)", uint32(math.MaxUint32))

// finish ends a value that was appended to out.Buf from start on.
func (f *frame) finish(i int32, start int) {
	if len(f.out.Buf) > column.MaxBuffer {
		f.out.Buf = f.out.Buf[:start]
		f.fail(i, errTooLong)
		return
	}
	f.out.FinishBytes(int(i), start)
}

// bytes gives an argument's value.
func (f *frame) bytes(arg int, i int32) []byte { return f.args[arg].Bytes(int(i)) }

// decimal gives a numeric argument's value.
func (f *frame) decimal(arg int, i int32) decimal.Decimal {
	b := f.args[arg].Bytes(int(i))
	if n, scale, ok := decimal.DecodeInt64(b); ok {
		return decimal.New(n, scale)
	}
	return decimal.Decode(b)
}

// setDecimal sets a numeric result, or fails the row.
func (f *frame) setDecimal(i int32, d decimal.Decimal, err *sqlerr.Error) {
	if err != nil {
		f.fail(i, err)
		return
	}
	start := len(f.out.Buf)
	f.out.Buf = d.Encode(f.out.Buf)
	f.finish(i, start)
}

// setBool sets a boolean result.
func (f *frame) setBool(i int32, b bool) {
	f.out.Int[i] = 0
	if b {
		f.out.Int[i] = 1
	}
}
