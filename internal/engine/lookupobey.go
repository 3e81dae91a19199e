package engine

import "context"

// A recorded decision may say that from its positions on records met other
// versions of tables. It stands for itself, with no view's time beside it.

// lookupsNext gives the versions that the next decision wants, where it is
// such a one and all partitions stand where it was made.
func (o *obedience) lookupsNext(parts []*partition) []LookupVersion {
	if len(o.decisions) == 0 || len(o.decisions[0].lookups) == 0 || !o.reached(parts) {
		return nil
	}
	return o.decisions[0].lookups
}

// timeReached tells whether all partitions stand where the next decision was
// made, and it is one about time.
func (o *obedience) timeReached(parts []*partition) bool {
	return o.reached(parts) && len(o.decisions[0].lookups) == 0 && len(o.decisions[0].replays) == 0
}

// skipLookups leaves out the decisions about tables that stand before the
// first one about time and are reached, and gives the versions in effect.
func (o *obedience) skipLookups(parts []*partition, wanted []LookupVersion) []LookupVersion {
	for next := o.lookupsNext(parts); next != nil; next = o.lookupsNext(parts) {
		wanted = append(wanted, next...)
		o.take()
	}
	return wanted
}

// takeOver lets versions of tables take over that wait for the end of an
// epoch, if the open one is empty, and tells whether that is to be committed.
func (r *run) takeOver(ctx context.Context) bool {
	if !r.lookupsDue() || r.dirty() {
		return false
	}
	r.stepLookups(ctx)
	return r.dirty()
}

// stepLookups lets versions take over that wait: those that were read, and
// those that recorded decisions want. No chunk is under way, no commit is
// being made, and the open epoch is empty.
func (r *run) stepLookups(ctx context.Context) {
	l := r.lookups
	if l.loading {
		if !l.loaded(r.obedience.decisions[0].lookups) {
			return
		}
		l.loading = false
		r.obedience.take()
	}
	l.swap()
	for next := r.obedience.lookupsNext(r.parts); next != nil; next = r.obedience.lookupsNext(r.parts) {
		if l.changed() {
			return // first a commit tells of the versions that are there
		}
		if l.request(ctx, next) {
			return
		}
		r.obedience.take()
	}
}

// request begins to read recorded versions that are not the current ones.
func (l *lookups) request(ctx context.Context, versions []LookupVersion) bool {
	for _, v := range versions {
		if l.current[v.Lookup].version == v.Version {
			continue
		}
		l.loading = true
		l.readers.Go(func() {
			t, err := l.load(ctx, v)
			l.results <- &lookupArrival{id: v.Lookup, table: t, recorded: true, err: err}
		})
	}
	return l.loading
}

// loaded tells whether all versions that a decision wants are there.
func (l *lookups) loaded(versions []LookupVersion) bool {
	for _, v := range versions {
		if l.current[v.Lookup].version != v.Version && l.arrived[v.Lookup] == nil {
			return false
		}
	}
	return true
}

// lookupsDue tells whether versions wait for the open epoch's end: then it is
// sealed soon, so that they can take over.
func (r *run) lookupsDue() bool {
	return r.outstanding == 0 && (r.lookups.waiting() || r.obedience.lookupsNext(r.parts) != nil)
}
