package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/millstream-dev/millstream/internal/plan"
)

// DefaultLookupRefresh is how often a table that is looked up is looked at
// for changes, unless the file says otherwise.
const DefaultLookupRefresh = 10 * time.Second

// lookups is what the run loop knows of the tables that are looked up. It
// belongs to the run loop; reading happens in goroutines of its own, which
// send what they find.
//
// Which version a record meets is settled by the commit that it belongs to: a
// version takes over between two epochs, and the first commit after that makes
// it durable and tells of it. What is read meanwhile waits until it has.
type lookups struct {
	reader  LookupReader
	plan    *plan.Pipeline
	clock   Clock
	refresh time.Duration
	warn    func(msg string, args ...any)

	current []*lookupTable  // by LookupID; a new slice for each change, since workers hold the old one
	told    []int64         // versions of the last sealed epoch
	pending []*LookupChange // swapped in and not yet sealed, nil for none
	last    []int64         // the greatest version that was ever given
	marks   []string        // of ReadLookup
	due     []time.Time     // when to look next; zero while being read
	arrived []*lookupArrival

	watched []LookupStatus // by LookupID: what the status tells of looks

	results chan *lookupArrival
	loading bool // recorded versions are being read
	readers sync.WaitGroup
}

// lookupArrival is what a reader has found: a version to take over, or
// nothing new.
type lookupArrival struct {
	id       LookupID
	table    *lookupTable
	change   *LookupChange // nil: nothing new, or a version that stands in the store
	mark     string
	recorded bool          // it was read to obey a decision
	took     time.Duration // by the machine's clock
	err      error
}

func newLookups(e *Engine) *lookups {
	n := len(e.opts.Plan.Lookups)
	refresh := e.opts.LookupRefresh
	if refresh <= 0 {
		refresh = DefaultLookupRefresh
	}
	return &lookups{
		reader: e.opts.Lookups, plan: e.opts.Plan, clock: e.opts.Clock, refresh: refresh, warn: e.opts.Logger.Warn,
		current: make([]*lookupTable, n), told: make([]int64, n), pending: make([]*LookupChange, n), last: make([]int64, n),
		marks: make([]string, n), due: make([]time.Time, n), arrived: make([]*lookupArrival, n),
		watched: make([]LookupStatus, n), results: make(chan *lookupArrival, n),
	}
}

// begin puts every table at the version that records meet next: the one that
// a recorded decision wants, else that of the last commit, else the table as
// it stands.
func (l *lookups) begin(ctx context.Context, s *Snapshot, wanted []LookupVersion) error {
	versions := make([]int64, len(l.current))
	for _, v := range s.Lookups {
		versions[v.Lookup], l.told[v.Lookup] = v.Version, v.Version
	}
	for _, v := range wanted {
		versions[v.Lookup] = v.Version
	}
	for _, v := range s.LookupLast {
		l.last[v.Lookup] = v.Version
	}
	current := slices.Clone(l.current)
	for i, p := range l.plan.Lookups {
		id := LookupID(i)
		if versions[i] > 0 {
			t, err := l.load(ctx, LookupVersion{id, versions[i]})
			if err != nil {
				return err
			}
			current[i] = t
			l.due[i] = l.clock.Now()
			l.watched[i].ChangedAt = l.due[i]
			continue
		}
		a := l.first(ctx, id)
		if a.err != nil {
			return fmt.Errorf("read table %s: %w", p.QualifiedName(), a.err)
		}
		l.looked(a)
		l.watched[i].ChangedAt = l.clock.Now()
		l.last[i] = a.table.version
		current[i], l.pending[i], l.marks[i] = a.table, a.change, a.mark
		l.due[i] = l.clock.Now().Add(l.interval(id))
	}
	l.current = current
	return nil
}

// first reads a table that was never read, and waits while it is away.
func (l *lookups) first(ctx context.Context, id LookupID) *lookupArrival {
	for {
		a := l.read(ctx, id, nil, "", l.last[id]+1)
		if a.err == nil || !errors.Is(a.err, ErrLookupAway) || ctx.Err() != nil {
			return a
		}
		l.pause(ctx, id, a.err)
	}
}

// pause waits before a table that is away is read again.
func (l *lookups) pause(ctx context.Context, id LookupID, err error) {
	l.warn("a table that is looked up can't be read; it is tried again", "table", l.plan.Lookups[id].QualifiedName(), "error", err)
	select {
	case <-ctx.Done():
	case <-time.After(recheck):
	}
}

func (l *lookups) interval(id LookupID) time.Duration {
	if d := l.plan.Lookups[id].Refresh; d > 0 {
		return d
	}
	return l.refresh
}

// load reads a version that stands in the store, and waits while it is away.
func (l *lookups) load(ctx context.Context, v LookupVersion) (*lookupTable, error) {
	p := l.plan.Lookups[v.Lookup]
	rows, err := l.reader.ReadVersion(ctx, v)
	for errors.Is(err, ErrLookupAway) && ctx.Err() == nil {
		l.pause(ctx, v.Lookup, err)
		rows, err = l.reader.ReadVersion(ctx, v)
	}
	if err == nil {
		var t *lookupTable
		if t, err = newLookupTable(p, v.Version, rows); err == nil {
			return t, nil
		}
	}
	return nil, fmt.Errorf("read version %d of table %s: %w", v.Version, p.QualifiedName(), err)
}

// read looks at a table. before is its current version.
func (l *lookups) read(ctx context.Context, id LookupID, before *lookupTable, mark string, version int64) *lookupArrival {
	a := &lookupArrival{id: id}
	began := time.Now()
	defer func() { a.took = time.Since(began) }()
	rows, next, err := l.reader.ReadLookup(ctx, id, mark)
	if a.mark = next; err != nil {
		a.err = err
		return a
	}
	if rows == nil {
		return a
	}
	t, err := newLookupTable(l.plan.Lookups[id], version, rows)
	if err != nil {
		a.err = err
		return a
	}
	if a.change = changeOf(id, before, t); a.change != nil {
		a.table = t
	}
	return a
}

// look begins to read the tables that are due.
func (l *lookups) look(ctx context.Context) {
	if len(l.current) == 0 || l.loading {
		return
	}
	now := l.clock.Now()
	for i := range l.due {
		if l.due[i].IsZero() || now.Before(l.due[i]) || l.pending[i] != nil || l.arrived[i] != nil {
			continue
		}
		l.due[i] = time.Time{}
		id, before, mark, version := LookupID(i), l.current[i], l.marks[i], l.last[i]+1
		l.readers.Go(func() { l.results <- l.read(ctx, id, before, mark, version) })
	}
}

// nextLook is when the next table is due; zero for none.
func (l *lookups) nextLook() time.Time {
	var next time.Time
	for i, d := range l.due {
		if !d.IsZero() && l.pending[i] == nil && l.arrived[i] == nil && (next.IsZero() || d.Before(next)) {
			next = d
		}
	}
	return next
}

// take notes what a reader has found. Its error is to end the run: the table
// is not what it was planned as.
func (l *lookups) take(a *lookupArrival) error {
	name := l.plan.Lookups[a.id].QualifiedName()
	if a.recorded {
		if a.err != nil {
			return a.err
		}
		l.arrived[a.id] = a
		return nil
	}
	l.due[a.id] = l.clock.Now().Add(l.interval(a.id))
	l.looked(a)
	switch {
	case a.err != nil && errors.Is(a.err, ErrLookupAway):
		l.warn("a table that is looked up can't be read; its last version is used, and it is tried again", "table", name, "error", a.err)
		return nil
	case a.err != nil:
		return fmt.Errorf("read table %s: %w", name, a.err)
	}
	l.marks[a.id] = a.mark
	if a.change != nil {
		l.last[a.id] = a.table.version
		l.arrived[a.id] = a
	}
	return nil
}

// looked notes how a look at a table went.
func (l *lookups) looked(a *lookupArrival) {
	w := &l.watched[a.id]
	w.Err = a.err
	if a.err != nil {
		w.Failures++
		return
	}
	w.LookedAt, w.Took = l.clock.Now(), a.took
}

// status tells where the tables stand.
func (l *lookups) status() []LookupStatus {
	out := slices.Clone(l.watched)
	for i, t := range l.current {
		if t != nil {
			out[i].Version, out[i].Rows = t.version, int64(t.rows.N)
		}
	}
	return out
}

// waiting tells whether a version waits to take over.
func (l *lookups) waiting() bool {
	return slices.ContainsFunc(l.arrived, func(a *lookupArrival) bool { return a != nil })
}

// changed tells whether a version took over since the last sealed epoch.
func (l *lookups) changed() bool {
	for i, t := range l.current {
		if t.version != l.told[i] {
			return true
		}
	}
	return false
}

// busy tells whether anything is being read or waits, or is due.
func (l *lookups) busy() bool {
	if len(l.current) == 0 {
		return false
	}
	now := l.clock.Now()
	for i, d := range l.due {
		if d.IsZero() || l.arrived[i] != nil || !now.Before(d) {
			return true
		}
	}
	return l.loading
}

// swap lets the versions that wait take over. The epoch before is sealed, no
// chunk is under way, and none of them has a pending one before it.
func (l *lookups) swap() {
	if !l.waiting() {
		return
	}
	current := slices.Clone(l.current)
	for i, a := range l.arrived {
		if a == nil || l.pending[i] != nil {
			continue
		}
		current[i], l.pending[i], l.arrived[i] = a.table, a.change, nil
		l.watched[i].ChangedAt = l.clock.Now()
	}
	l.current = current
}

// seal gives what the epoch's commit tells of tables, and whether a version
// has changed.
func (l *lookups) seal(e *epoch) {
	changed := l.changed()
	for i, t := range l.current {
		e.lookups = append(e.lookups, LookupVersion{LookupID(i), t.version})
		l.told[i] = t.version
		if c := l.pending[i]; c != nil {
			e.lookupChanges = append(e.lookupChanges, *c)
			l.pending[i] = nil
		}
	}
	e.pinned = e.pinned || changed
}
