package expr

import "github.com/millstream-dev/millstream/internal/sqlerr"

// RowErrors holds the failures of a batch's rows: the first one of each row,
// in order of evaluation.
type RowErrors struct {
	errs []*sqlerr.Error
	any  bool
}

// Reset makes r ready for a batch of n rows, none of them failed.
func (r *RowErrors) Reset(n int) {
	if r.any {
		clear(r.errs)
		r.any = false
	}
	if cap(r.errs) < n {
		r.errs = make([]*sqlerr.Error, n, n+n/4)
	}
	r.errs = r.errs[:n]
}

// Set records that a row failed. A row keeps its first failure.
func (r *RowErrors) Set(row int32, err *sqlerr.Error) {
	if r.errs[row] == nil {
		r.errs[row] = err
	}
	r.any = true
}

// Get gives a row's failure, nil if it has none.
func (r *RowErrors) Get(row int32) *sqlerr.Error { return r.errs[row] }

// Any tells whether some row failed.
func (r *RowErrors) Any() bool { return r.any }

// Compact drops the failed rows from a selection, in place.
func (r *RowErrors) Compact(sel []int32) []int32 {
	if !r.any {
		return sel
	}
	out := sel[:0]
	for _, i := range sel {
		if r.errs[i] == nil {
			out = append(out, i)
		}
	}
	return out
}
