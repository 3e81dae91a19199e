package engine

import (
	"slices"

	"github.com/millstream-dev/millstream/internal/engine/state"
)

// A view's state is written as a log: each commit appends the groups that it
// changed (a delta of all shards; of a group that keeps many values, what has
// been added), and when deltas have outgrown the bases,
// bases are written anew, a few shards with each commit, until no delta is
// needed that is older than the oldest base.
const (
	// maxBlob cuts what one commit writes of a view's state into parts.
	maxBlob = 8 << 20
	// baseSlack is how many bytes of deltas are put up with beyond the size
	// of the bases.
	baseSlack = 4 << 20
	// basePerCommit is how many bytes of bases one commit writes at most,
	// at least one shard.
	basePerCommit = 1 << 20
)

// stateLog decides what one view writes of its state.
type stateLog struct {
	baseSeq    [state.Shards]int64
	baseBytes  [state.Shards]int64
	deltaBytes int64 // since the bases were begun anew
	rotating   bool
	next       int // shard to write next while rotating
}

// restore reads a view's blobs, bases before deltas, into its groups, and lets
// go of each: a large state is not held twice.
func (o *viewOwner) restore(blobs []StateBlob) error {
	slices.SortStableFunc(blobs, func(a, b StateBlob) int {
		if a.Base != b.Base {
			if a.Base {
				return -1
			}
			return 1
		}
		if a.Seq != b.Seq {
			return int(a.Seq - b.Seq)
		}
		return a.Part - b.Part
	})
	for i, b := range blobs {
		blobs[i].Data = nil
		if b.Base {
			o.log.baseSeq[b.Shard] = b.Seq
			o.log.baseBytes[b.Shard] += int64(len(b.Data))
		} else {
			o.log.deltaBytes += int64(len(b.Data))
		}
		err := o.groups.Load(b.Data, func(closes int64, shard int) bool {
			// What was written of a session before it grew may be of one that would
			// have closed since.
			open := closes > o.closing.upTo || o.session != nil
			return open && (b.Base || b.Seq > o.log.baseSeq[shard])
		})
		if err != nil {
			return err
		}
	}
	o.dropClosed()
	return nil
}

// write gives the blobs of a commit: a delta of the changed groups, and
// bases when they are due. dropBelow is the seq below which deltas are not
// needed any more, 0 for none.
func (o *viewOwner) write(seq int64, changed []touched) (blobs []StateBlob, dropBelow int64) {
	delta := blobWriter{view: o.id, shard: -1, seq: seq}
	for _, t := range changed {
		if o.isOpen(t.window, t.group) {
			delta.buf = o.groups.AppendChanges(delta.begin(), t.window, t.group)
		}
	}
	blobs = delta.finish(false)
	l := &o.log
	l.deltaBytes += delta.written
	if !l.rotating && l.deltaBytes > l.size()+baseSlack {
		l.rotating, l.next, l.deltaBytes = true, 0, 0
	}
	if !l.rotating {
		return blobs, 0
	}
	for written := int64(0); l.next < state.Shards && written < basePerCommit; l.next++ {
		base := o.base(l.next, seq)
		l.baseSeq[l.next], l.baseBytes[l.next] = seq, base.written
		written += base.written
		blobs = append(blobs, base.blobs...)
	}
	if l.next == state.Shards {
		l.rotating = false
		dropBelow = slices.Min(l.baseSeq[:]) + 1
	}
	return blobs, dropBelow
}

// isOpen tells whether a group is not wholly closed.
func (o *viewOwner) isOpen(w *state.Window, g uint32) bool {
	if o.session != nil {
		return w.Flags[g]&state.Gone == 0 && o.groups.Sessions.Closes(g) > o.closing.upTo
	}
	return w.End > o.closing.upTo
}

func (l *stateLog) size() int64 {
	var n int64
	for _, b := range l.baseBytes {
		n += b
	}
	return n
}

// base gives all groups of a shard; a shard without groups has a base too,
// which says so.
func (o *viewOwner) base(shard int, seq int64) *blobWriter {
	w := &blobWriter{view: o.id, shard: shard, seq: seq, base: true}
	for _, window := range o.groups.Sorted() {
		for g := range uint32(window.Len()) {
			if state.Shard(window.HashOf(g)) == shard && o.isOpen(window, g) {
				w.buf = o.groups.AppendGroup(w.begin(), window, g)
			}
		}
	}
	w.blobs = w.finish(true)
	return w
}

// blobWriter cuts groups into blobs.
type blobWriter struct {
	view    ViewID
	shard   int
	seq     int64
	base    bool
	buf     []byte
	blobs   []StateBlob
	written int64
}

// begin gives the buffer that the next group is to be appended to.
func (w *blobWriter) begin() []byte {
	if len(w.buf) >= maxBlob-maxBlob/8 {
		w.cut()
	}
	if len(w.buf) == 0 {
		w.buf = append(w.buf, state.Format)
	}
	return w.buf
}

func (w *blobWriter) cut() {
	w.written += int64(len(w.buf))
	w.blobs = append(w.blobs, StateBlob{View: w.view, Shard: w.shard, Seq: w.seq, Part: len(w.blobs), Base: w.base, Data: w.buf})
	w.buf = nil
}

// finish gives the blobs; with always there is one even if nothing was
// written.
func (w *blobWriter) finish(always bool) []StateBlob {
	if len(w.buf) > 0 || always && len(w.blobs) == 0 {
		w.buf = w.begin()
		w.cut()
	}
	return w.blobs
}
