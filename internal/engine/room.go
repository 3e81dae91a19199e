package engine

import (
	"cmp"
	"slices"
)

// DefaultMaxCommitRows: PostgreSQL takes 100,000 to 300,000 upserts a second,
// so a commit of so many rows takes a second at most. Rows locked by it, and
// what it keeps other views from showing, wait no longer; and what a commit
// costs beside its rows, some milliseconds, no longer counts.
const DefaultMaxCommitRows = 100_000

// resultBytes is how many bytes the texts of a partial's rows take: a view
// without groups keeps each row until the commit, and an expression, or a
// table that is joined, makes rows far wider than the records were.
func resultBytes(p *partial) int64 {
	var n int
	for _, v := range p.views {
		if v.rows == nil {
			continue
		}
		for _, c := range v.rows.cols {
			n += len(c.Buf)
		}
	}
	return int64(n)
}

// A commit's rows are shared out as follows. Rows that the epoch's records
// have changed all go with it: the epoch has ended at the limit. What is left
// goes to windows that close, and then to rows that expire. Where such work
// has waited since the commit before, half of the limit is its own, and the
// epoch has ended at the other half: without that, an engine under load would
// never come to it.

// expiryShare is the part of the room that is kept for rows that wait to
// expire while windows close.
const expiryShare = 4

// rowLimit is how many result rows end an epoch.
func rowLimit(limit int64, waiting bool) int64 {
	if waiting {
		return max(limit/2, 1)
	}
	return limit
}

// roomLeft is how many rows a commit may hold beside those that its epoch has
// changed.
func roomLeft(limit, written int64, waiting bool) int64 {
	left := max(limit-written, 0)
	if waiting {
		left = max(left, limit-rowLimit(limit, true), 1)
	}
	return left
}

// closingRoom gives for each view how many groups may be closed.
func closingRoom(views []*viewOwner, left int64) []int64 {
	due := make([]int64, len(views))
	expiring := false
	for id, o := range views {
		due[id] = o.due()
		expiring = expiring || o.expiring
	}
	if expiring && left > 1 {
		left -= max(left/expiryShare, 1)
	}
	return divide(left, due)
}

// divide shares n out evenly; what one does not need goes to the others.
func divide(n int64, needs []int64) []int64 {
	order := make([]int, len(needs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(needs[a], needs[b]) })
	out := make([]int64, len(needs))
	for k, i := range order {
		others := int64(len(order) - k)
		out[i] = min(needs[i], (n+others-1)/others)
		n -= out[i]
	}
	return out
}

// resultBytes is how many bytes the rows of the open epoch take.
func (r *run) resultBytes() int64 {
	var n int64
	for _, w := range r.workers {
		n += w.bytes.Load()
	}
	return n
}

// look finds out what the views have left to be gone on with. While more than
// a commit's rows wait behind the first windows, nothing is read: windows close
// faster than they can be written, and would pile up.
func (r *run) look() {
	r.waiting = false
	var excess int64
	for _, o := range r.views {
		r.waiting = r.waiting || o.unfinished()
		excess += o.closing.excess
	}
	r.behind = excess > r.engine.opts.MaxCommitRows
}
