package engine

import (
	"math"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/engine/state"
)

// When a window is closed its groups are kept for a while in packed blobs, for
// rows that come after all and are sent through again (replays): a late row
// merges into its group's accumulators as it would have done in time.

// ClosedBlob holds groups of a closed window. A window of few groups has one
// blob of all shards; of a larger one each shard has blobs of its own, so that
// a correction writes a part of it. A window that was closed over several
// commits has blobs of each.
type ClosedBlob struct {
	View       ViewID
	Start, End int64 // the window's, stored microseconds
	Shard      int   // -1: of all shards
	// Part tells blobs of a shard apart: the number of its first group, in the
	// window's key order or, once it was corrected, in any.
	Part   int64
	Groups int64
	// WindowGroups are all groups of the window: it is whole when its blobs
	// have as many.
	WindowGroups int64
	Data         []byte // see state.Groups.LoadClosed
}

// ClosedWindow is what a store holds of a closed window.
type ClosedWindow struct {
	View       ViewID
	Start, End int64
	Groups     int64 // of its blobs
	Blobs      int64
	Bytes      int64 // of their data
}

// WindowPlace is a window's place in the order in which they close.
type WindowPlace struct{ End, Start int64 }

// noPlace is before all windows.
var noPlace = WindowPlace{column.NegativeInfinity, column.NegativeInfinity}

const (
	// wholeWindow is up to how many groups a window's blob is not sharded: at
	// some dozens of bytes for each it is read and written in a millisecond.
	wholeWindow = 4096
	// forgetBlobs bounds how many blobs one commit deletes beyond those that it
	// writes.
	forgetBlobs = 1000
)

// keeper knows which closed windows of a view are kept, the earliest first.
type keeper struct {
	windows []ClosedWindow
	bytes   int64
}

func (k *keeper) add(w ClosedWindow) {
	k.windows = append(k.windows, w)
	k.bytes += w.Bytes
}

// outdated tells whether a window is not worth keeping any more: it can't be
// corrected, or its rows have expired.
func (o *viewOwner) outdated(w WindowPlace) bool {
	if o.holding {
		return false
	}
	if w.End < less(o.time.floor, o.plan.Correctable.Microseconds()) {
		return true
	}
	return o.plan.Retention > 0 && w.Start < less(o.time.floor, o.plan.Retention.Microseconds())
}

// keep puts the groups that a commit closes into blobs, and tells which
// windows have to go for them.
func (o *viewOwner) keep(c *Commit, pieces []piece) {
	if o.plan.Correctable == 0 {
		return
	}
	written := int64(0)
	for _, p := range pieces {
		if o.outdated(WindowPlace{p.window.End, p.window.Start}) || p.first > 0 && !o.holds(p) {
			continue
		}
		if p.first == 0 {
			o.kept.add(ClosedWindow{View: o.id, Start: p.window.Start, End: p.window.End})
		}
		blobs := o.pack(p)
		c.Closed = append(c.Closed, blobs...)
		written += int64(len(blobs))
		w := &o.kept.windows[len(o.kept.windows)-1]
		for i := range blobs {
			w.Blobs++
			w.Groups += blobs[i].Groups
			w.Bytes += int64(len(blobs[i].Data))
			o.kept.bytes += int64(len(blobs[i].Data))
		}
	}
	bytes := o.plan.CorrectableBytes
	if o.holding {
		bytes = math.MaxInt64
	}
	if place, any := o.kept.forget(o.outdated, bytes, written+forgetBlobs); any {
		c.Forget[o.id] = place
		o.forgotten = place
	}
}

// holds tells whether the groups of a window that came before a piece are
// kept: without them the rest is of no use.
func (o *viewOwner) holds(p piece) bool {
	n := len(o.kept.windows)
	if n == 0 {
		return false
	}
	last := o.kept.windows[n-1]
	return last.End == p.window.End && last.Start == p.window.Start && last.Groups == p.first
}

// pack gives the blobs of a piece.
func (o *viewOwner) pack(p piece) []ClosedBlob {
	var out []ClosedBlob
	shards := 1
	if p.window.Len() > wholeWindow {
		shards = state.Shards
	}
	open := make([]*ClosedBlob, shards)
	finish := func(b *ClosedBlob) {
		b.Data = state.Compress(b.Data)
		out = append(out, *b)
	}
	for i, t := range p.groups {
		s, shard := 0, -1
		if shards > 1 {
			s = state.Shard(t.window.HashOf(t.group))
			shard = s
		}
		if b := open[s]; b != nil && len(b.Data) > maxBlob-maxBlob/8 {
			finish(b)
			open[s] = nil
		}
		if open[s] == nil {
			open[s] = &ClosedBlob{View: o.id, Start: p.window.Start, End: p.window.End, Shard: shard, Part: p.first + int64(i),
				WindowGroups: int64(p.window.Len()), Data: []byte{state.Format}}
		}
		open[s].Data = o.groups.AppendGroup(open[s].Data, t.window, t.group)
		open[s].Groups++
	}
	for _, b := range open {
		if b != nil {
			finish(b)
		}
	}
	return out
}

// forget takes out the earliest windows, until those that are left are not
// outdated and hold no more bytes than they may, or so many blobs are out. It
// gives the place of the last one.
func (k *keeper) forget(outdated func(WindowPlace) bool, bytes, blobs int64) (last WindowPlace, any bool) {
	n := 0
	for ; n < len(k.windows) && blobs > 0; n++ {
		w := &k.windows[n]
		place := WindowPlace{w.End, w.Start}
		if !outdated(place) && k.bytes <= bytes {
			break
		}
		k.bytes -= w.Bytes
		blobs -= w.Blobs
		last, any = place, true
	}
	k.windows = k.windows[n:]
	if cap(k.windows) > 64 && len(k.windows) < cap(k.windows)/4 {
		k.windows = append([]ClosedWindow(nil), k.windows...)
	}
	return last, any
}
