package kafka

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/internal/engine"
)

// What a steady stream of records needs is used again: a chunk's records when
// the chunk is released, and what a batch was decompressed into when the last
// chunk of its records is.

const (
	// maxSpares bounds each list of memory to be used again: about as many as
	// are on their way through the engine.
	maxSpares = 16
	// maxSpareBytes, maxSpareRecords and maxSpareHeaders bound one piece: what
	// an unusual batch has needed is not held on to.
	maxSpareBytes   = 4 << 20
	maxSpareRecords = 1 << 16
	maxSpareHeaders = 1 << 18
)

// slab is memory that several chunks refer to.
type slab struct {
	bytes []byte
	users atomic.Int32
	owner *decompressor
}

func (s *slab) retain() { s.users.Add(1) }

// release gives the memory back when nobody refers to it any more.
func (s *slab) release() {
	if s.users.Add(-1) == 0 {
		s.owner.put(s.bytes)
	}
}

// decompressor decompresses batches within the client's limit. It is the
// library's pool of memory to decompress into.
type decompressor struct {
	inner kgo.Decompressor
	mu    sync.Mutex
	spare [][]byte
}

var _ kgo.PoolDecompressBytes = (*decompressor)(nil)

// decompress gives the content of compressed, with one user.
func (d *decompressor) decompress(compressed []byte, codec kgo.CompressionCodecType) ([]byte, *slab, error) {
	out, err := d.inner.Decompress(compressed, codec)
	if err != nil {
		return nil, nil, err
	}
	s := &slab{bytes: out, owner: d}
	s.retain()
	return out, s, nil
}

// GetDecompressBytes implements kgo.PoolDecompressBytes.
func (d *decompressor) GetDecompressBytes(compressed []byte, _ kgo.CompressionCodecType) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := len(d.spare); n > 0 {
		b := d.spare[n-1]
		d.spare = d.spare[:n-1]
		return b[:0]
	}
	const usualRatio = 4
	return make([]byte, 0, min(usualRatio*len(compressed), maxSpareBytes))
}

// PutDecompressBytes implements kgo.PoolDecompressBytes: what was taken for a
// batch that can't be decompressed.
func (d *decompressor) PutDecompressBytes(b []byte) { d.put(b) }

func (d *decompressor) put(b []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if cap(b) > 0 && cap(b) <= maxSpareBytes && len(d.spare) < maxSpares {
		d.spare = append(d.spare, b[:0])
	}
}

// load is what a chunk takes up.
type load struct {
	records []engine.Record
	headers headers
	slabs   []*slab
	from    int64 // the position before it
	home    *loads
	free    func() // give, bound once
}

// loads are those that can be used again.
type loads struct {
	mu    sync.Mutex
	spare []*load
}

func (l *loads) take() *load {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.spare); n > 0 {
		c := l.spare[n-1]
		l.spare = l.spare[:n-1]
		return c
	}
	c := &load{home: l}
	c.free = c.give
	return c
}

// give takes the load back when its chunk is released.
func (c *load) give() {
	for _, s := range c.slabs {
		s.release()
	}
	clear(c.slabs)
	clear(c.records) // lest they hold on to a fetch
	c.slabs, c.records = c.slabs[:0], c.records[:0]
	c.headers.reset()
	if cap(c.records) > maxSpareRecords || cap(c.headers.list) > maxSpareHeaders {
		return
	}
	c.home.mu.Lock()
	defer c.home.mu.Unlock()
	if len(c.home.spare) < maxSpares {
		c.home.spare = append(c.home.spare, c)
	}
}

// holds tells that the chunk's records lie in s.
func (c *load) holds(s *slab) {
	if s == nil || len(c.slabs) > 0 && c.slabs[len(c.slabs)-1] == s {
		return
	}
	s.retain()
	c.slabs = append(c.slabs, s)
}

// headers holds the headers of a chunk's records. Their keys are few, and are
// remembered.
type headers struct {
	list []engine.Header
	keys map[string]string
}

// maxHeaderKeys and maxHeaderKeyBytes bound what is remembered of keys.
const (
	maxHeaderKeys     = 256
	maxHeaderKeyBytes = 128
)

func (h *headers) reset() {
	clear(h.list)
	h.list = h.list[:0]
}

// take reads n headers at p.
func (h *headers) take(in []byte, p, n int) ([]engine.Header, bool) {
	start := len(h.list)
	for range n {
		var key, value []byte
		if key, p = varbytes(in, p); p <= 0 || key == nil {
			return nil, false
		}
		if value, p = varbytes(in, p); p <= 0 {
			return nil, false
		}
		h.list = append(h.list, engine.Header{Key: h.key(key), Value: value})
	}
	return h.list[start:len(h.list):len(h.list)], true
}

func (h *headers) key(b []byte) string {
	if s, ok := h.keys[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(b) <= maxHeaderKeyBytes && len(h.keys) < maxHeaderKeys {
		if h.keys == nil {
			h.keys = make(map[string]string)
		}
		h.keys[s] = s
	}
	return s
}

// tooLarge tells a batch that takes more memory than a batch may.
func tooLarge(err error) bool {
	var large *kgo.ErrDecompressTooLarge
	return errors.Is(err, kgo.ErrMaxDecompress) || errors.As(err, &large)
}
