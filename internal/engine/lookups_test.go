package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/plan"
)

// awayFor is a reader of a table that is away for so many tries.
type awayFor struct {
	tries int
	rows  *column.Batch
}

func (a *awayFor) ReadLookup(context.Context, LookupID, string) (*column.Batch, string, error) {
	return nil, "", errors.New("not asked for")
}

func (a *awayFor) ReadVersion(context.Context, LookupVersion) (*column.Batch, error) {
	if a.tries--; a.tries >= 0 {
		return nil, fmt.Errorf("%w: the server is starting up", ErrLookupAway)
	}
	return a.rows, nil
}

// TestVersionsWaitForTheDatabase holds that a recorded version is asked for
// again while the database is away, until the engine is told to stop.
func TestVersionsWaitForTheDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, rows := keyTable(10, column.Int4)
		said := 0
		all := &lookups{plan: &plan.Pipeline{Lookups: []*plan.Lookup{l}}, warn: func(string, ...any) { said++ }}
		all.reader = &awayFor{tries: 3, rows: rows}
		if table, err := all.load(t.Context(), LookupVersion{Version: 7}); err != nil || table.version != 7 || said != 3 {
			t.Errorf("%v, %v, told %d times; want version 7, told 3 times", table, err, said)
		}
		all.reader = &awayFor{tries: 1_000_000, rows: rows}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := all.load(ctx, LookupVersion{Version: 7}); !errors.Is(err, ErrLookupAway) {
			t.Errorf("%v, want the reason", err)
		}
	})
}

// TestStoppingSetsNoTimerForTables holds that an engine which waits for its
// last commit does not wake at once, again and again, for a table that is due
// and not read any more.
func TestStoppingSetsNoTimerForTables(t *testing.T) {
	r := &run{engine: &Engine{opts: Options{UntilEnd: true}}, clock: WallClock{}, obedience: &obedience{}, replays: &replays{}, building: true,
		lookups: &lookups{due: []time.Time{time.Unix(0, 0)}, pending: make([]*LookupChange, 1), arrived: make([]*lookupArrival, 1)}}
	for _, stopping := range []bool{false, true} {
		r.stopping = stopping
		timer, stop := r.timer()
		if (timer == nil) != stopping {
			t.Errorf("stopping %t, timer %v", stopping, timer)
		}
		stop()
	}
}
