package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/millstream-dev/millstream/internal/engine"
)

// problem is what a fetch said of a partition instead of records, or of the
// whole cluster (Topic "").
type problem struct {
	partition engine.Partition
	cursor    *cursor // nil for the whole cluster
	err       error
}

// chunks makes chunks of what was fetched, and moves the source's positions.
type chunks struct {
	source   *Source
	pieces   []piece
	records  int
	problems []problem
}

// piece is a chunk in the making.
type piece struct {
	partition engine.Partition
	load      *load
	end       int64
}

func newChunks(s *Source) *chunks { return &chunks{source: s} }

// gather waits for an answer, if none is being taken apart, and takes what it
// and those behind it have, up to most records.
func (b *chunks) gather(ctx context.Context, most int) {
	s := b.source
	if s.current == nil {
		select {
		case s.current = <-s.responses:
			b.note(s.current)
		case <-ctx.Done():
		case <-s.closed:
			b.problems = append(b.problems, problem{err: ErrClosed})
		}
	}
	for s.current != nil && b.records < most && len(b.problems) == 0 {
		if b.take(s.current, most) {
			continue
		}
		s.current = nil
		select {
		case s.current = <-s.responses:
			b.note(s.current)
		default:
		}
	}
	if s.current != nil && len(s.current.shares) == 0 {
		s.current = nil
	}
}

// note takes a response's problems.
func (b *chunks) note(r *response) {
	for _, f := range r.problems {
		p := problem{partition: engine.Partition{TopicKey: engine.TopicKey{Server: r.server}}, cursor: f.cursor, err: f.err}
		if f.cursor != nil {
			p.partition = f.cursor.partition
			if alive, _ := b.source.fetchers[r.server].alive(f.cursor); !alive {
				continue
			}
		}
		b.problems = append(b.problems, p)
	}
	r.problems = nil
}

// take takes records of a response's first share, and tells whether there
// may be more in the response.
func (b *chunks) take(r *response, most int) bool {
	if len(r.shares) == 0 {
		return false
	}
	sh := &r.shares[0]
	f := b.source.fetchers[r.server]
	alive, paused := f.alive(sh.cursor)
	if !alive || paused || !b.share(sh, b.source.unpack[r.server], most) {
		if alive && paused { // fetched again when it is resumed
			f.setBack(sh.cursor, b.source.next[sh.cursor.partition])
		}
		if sh.begun {
			sh.batch.done()
		}
		r.shares = r.shares[1:]
	}
	return true
}

// share takes records of one partition, and tells whether there may be more.
func (b *chunks) share(sh *share, d *decompressor, most int) bool {
	s, p := b.source, sh.cursor.partition
	next := s.next[p]
	if err := sh.continues(next); err != nil {
		b.problem(sh, err)
		return false
	}
	c := b.piece(sh)
	if !sh.begun {
		after, ok, err := sh.next(next, d)
		s.next[p] = max(next, after)
		switch {
		case err != nil:
			b.problem(sh, err)
			return false
		case !ok:
			return false
		}
	}
	before := len(c.records)
	after, err := sh.records(c, s.next[p], most-b.records)
	b.records += len(c.records) - before
	s.next[p] = after
	if len(c.records) > before {
		delete(s.again, p)
	}
	if err != nil {
		b.problem(sh, err)
		return false
	}
	return true
}

// problem notes why a share is not taken.
func (b *chunks) problem(sh *share, err error) {
	b.problems = append(b.problems, problem{sh.cursor.partition, sh.cursor, &unreadableError{err}})
}

// unreadableError tells of records that have come and can't be read. That does
// not heal, though a decompressor may say what a broken connection says.
type unreadableError struct{ err error }

func (e *unreadableError) Error() string { return e.err.Error() }
func (e *unreadableError) Unwrap() error { return e.err }

// piece gives what the partition's chunk is made in, moved to the end.
func (b *chunks) piece(sh *share) *load {
	p := sh.cursor.partition
	last := len(b.pieces) - 1
	for i := range b.pieces {
		if b.pieces[i].partition == p {
			b.pieces[i], b.pieces[last] = b.pieces[last], b.pieces[i]
			b.pieces[last].end = sh.end
			return b.pieces[last].load
		}
	}
	b.pieces = append(b.pieces, piece{partition: p, load: b.source.loads.take(), end: sh.end})
	b.pieces[last+1].load.from = b.source.next[p]
	return b.pieces[last+1].load
}

// finish gives the chunks.
func (b *chunks) finish() []engine.Chunk {
	var out []engine.Chunk
	for _, q := range b.pieces {
		next := b.source.next[q.partition]
		if next == q.load.from {
			q.load.give()
			continue
		}
		c := engine.Chunk{Partition: q.partition, Records: q.load.records, Next: next, End: -1, Release: q.load.free}
		if q.end >= 0 { // some old brokers don't say
			c.End = max(q.end, next)
		}
		out = append(out, c)
	}
	return out
}

// continues checks that a share goes on where the position is: what was
// fetched before it has been taken, and the broker has not moved by itself.
func (s *share) continues(next int64) error {
	if s.begun || batchLength(s.in) == 0 {
		return nil
	}
	first := int64(binary.BigEndian.Uint64(s.in))
	switch {
	case s.from > next:
		return fmt.Errorf("what was fetched from offset %d on does not follow", s.from)
	case first > next && s.start > next:
		return engine.Expired(s.cursor.partition, next, min(s.start, first))
	}
	return nil
}

// judge decides on what the last fetch met: to go on, or to end for good. An
// end is remembered, so that each later Poll gives it too.
func (s *Source) judge(ctx context.Context) error {
	problems := s.deferred
	s.deferred = nil
	for i, p := range problems {
		err := s.verdict(ctx, p)
		if err == nil {
			if p.cursor != nil {
				s.fetchers[p.partition.Server].resume(p.cursor)
			}
			continue
		}
		if ctx.Err() != nil {
			s.deferred = problems[i:]
			return context.Cause(ctx)
		}
		s.lost = err
		return err
	}
	return nil
}

// verdict is nil when reading can go on.
func (s *Source) verdict(ctx context.Context, p problem) error {
	if errors.Is(p.err, ErrClosed) {
		return ErrClosed
	}
	v := s.servers[p.partition.Server]
	kind := classify(p.err)
	if kind != ended && kind != closed {
		v.health.set(p.err)
	}
	switch kind {
	case ended:
		return nil // Poll looks at its ctx
	case closed:
		return ErrClosed
	case identity:
		return s.checkIdentity(ctx, p.partition)
	case outOfRange:
		return s.checkRange(ctx, p.partition)
	case passing:
		return nil
	}
	var lost *engine.LostError
	if errors.As(p.err, &lost) {
		return p.err
	}
	if p.partition.Topic == "" {
		return v.explain("read", p.err)
	}
	return v.explain(fmt.Sprintf("read topic %q partition %d from offset %d",
		p.partition.Topic, p.partition.Partition, s.next[p.partition]), p.err)
}
