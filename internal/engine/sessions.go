package engine

import (
	"cmp"
	"slices"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/engine/state"
	"github.com/millstream-dev/millstream/internal/engine/window"
	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/plan"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// A session's start and end follow from its events, so nobody knows them
// before the events of all partitions have met. A worker adds each event to
// the group of its pane, which is no longer than the gap, so that a pane's
// events of one key are of one session whatever else there is; and notes the
// group's first and last event time. The owner of the view's state adds these
// groups to the open sessions: one that it touches grows, and those that it
// touches together become one.
//
// A row that stands in the table under a session's former start and end is
// deleted by the commit that writes the session's row.

// sessionOwner is what a view's owner has for sessions.
type sessionOwner struct {
	*window.Session
	startInKey, endInKey bool // of the view's table
	// ttl: the table's key has neither, and of each key the last session's row.
	ttl bool
	// before are the sessions that an epoch has changed and that the table, or
	// group_errors, tells of, as they were.
	before []shownSession
	// queue are sessions that close, in the order in which they do; those that
	// close up to queuedTo are in it, or are gone.
	queue    []touched
	queuedTo int64
	last     int64 // when the last of all sessions that were open closes
	hits     []uint32
}

// shownSession is what readers were told of a session: by flags, a row or an
// error.
type shownSession struct {
	group uint32
	span  state.Span
	flags uint8
}

func newSessionOwner(v *plan.View, s *window.Session) *sessionOwner {
	o := &sessionOwner{Session: s, ttl: v.Window.TTL, queuedTo: column.NegativeInfinity, last: column.NegativeInfinity}
	for _, k := range v.Key {
		if c, ok := v.Outputs[k].(*expr.Column); ok {
			o.startInKey = o.startInKey || c.Index == 0
			o.endInKey = o.endInKey || c.Index == 1
		}
	}
	return o
}

// assignSessions finds each row's pane, and takes out rows that are late: a row
// is as if it were a session of its own.
func (r *branchRun) assignSessions(times *column.Vector) {
	b := r.branch
	n := r.decoded.batch.N
	b.starts, b.ends = sized(b.starts, n), sized(b.ends, n)
	kept := b.sel[:0]
	for _, i := range b.sel {
		t := times.Int[i]
		start, ok := b.session.Start(t)
		if times.Null[i] || !ok {
			r.refuse(i, CauseExpression, sqlerr.New(sqlerr.DatetimeFieldOverflow, "timestamp out of range"))
			continue
		}
		if end := b.session.End(t); end <= max(r.decoded.marks[i], r.floor) {
			r.counts.Late++
			r.late(r.lateRow(i), start, end)
			continue
		}
		b.starts[i], b.ends[i] = b.session.Pane(t), t
		kept = append(kept, i)
	}
	b.sel = kept
}

// reach notes the time of a row of group g.
func (g *groupPartial) reach(group uint32, fresh bool, t int64) {
	if fresh {
		g.times = append(g.times, state.Span{Start: t, End: t})
		return
	}
	at := &g.times[group]
	at.Start, at.End = min(at.Start, t), max(at.End, t)
}

// sessionEnds gives when sessions close; with partials, whose groups are still
// to be joined, when the last of all does, and others that do not matter.
func (o *viewOwner) sessionEnds(partials []*partial, yield func(int64) bool) {
	s := o.groups.Sessions
	if partials == nil {
		for g := range s.All() {
			if !yield(s.Closes(g)) {
				return
			}
		}
		return
	}
	if !yield(o.session.last) {
		return
	}
	for _, p := range partials {
		if p.takes != nil && len(p.takes[o.id]) == 0 {
			continue
		}
		for _, t := range p.views[o.id].groups.times {
			if !yield(o.session.Closes(o.session.End(t.End))) {
				return
			}
		}
	}
}

// mergeSessions adds the partials' groups to the sessions and gives those that
// changed.
func (o *viewOwner) mergeSessions(seq int64, parts []*partial) []touched {
	s := o.groups.Sessions
	o.session.before = o.session.before[:0]
	var out []touched
	for _, p := range parts {
		if p.takes != nil && len(p.takes[o.id]) == 0 {
			continue // a replay that the view has not taken
		}
		src := p.views[o.id].groups
		for g := range uint32(src.Len()) {
			key, t := src.Key(g)[windowPrefix:], src.times[g]
			hash := state.Hash(key)
			hits := s.Of(o.session.hits[:0], hash, key, t.Start, t.End)
			fresh := len(hits) == 0
			if fresh {
				hits = append(hits, s.Add(hash, key, state.Span{Start: t.Start, End: o.session.End(t.End)}))
			}
			o.session.hits = hits
			for _, hit := range hits {
				if s.Mark(hit, seq) {
					out = append(out, touched{s.Window, hit})
					o.session.remember(s, hit)
				}
			}
			into := hits[0]
			if fresh || src.Images() {
				s.Represent(into, fresh, src.Keys, int(g), src.position(g))
			}
			s.Ready()
			for j, a := range s.Aggs {
				a.Merge(into, src.Aggs[j], g)
			}
			s.Extend(into, t.Start, o.session.End(t.End))
			o.session.last = max(o.session.last, s.Closes(into))
			for _, other := range hits[1:] {
				s.Join(into, other)
			}
			if fresh && o.session.ttl {
				s.Flags[into] = state.Present | state.Failed // of a session of the key that is forgotten, for all that is known
			}
		}
	}
	o.session.settle(s)
	return slices.DeleteFunc(out, func(t touched) bool { return s.Flags[t.group]&state.Gone != 0 })
}

// remember notes what readers were told of a session before it changes.
func (o *sessionOwner) remember(s *state.Sessions, g uint32) {
	if flags := s.Flags[g]; flags != 0 {
		o.before = append(o.before, shownSession{g, s.Spans[g], flags})
		s.Flags[g] = 0
	}
}

// settle leaves in before what readers are no longer to be told: rows, and
// errors, whose key is not that of the session that they have become. What has
// its key is told of that one.
func (o *sessionOwner) settle(s *state.Sessions) {
	left := o.before[:0]
	for _, was := range o.before {
		o.hits = s.Of(o.hits[:0], s.HashOf(was.group), s.Key(was.group), was.span.Start, was.span.Start)
		for _, g := range o.hits {
			is := s.Spans[g]
			if is.Start > was.span.Start || is.End < was.span.End {
				continue
			}
			same := uint8(0)
			if (!o.startInKey || is.Start == was.span.Start) && (!o.endInKey || is.End == was.span.End) {
				same |= state.Present
			}
			if o.ttl || is.Start == was.span.Start { // errors are listed by it
				same |= state.Failed
			}
			s.Flags[g] |= was.flags & same
			was.flags &^= same
		}
		if was.flags != 0 {
			left = append(left, was)
		}
	}
	o.before = left
}

// lastOfKeys gives those of some sessions that no other of their key comes
// after. A session that is forgotten is before all that are not.
func (o *viewOwner) lastOfKeys(sessions []touched) []touched {
	s := o.groups.Sessions
	var out []touched
	for _, t := range sessions {
		last := true
		for g := range s.Same(s.HashOf(t.group), s.Key(t.group)) {
			last = last && (s.Flags[g]&state.Gone != 0 || s.Spans[g].Start <= s.Spans[t.group].Start)
		}
		if last {
			out = append(out, t)
		}
	}
	return out
}

// retract takes back what readers were told of sessions that have become
// others.
func (o *viewOwner) retract(out *change) {
	before := o.session.before
	if len(before) == 0 {
		return
	}
	s := o.groups.Sessions
	in := &column.Batch{N: len(before)}
	start, end := column.NewVector(o.plan.Window.Type, in.N), column.NewVector(o.plan.Window.Type, in.N)
	in.Cols = append(in.Cols, start, end)
	for j, k := range o.plan.GroupKeys {
		v := column.NewVector(k, 0)
		for _, was := range before {
			v.Append(s.Keys[j], int(was.group))
		}
		in.Cols = append(in.Cols, v)
	}
	var rows []int32
	for i, was := range before {
		start.Int[i], end.Int[i] = was.span.Start, was.span.End
		if was.flags&state.Present != 0 {
			rows = append(rows, int32(i))
		}
		if was.flags&state.Failed != 0 {
			out.errors = append(out.errors, GroupError{View: o.id, Key: o.keyJSON(in, i)})
		}
	}
	gone := o.keyRows(in, rows)
	if out.deletes == nil {
		out.deletes = gone
		return
	}
	for j, c := range out.deletes.Cols {
		for i := range gone.N {
			c.Append(gone.Cols[j], i)
		}
	}
	out.deletes.N += gone.N
}

// enqueue puts sessions that close up to bound, and are not there yet, behind
// those that wait. Nothing changes them any more.
func (o *viewOwner) enqueue(bound int64) {
	q, s := o.session, o.groups.Sessions
	if bound <= q.queuedTo {
		return
	}
	var due []touched
	for g := range s.All() {
		if at := s.Closes(g); at <= bound && at > q.queuedTo {
			due = append(due, touched{s.Window, g})
		}
	}
	q.queuedTo = bound
	o.sort(due)
	slices.SortStableFunc(due, func(a, b touched) int { return cmp.Compare(s.Closes(a.group), s.Closes(b.group)) })
	q.queue = append(q.queue, due...)
}

// closeSessions takes the next sessions to be closed, at most limit. What
// stands in the commit is, as of windows, up to when all are closed, and how
// many of those that close together after it.
func (o *viewOwner) closeSessions(limit int64) portion {
	var p portion
	q, s, c := o.session, o.groups.Sessions, &o.closing
	o.enqueue(o.time.floor)
	n := int64(len(q.queue))
	if o.plan.Final {
		n = min(n, c.done+limit)
		p.groups = slices.Clone(q.queue[c.done:n]) // it will be sorted
	}
	closed := n // of the queue: up to where all that close together are there
	for closed > 0 && closed < int64(len(q.queue)) && s.Closes(q.queue[closed-1].group) == s.Closes(q.queue[closed].group) {
		closed--
	}
	if closed > 0 {
		c.upTo = max(c.upTo, s.Closes(q.queue[closed-1].group))
	}
	p.sessions, q.queue, c.done = q.queue[:closed], q.queue[closed:], n-closed
	o.sessionsLeft()
	return p
}

// sessionsLeft notes what is left of the sessions at or before the floor.
func (o *viewOwner) sessionsLeft() {
	c := &o.closing
	c.waiting, c.excess = len(o.session.queue) > 0, max(int64(len(o.session.queue))-c.done, 0)
	if !c.waiting {
		c.upTo, c.done = max(c.upTo, o.time.floor), 0
	}
}

// oldestSessions gives the sessions that close first, those at the same time
// of equal bounds as one.
func (o *viewOwner) oldestSessions() []WindowStatus {
	s := o.groups.Sessions
	var out []WindowStatus
	for g := range s.All() {
		w := WindowStatus{Start: s.Spans[g].Start, End: s.Spans[g].End, Closes: s.Closes(g), Groups: 1}
		if len(out) == statusWindows && compareSessions(w, out[len(out)-1]) > 0 {
			continue
		}
		at, same := slices.BinarySearchFunc(out, w, compareSessions)
		switch {
		case same:
			out[at].Groups++
			continue
		case len(out) == statusWindows:
			out = out[:len(out)-1]
		}
		w.Closed = w.Closes <= o.time.watermark
		out = slices.Insert(out, at, w)
	}
	return out
}

func compareSessions(a, b WindowStatus) int {
	return cmp.Or(cmp.Compare(a.End, b.End), cmp.Compare(a.Start, b.Start))
}

// dropClosed takes sessions out of what was read that are wholly closed.
func (o *viewOwner) dropClosed() {
	if o.session == nil {
		return
	}
	s := o.groups.Sessions
	for g := range s.All() {
		if s.Closes(g) <= o.closing.upTo {
			s.Remove(g)
		}
	}
	s.Compact()
}

// forget takes closed sessions out of the state.
func (o *viewOwner) forget(closed []touched) {
	s := o.groups.Sessions
	for _, t := range closed {
		s.Remove(t.group)
	}
	if len(o.session.queue) == 0 { // it holds numbers
		o.session.queue = nil
		s.Compact()
	}
}
