package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/millstream-dev/millstream/internal/engine/state"
)

// A replay for a window that is closed merges into the accumulators that were
// kept when it closed, shard by shard. What comes out is written as the rows of
// any other window, and kept in its place.

// reopened is what was read of a closed window.
type reopened struct {
	end    int64
	window *state.Window // the groups of the shards that were read
	shards []int         // that were read: -1, or some
	groups int64         // of these shards, as they were kept
	blobs  int64
	bytes  int64
	rest   int64 // groups of the other shards
	// changed: a replay has merged into it. One that was refused after all has
	// not.
	changed bool
}

// errNotWhole: a part of the window was never kept.
var errNotWhole = errors.New("not all of the window was kept")

// reopen reads the shards of a closed window that a replay needs and that no
// other of the batch has read.
func (r *run) reopen(ctx context.Context, taken *replayTaken, n closedNeed) error {
	if taken.reopened[n.view] == nil {
		taken.reopened[n.view] = map[int64]*reopened{}
	}
	w := taken.reopened[n.view][n.start]
	if w != nil && (slices.Contains(w.shards, -1) || slices.Contains(w.shards, n.shards[0])) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, replayTimeout)
	defer cancel()
	kept, err := r.replays.reader.KeptWindow(ctx, n.view, n.start, n.end, n.shards)
	if err != nil {
		return err
	}
	if kept.Groups != kept.WindowGroups {
		return fmt.Errorf("%w: %d of %d groups", errNotWhole, kept.Groups, kept.WindowGroups)
	}
	if w == nil {
		w = &reopened{end: n.end, rest: kept.WindowGroups, window: r.views[n.view].groups.Detached(n.start)}
	}
	shards := n.shards
	if kept.WindowGroups == 0 || slices.ContainsFunc(kept.Blobs, func(b ClosedBlob) bool { return b.Shard < 0 }) {
		shards = []int{-1}
	}
	for _, b := range kept.Blobs {
		if err := r.views[n.view].groups.LoadInto(w.window, b.Data); err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		w.groups += b.Groups
		w.rest -= b.Groups
		w.blobs++
		w.bytes += int64(len(b.Data))
	}
	w.shards = append(w.shards, shards...)
	taken.reopened[n.view][n.start] = w
	return nil
}

// corrections gives those of groups that are of closed windows.
func (o *viewOwner) corrections(groups []touched) []touched {
	var out []touched
	for _, t := range groups {
		if w := o.reopened[t.window.Start]; w != nil && w.window == t.window {
			out = append(out, t)
		}
	}
	return out
}

// correct gives the blobs that take the place of what was kept of the closed
// windows that replays have changed.
func (o *viewOwner) correct(c *Commit) {
	starts := make([]int64, 0, len(o.reopened))
	for start := range o.reopened {
		starts = append(starts, start)
	}
	slices.Sort(starts)
	for _, start := range starts {
		w := o.reopened[start]
		if !w.changed {
			continue
		}
		total := w.rest + int64(w.window.Len())
		corrected := CorrectedWindow{View: o.id, Start: start, End: w.end, Shards: w.shards, WindowGroups: total}
		var bytes int64
		for _, shard := range w.shards {
			corrected.Blobs = append(corrected.Blobs, o.packShard(w, shard, total)...)
		}
		for i := range corrected.Blobs {
			bytes += int64(len(corrected.Blobs[i].Data))
		}
		c.Corrected = append(c.Corrected, corrected)
		o.kept.corrected(ClosedWindow{View: o.id, Start: start, End: w.end, Groups: int64(w.window.Len()) - w.groups,
			Blobs: int64(len(corrected.Blobs)) - w.blobs, Bytes: bytes - w.bytes})
	}
	o.reopened = nil
}

// packShard gives the blobs of a shard of a window that was read again; -1: of
// all of it.
func (o *viewOwner) packShard(w *reopened, shard int, total int64) []ClosedBlob {
	var out []ClosedBlob
	for g := range uint32(w.window.Len()) {
		if shard >= 0 && state.Shard(w.window.HashOf(g)) != shard {
			continue
		}
		if n := len(out); n == 0 || len(out[n-1].Data) > maxBlob-maxBlob/8 {
			out = append(out, ClosedBlob{View: o.id, Start: w.window.Start, End: w.end, Shard: shard, Part: int64(g), WindowGroups: total, Data: []byte{state.Format}})
		}
		b := &out[len(out)-1]
		b.Data = o.groups.AppendGroup(b.Data, w.window, g)
		b.Groups++
	}
	for i := range out {
		out[i].Data = state.Compress(out[i].Data)
	}
	return out
}

// corrected adds to what is known of a window, or enters it: one that held no
// row when it closed was not kept.
func (k *keeper) corrected(more ClosedWindow) {
	k.bytes += more.Bytes
	at, found := slices.BinarySearchFunc(k.windows, more, func(a, b ClosedWindow) int {
		return cmp.Or(cmp.Compare(a.End, b.End), cmp.Compare(a.Start, b.Start))
	})
	if !found {
		k.windows = slices.Insert(k.windows, at, more)
		return
	}
	w := &k.windows[at]
	w.Groups += more.Groups
	w.Blobs += more.Blobs
	w.Bytes += more.Bytes
}
