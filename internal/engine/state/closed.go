package state

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/millstream-dev/millstream/internal/engine/aggregate"
)

// Groups of closed windows are kept as blobs of the same encoding as open
// ones, compressed: keys and small counts repeat themselves. An open window's
// are not: they are written again and again, and read at every start.

// compressWindow is how far back the compressor looks. A blob is a few
// megabytes at most, and what the compressor holds is a few times as much.
const compressWindow = 1 << 20

// maxClosed bounds what a blob may become when it is unpacked: an engine cuts
// at 8 MiB, but never within a group.
const maxClosed = 512 << 20

var compressor = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(compressWindow))
	if err != nil {
		panic(err) // the options are constants
	}
	return e
})

var decompressor = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxClosed))
	if err != nil {
		panic(err)
	}
	return d
})

// Compress packs a blob of groups of a closed window.
func Compress(blob []byte) []byte { return compressor().EncodeAll(blob, nil) }

// LoadClosed reads the groups of a packed blob into g, as Load does: with
// their representatives, their flags and their accumulators, so that later
// rows merge into them as into those of an open window.
func (g *Groups) LoadClosed(packed []byte) error {
	blob, err := decompressor().DecodeAll(packed, nil)
	if err != nil {
		return fmt.Errorf("%w: %w", aggregate.ErrCorrupt, err)
	}
	return g.Load(blob, func(int64, int) bool { return true })
}

// Detached gives a window that is not among those of g.
func (g *Groups) Detached(start int64) *Window {
	return &Window{Start: start, End: g.end(start), Table: NewTable(g.Spec)}
}

// LoadInto reads a packed blob into a detached window.
func (g *Groups) LoadInto(w *Window, packed []byte) error {
	into := &Groups{Spec: g.Spec, Windows: map[int64]*Window{w.Start: w}, end: g.end}
	if err := into.LoadClosed(packed); err != nil {
		return err
	}
	if len(into.Windows) != 1 {
		return fmt.Errorf("%w: groups of another window", aggregate.ErrCorrupt)
	}
	return nil
}
