package postgres

import (
	"fmt"
	"testing"
	"time"

	"github.com/millstream-dev/millstream/internal/engine"
)

// history makes commits of one record each; those of pins are pinned.
func history(t *testing.T, s *Store, from, to int64, pins map[int64]bool) {
	t.Helper()
	for n := from; n <= to; n++ {
		c := &engine.Commit{Seq: n, At: time.Unix(n, 0),
			Progress: []engine.PartitionProgress{{From: n - 1, To: n, Watermark: n}},
			Views: []engine.ViewProgress{{View: 0, Watermark: n, RowsOut: 2, Inputs: []engine.InputCounts{
				{Counts: engine.Counts{Read: 3, Accepted: 1, Filtered: 1, Quarantined: 1, Skipped: 1}}}}},
		}
		if n == 1 {
			c.Progress = append(c.Progress, engine.PartitionProgress{Partition: 1, To: 5, IdleSince: time.Unix(1, 0)})
		}
		c.Pinned = pins[n]
		if _, err := s.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOldCommitsAreMerged(t *testing.T) {
	d := newDatabase(t, build(t, pipelineSQL))
	s := d.open(t)
	if _, err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	const commits = 1800
	history(t, s, 1, commits, map[int64]bool{1: true, 100: true, 300: true, 1700: true})
	equalLines(t, d.lines(t, "SELECT seq_from, seq, level, pinned FROM millstream.commits WHERE seq <= 770 ORDER BY seq LIMIT 8"), []string{
		"1|1|0|t", "2|99|1|f", "100|100|0|t", "101|256|1|f", "257|299|1|f", "300|300|0|t", "301|512|1|f", "513|768|1|f",
	})
	equalLines(t, d.lines(t, "SELECT seq FROM millstream.commits WHERE pinned ORDER BY 1"), []string{"1", "100", "300", "1700"})
	// Nothing is lost: ranges tile, and sums are those of the single commits.
	equalLines(t, d.lines(t, `
SELECT count(*) FROM (SELECT seq_from - lag(seq) OVER (ORDER BY seq) AS step FROM millstream.commits) AS s WHERE step <> 1`), []string{"0"})
	equalLines(t, d.lines(t, `
SELECT count(*) FROM (SELECT offset_from - lag(offset_to) OVER (PARTITION BY partition ORDER BY seq) AS gap FROM millstream.commit_partitions) AS s WHERE gap <> 0`), []string{"0"})
	equalLines(t, d.lines(t, `SELECT sum(read), sum(accepted), sum(filtered), sum(late), sum(quarantined), sum(skipped) FROM millstream.commit_inputs`),
		[]string{fmt.Sprintf("%d|%d|%d|0|%d|%d", 3*commits, commits, commits, commits, commits)})
	equalLines(t, d.lines(t, `SELECT sum(rows_out) FROM millstream.commit_views`), []string{fmt.Sprint(2 * commits)})

	status, err := ReadStatus(t.Context(), d.Pool(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	if status.Seq != commits || len(status.Partitions) != 2 || status.Partitions[0].Next != commits || status.Partitions[1].IdleSince == nil {
		t.Errorf("status %+v", status)
	}
	if len(status.Views) != 1 || status.Views[0].RowsOut != 2*commits || len(status.Views[0].Inputs) != 1 || status.Views[0].Inputs[0].Read != 3*commits {
		t.Errorf("views %+v", status.Views)
	}
	if stored(status.Views[0].Watermark) != commits {
		t.Errorf("watermark %v", status.Views[0].Watermark)
	}
}

func TestStatusOfNothing(t *testing.T) {
	d := newDatabase(t, build(t, pipelineSQL))
	status, err := ReadStatus(t.Context(), d.Pool(), "orders")
	if err != nil || status.Seq != 0 || status.Schema != "public" || status.Build != 1 || !status.SealedAt.IsZero() {
		t.Errorf("status %+v, %v", status, err)
	}
	_, err = ReadStatus(t.Context(), d.Pool(), "nobody")
	wantError(t, err, ErrNoPipeline.Error())
}
