package engine

import (
	"context"
	"fmt"

	"github.com/millstream-dev/millstream/internal/plan"
)

// limited is a store that refuses what the pipeline file forbids: more groups
// than a view's max_groups, and bad records of a topic whose on_error is
// 'stop'. It refuses the epoch as a whole, so that the pipeline stands before
// what has stopped it, and meets it again until the file, or the log, is
// another.
type limited struct {
	Store
	plan *plan.Pipeline
}

func (l limited) Commit(ctx context.Context, c *Commit) (CommitStats, error) {
	if err := l.check(c); err != nil {
		return CommitStats{}, err
	}
	return l.Store.Commit(ctx, c)
}

func (l limited) check(c *Commit) error {
	var first *Refused
	for i := range c.Refused {
		r := &c.Refused[i]
		if r.Replay == 0 && l.plan.Topics[r.Table].StopOnBad && (first == nil || r.before(first)) {
			first = r
		}
	}
	if first != nil {
		t := l.plan.Topics[first.Table]
		return fmt.Errorf("topic %q partition %d offset %d can't be taken by table %q, and on_error is 'stop': %s%s (correct what sends such records and begin a new topic, or use on_error 'quarantine', which keeps them in millstream.quarantine)",
			t.Topic, first.Partition, first.Offset, t.Name, first.Message, first.where())
	}
	for _, p := range c.Views {
		v := l.plan.Views[p.View]
		if (v.Window == nil || v.Window.TTL) && v.MaxGroups > 0 && p.OpenGroups > v.MaxGroups {
			return fmt.Errorf("view %q would have %d groups, and max_groups allows %d: raise max_groups, have groups forgotten that get no events any more (ttl), or group by a window, which closes and frees its groups",
				v.Name, p.OpenGroups, v.MaxGroups)
		}
	}
	return nil
}

// before orders refused records by their place, so that the same one is named
// whatever the number of workers.
func (r *Refused) before(o *Refused) bool {
	if r.Table != o.Table {
		return r.Table < o.Table
	}
	if r.Partition != o.Partition {
		return r.Partition < o.Partition
	}
	return r.Offset < o.Offset
}

// where tells the column and SQLSTATE, where they are known.
func (r *Refused) where() string {
	s := ""
	if r.Column != "" {
		s += fmt.Sprintf(", column %q", r.Column)
	}
	if r.Code != "" {
		s += fmt.Sprintf(", SQLSTATE %s", r.Code)
	}
	return s
}
