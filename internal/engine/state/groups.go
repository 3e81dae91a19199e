package state

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/engine/aggregate"
)

// Shards is into how many parts a view's groups are cut by the hash of their
// key, for writing bases. It is part of the state's format.
const Shards = 16

// Shard gives the shard of a hash: its upper bits, since a table's slots use
// the lower ones.
func Shard(hash uint64) int { return int(hash >> 60) }

// Format is the version of the encoding of groups. Each blob begins with it.
const Format = 1

// Windowless is the window number of a view without windows.
const Windowless = math.MinInt64

// Window is an open window's groups, or all sessions.
type Window struct {
	Start, End int64 // stored microseconds
	// Spans are the sessions' starts and ends, by group; nil for others.
	Spans []Span
	*Table
}

// Bounds gives the start and the end of the window, or of a session.
func (w *Window) Bounds(g uint32) (start, end int64) {
	if w.Spans != nil {
		return w.Spans[g].Start, w.Spans[g].End
	}
	return w.Start, w.End
}

// Groups are all groups of a view, by window, or by session.
type Groups struct {
	Spec     Spec
	Sessions *Sessions         // nil for others; with it there are no Windows
	Windows  map[int64]*Window // by start
	end      func(start int64) int64
	last     *Window // the one met last: rows come in runs
	spare    []spareTable
	spared   int64 // bytes of them all
}

// NewGroups gives an empty set; end tells a window's end by its start.
func NewGroups(spec Spec, end func(int64) int64) *Groups {
	return &Groups{Spec: spec, Windows: map[int64]*Window{}, end: end}
}

// Window gives the window that begins at start, opening it if it is not
// open.
func (g *Groups) Window(start int64) *Window {
	if g.last != nil && g.last.Start == start {
		return g.last
	}
	w := g.Windows[start]
	if w == nil {
		w = &Window{Start: start, End: g.end(start), Table: g.table()}
		g.Windows[start] = w
	}
	g.last = w
	return w
}

// Tables of windows that are closed serve those that are opened, where they
// are small: opening thousands of windows a second makes no garbage.
const (
	maxSpareBytes = 32 << 20
	emptyTable    = 1 << 10 // what a table takes beside its groups
)

type spareTable struct {
	*Table
	bytes int64 // when it was put aside
}

func (g *Groups) table() *Table {
	n := len(g.spare)
	if n == 0 {
		return NewTable(g.Spec)
	}
	t := g.spare[n-1]
	g.spare[n-1] = spareTable{}
	g.spare = g.spare[:n-1]
	g.spared -= t.bytes
	t.Clear()
	return t.Table
}

// Drop forgets a window. Its groups may be read until another is opened.
func (g *Groups) Drop(start int64) {
	if w := g.Windows[start]; w != nil {
		if bytes := emptyTable + w.Table.Bytes(); g.spared+bytes <= maxSpareBytes {
			g.spare = append(g.spare, spareTable{w.Table, bytes})
			g.spared += bytes
		}
	}
	delete(g.Windows, start)
	g.last = nil
}

// Sorted gives the windows in order of their start.
func (g *Groups) Sorted() []*Window {
	if g.Sessions != nil {
		return []*Window{g.Sessions.Window}
	}
	return slices.SortedFunc(maps.Values(g.Windows), func(a, b *Window) int { return cmp.Compare(a.Start, b.Start) })
}

// Len is the number of groups in all windows.
func (g *Groups) Len() int64 {
	if g.Sessions != nil {
		return int64(g.Sessions.Len())
	}
	var n int64
	for _, w := range g.Windows {
		n += int64(w.Len())
	}
	return n
}

// Bytes is about how much memory the groups hold.
func (g *Groups) Bytes() int64 {
	if g.Sessions != nil {
		return g.Sessions.Bytes() + 16*int64(cap(g.Sessions.Spans))
	}
	var n int64
	for _, w := range g.Windows {
		n += w.Bytes()
	}
	return n
}

// AppendGroup appends group i of window w to a blob.
func (g *Groups) AppendGroup(dst []byte, w *Window, i uint32) []byte {
	dst = w.appendKey(dst, i, true)
	for _, a := range w.Aggs {
		dst = a.Encode(dst, i)
	}
	return dst
}

// AppendChanges appends what has changed of group i of window w since that was
// appended last.
func (g *Groups) AppendChanges(dst []byte, w *Window, i uint32) []byte {
	if g.Sessions != nil && g.Sessions.whole[i] {
		return g.Sessions.appendWhole(dst, g, i)
	}
	dst = w.appendKey(dst, i, false)
	for _, a := range w.Aggs {
		dst = aggregate.EncodeChanges(a, dst, i)
	}
	return dst
}

// appendKey appends what comes before a group's accumulators; of a session also
// whether these are written as a whole.
func (w *Window) appendKey(dst []byte, i uint32, whole bool) []byte {
	start, end := w.Bounds(i)
	dst = binary.AppendVarint(dst, start)
	flags := w.Flags[i]
	if w.Spans != nil {
		dst = binary.AppendVarint(dst, end-start)
		if whole {
			flags |= written
		}
	}
	dst = append(dst, flags)
	for _, k := range w.Keys {
		if k.Null[i] {
			dst = append(dst, 0)
			continue
		}
		dst = append(dst, 1)
		dst = aggregate.EncodeValue(dst, k, int(i))
	}
	if w.Images() {
		dst = aggregate.EncodePosition(dst, w.At[i])
	}
	return dst
}

// Load reads the groups of a blob into g, replacing those that are there, or
// adding to them what the blob says has changed; keep tells by when a group's
// window closes, and its shard, whether it is wanted.
func (g *Groups) Load(blob []byte, keep func(closes int64, shard int) bool) error {
	if len(blob) == 0 || blob[0] != Format {
		return fmt.Errorf("%w: format %v, this program reads %d", aggregate.ErrCorrupt, blob[:min(1, len(blob))], Format)
	}
	l := loader{groups: g, keep: keep, scratch: NewTable(g.Spec)}
	src := blob[1:]
	for len(src) > 0 {
		var err error
		if src, err = l.group(src); err != nil {
			return err
		}
	}
	return nil
}

// loader decodes groups one at a time by way of a table of one group.
type loader struct {
	groups  *Groups
	keep    func(closes int64, shard int) bool
	scratch *Table
	key     []byte
}

func (l *loader) group(src []byte) ([]byte, error) {
	span, closes, src, err := l.window(src)
	if err != nil || len(src) == 0 {
		return nil, aggregate.ErrCorrupt
	}
	flags := src[0]
	src = src[1:]
	t := l.scratch
	t.Clear()
	l.key = l.key[:0]
	for _, k := range t.Keys {
		i := k.Grow()
		if len(src) == 0 {
			return nil, aggregate.ErrCorrupt
		}
		present := src[0] == 1
		src = src[1:]
		if present {
			k.Null[i] = false
			if src, err = aggregate.DecodeValue(src, k, i); err != nil {
				return nil, err
			}
		}
		l.key = datum.AppendKey(l.key, k, i)
	}
	var at aggregate.Position
	if t.Images() {
		if at, src, err = aggregate.DecodePosition(src); err != nil {
			return nil, err
		}
	}
	hash := Hash(l.key)
	if !l.keep(closes, Shard(hash)) {
		return l.skip(src)
	}
	w, g, fresh, err := l.place(hash, span, flags&written != 0)
	if err != nil {
		return nil, err
	}
	if fresh {
		w.Represent(g, true, t.Keys, 0, at)
	} else if t.Images() {
		w.replace(g, t.Keys, at)
	}
	w.Ready()
	w.Flags[g] = flags &^ (Gone | written)
	for _, a := range w.Aggs {
		if src, err = a.Decode(src, g); err != nil {
			return nil, err
		}
	}
	return src, nil
}

// window reads a group's window, of which a session's length is written, too,
// and gives when it closes.
func (l *loader) window(src []byte) (span Span, closes int64, rest []byte, err error) {
	start, n := binary.Varint(src)
	if n <= 0 {
		return span, 0, nil, aggregate.ErrCorrupt
	}
	s := l.groups.Sessions
	if s == nil {
		end := l.groups.end(start)
		return Span{start, end}, end, src[n:], nil
	}
	src = src[n:]
	length, n := binary.Varint(src)
	if n <= 0 || length < 0 || start > math.MaxInt64-length {
		return span, 0, nil, aggregate.ErrCorrupt
	}
	return Span{start, start + length}, s.closes(start + length), src[n:], nil
}

// place gives the group that is read its place.
func (l *loader) place(hash uint64, span Span, whole bool) (w *Window, g uint32, fresh bool, err error) {
	if s := l.groups.Sessions; s != nil {
		g, err = s.restore(hash, l.key, span, whole)
		return s.Window, g, whole, err
	}
	w = l.groups.Window(span.Start)
	g, fresh = w.Find(hash, l.key)
	return w, g, fresh, nil
}

func (l *loader) skip(src []byte) ([]byte, error) {
	for _, a := range l.scratch.Aggs {
		a.Grow(1)
		var err error
		if src, err = a.Decode(src, 0); err != nil {
			return nil, err
		}
	}
	return src, nil
}

// replace sets the representative of group g as it was written.
func (t *Table) replace(g uint32, keys []*column.Vector, at aggregate.Position) {
	t.At[g] = aggregate.Position{Source: math.MaxInt32}
	t.Represent(g, false, keys, 0, at)
	t.At[g] = at
}
