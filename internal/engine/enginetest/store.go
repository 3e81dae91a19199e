package enginetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/plan"
)

// Backend is the place that stores under test write to, as the suite sees it.
type Backend interface {
	// Store gives another store of the pipeline over the same data, as a new
	// process would have it.
	Store(t *testing.T) engine.Store
	// Rows gives a view's table: PostgreSQL's texts of the columns joined by
	// "|", NULL as "∅", in order of the lines.
	Rows(t *testing.T, view string) []string
	// Versions gives for each of Rows' lines what changes whenever that row
	// is written, even by its own value.
	Versions(t *testing.T, view string) []string
	// Ledger gives the rows of "quarantine", "late_rows" or "group_errors" as
	// maps from the columns' names to texts, NULL left out, in the order in
	// which they were written.
	Ledger(t *testing.T, name string) []map[string]string
	// Damage changes one byte of the state that is stored.
	Damage(t *testing.T)
}

// many is a number of rows that is sent in another way than a few.
const many = 2000

// RunStore checks that stores do what engine.Store promises. open makes an
// empty backend for the pipeline, deployed.
func RunStore(t *testing.T, open func(t *testing.T, p *plan.Pipeline) Backend) {
	tests := []struct {
		name string
		run  func(t *testing.T, f *fixture)
	}{
		{"begins at nothing", testBegins},
		{"resumes from the database alone", testResumes},
		{"the newer engine fences the older", testFence},
		{"seq is dense", testDense},
		{"a commit is all or nothing", testAtomic},
		{"state round trip", testState},
		{"damaged state is fatal", testDamage},
		{"quarantine", testQuarantine},
		{"late rows", testLate},
		{"group errors", testGroupErrors},
		{"every type, few rows", func(t *testing.T, f *fixture) { testTypes(t, f, 1) }},
		{"every type, many rows", func(t *testing.T, f *fixture) { testTypes(t, f, many) }},
		{"unchanged rows are not written, few", func(t *testing.T, f *fixture) { testUnchanged(t, f, 3) }},
		{"unchanged rows are not written, many", func(t *testing.T, f *fixture) { testUnchanged(t, f, many) }},
		{"images, not equality, tell a change", testImages},
		{"null keys", testNullKeys},
		{"deletes", testDeletes},
		{"new rows among others", testNewRows},
		{"a row of somebody else's where a new one goes", testForeignRow},
		{"expiry", testExpiry},
		{"expiry, a few rows with each commit", testBoundedExpiry},
		{"closed windows", testClosed},
		{"idempotency keys", testRepeats},
		{"append", testAppend},
		{"latest keeps the greatest position, few", func(t *testing.T, f *fixture) { testLatest(t, f, 2) }},
		{"latest keeps the greatest position, many", func(t *testing.T, f *fixture) { testLatest(t, f, many) }},
		{"one group", testOneGroup},
		{"progress over many commits", testLongHistory},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := Pipeline()
			f := &fixture{plan: p, backend: open(t, p)}
			test.run(t, f)
		})
	}
}

// fixture is one test's pipeline and store.
type fixture struct {
	plan    *plan.Pipeline
	backend Backend
	store   engine.Store
	seq     int64
}

// open opens a new store and makes it the one that commits.
func (f *fixture) open(t *testing.T) *engine.Snapshot {
	t.Helper()
	f.store = f.backend.Store(t)
	snapshot, err := f.store.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f.seq = snapshot.Seq
	return snapshot
}

// commit commits c as the next.
func (f *fixture) commit(t *testing.T, c engine.Commit) {
	t.Helper()
	if f.store == nil {
		f.open(t)
	}
	c.Seq, c.At = f.seq+1, clock(f.seq+1)
	stats, err := f.store.Commit(t.Context(), &c)
	if err != nil {
		t.Fatal(err)
	}
	if len(stats.Steps) == 0 {
		t.Error("a commit's stats have no steps")
	}
	if err := f.store.Health(); err != nil {
		t.Errorf("health after a commit: %v", err)
	}
	f.seq++
}

func clock(seq int64) time.Time {
	return time.Date(2024, 3, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(seq) * time.Second)
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func testBegins(t *testing.T, f *fixture) {
	s := f.open(t)
	equal(t, "snapshot", s, &engine.Snapshot{Generation: s.Generation})
	if s.Generation < 1 {
		t.Errorf("generation %d", s.Generation)
	}
}

func progress(partition int32, from, to, watermark int64) engine.PartitionProgress {
	return engine.PartitionProgress{Table: 0, Partition: partition, TopicID: engine.TopicID{1, 2, 3, 0xff}, From: from, To: to, Watermark: watermark}
}

func testResumes(t *testing.T, f *fixture) {
	idle := progress(1, 0, 7, -5)
	idle.IdleSince = time.Date(2024, 3, 1, 11, 59, 59, 123456000, time.UTC)
	idle.ReadAt, idle.GreatestAt = idle.IdleSince.Add(-time.Second), idle.IdleSince.Add(-time.Minute)
	view := func(watermark, floor int64) engine.ViewProgress {
		return engine.ViewProgress{View: Totals, Watermark: watermark, Floor: floor, FinalBefore: floor, Decided: watermark, Closed: floor, RowsOut: 3, OpenWindows: 2, OpenGroups: 9,
			Inputs: []engine.InputCounts{{Partition: 1, Counts: engine.Counts{Read: 5, Accepted: 1, Filtered: 1, Late: 1, Quarantined: 2, Skipped: 4}}}}
	}
	closing := view(-3, -4)
	closing.Decided, closing.Closed, closing.ClosedGroups, closing.Expiring = 1, -9, 5, true
	f.commit(t, engine.Commit{
		Progress: []engine.PartitionProgress{progress(0, 0, 10, 100), idle},
		Views:    []engine.ViewProgress{view(column.NegativeInfinity, column.NegativeInfinity)},
	})
	f.commit(t, engine.Commit{
		Progress: []engine.PartitionProgress{progress(0, 10, 20, 200), progress(2, 0, 1, column.NegativeInfinity)},
		Views:    []engine.ViewProgress{closing},
	})
	before := f.store
	got := f.open(t)
	wantView := closing
	wantView.Inputs = nil
	equal(t, "snapshot", got, &engine.Snapshot{
		Generation: got.Generation, Seq: 2,
		Progress: []engine.PartitionProgress{progress(0, 10, 20, 200), idle, progress(2, 0, 1, column.NegativeInfinity)},
		Views:    []engine.ViewProgress{wantView},
	})
	if f.store == before {
		t.Error("the backend gave the same store again")
	}
	f.commit(t, engine.Commit{Progress: []engine.PartitionProgress{progress(0, 20, 21, 200)}})
}

func testFence(t *testing.T, f *fixture) {
	first := f.open(t)
	old := f.store
	second := f.open(t)
	if second.Generation <= first.Generation {
		t.Errorf("generation %d after %d", second.Generation, first.Generation)
	}
	_, err := old.Commit(t.Context(), &engine.Commit{Seq: 1, At: clock(1), Tables: []engine.TableChange{totals("1|a|1|1")}})
	if !errors.Is(err, engine.ErrFenced) {
		t.Errorf("commit of a fenced engine: %v", err)
	}
	equal(t, "rows of the fenced engine", f.backend.Rows(t, "totals"), []string(nil))
	f.commit(t, engine.Commit{Tables: []engine.TableChange{totals("1|b|1|1")}})
	if _, err = old.Commit(t.Context(), &engine.Commit{Seq: 1, At: clock(1)}); !errors.Is(err, engine.ErrFenced) {
		t.Errorf("second commit of a fenced engine: %v", err)
	}
	equal(t, "rows", f.backend.Rows(t, "totals"), []string{"2000-01-01 00:00:00.000001+00|b|1|1"})
}

func testDense(t *testing.T, f *fixture) {
	f.commit(t, engine.Commit{})
	for _, seq := range []int64{0, 1, 3, 1 << 40} {
		if _, err := f.store.Commit(t.Context(), &engine.Commit{Seq: seq, At: clock(seq)}); !errors.Is(err, engine.ErrDiverged) {
			t.Errorf("commit %d after 1: %v", seq, err)
		}
	}
	f.commit(t, engine.Commit{})
}

func testAtomic(t *testing.T, f *fixture) {
	f.commit(t, engine.Commit{Tables: []engine.TableChange{totals("1|a|1|1")}})
	bad := engine.Commit{
		Seq: 2, At: clock(2),
		Tables:   []engine.TableChange{totals("1|a|2|2", "2|b|1|1"), {View: Events, ExpireBefore: column.NegativeInfinity, Upserts: eventRows("0|0|5", "0|0|5")}},
		Progress: []engine.PartitionProgress{progress(0, 0, 9, 9)},
		Refused:  []engine.Refused{{View: -1, Position: -1, Cause: engine.CauseDecode, Message: "no"}},
		State:    []engine.StateBlob{{View: Totals, Shard: -1, Seq: 2, Data: []byte("x")}},
	}
	if _, err := f.store.Commit(t.Context(), &bad); err == nil {
		t.Fatal("a commit with one key twice succeeded")
	}
	if f.store.Health() == nil {
		t.Error("health is fine after a commit that failed")
	}
	equal(t, "rows", f.backend.Rows(t, "totals"), []string{"2000-01-01 00:00:00.000001+00|a|1|1"})
	equal(t, "ledger", f.backend.Ledger(t, "quarantine"), []map[string]string(nil))
	f.commit(t, engine.Commit{Tables: []engine.TableChange{totals("1|a|3|3")}})
	s := f.open(t)
	equal(t, "state", s.State, []engine.StateBlob(nil))
	equal(t, "progress", s.Progress, []engine.PartitionProgress(nil))
}

func testState(t *testing.T, f *fixture) {
	delta := func(seq int64, data string) engine.StateBlob {
		return engine.StateBlob{View: Totals, Shard: -1, Seq: seq, Data: []byte(data)}
	}
	base := func(shard int, seq int64, part int, data string) engine.StateBlob {
		return engine.StateBlob{View: Totals, Shard: shard, Seq: seq, Part: part, Base: true, Data: []byte(data)}
	}
	check := func(want ...engine.StateBlob) {
		t.Helper()
		equal(t, "state", describeBlobs(f.open(t).State), describeBlobs(want))
	}
	f.commit(t, engine.Commit{State: []engine.StateBlob{delta(1, "one"), {View: Singles, Shard: -1, Seq: 1, Data: []byte("other view")}}})
	f.commit(t, engine.Commit{State: []engine.StateBlob{delta(2, "two \x00\xff")}})
	other := engine.StateBlob{View: Singles, Shard: -1, Seq: 1, Data: []byte("other view")}
	check(delta(1, "one"), delta(2, "two \x00\xff"), other)

	big := strings.Repeat("0123456789abcdef", 8<<20/16)
	f.commit(t, engine.Commit{State: []engine.StateBlob{base(0, 3, 0, big), base(0, 3, 1, ""), base(1, 3, 0, "b")}})
	check(delta(1, "one"), delta(2, "two \x00\xff"), base(0, 3, 0, big), base(0, 3, 1, ""), base(1, 3, 0, "b"), other)

	f.commit(t, engine.Commit{State: []engine.StateBlob{delta(4, "four"), base(1, 4, 0, "b2")}, DropState: map[engine.ViewID]int64{Totals: 3}})
	check(base(0, 3, 0, big), base(0, 3, 1, ""), delta(4, "four"), base(1, 4, 0, "b2"), other)
}

// testRepeats keeps blobs of idempotency keys, and drops those that later ones
// replace.
func testRepeats(t *testing.T, f *fixture) {
	blob := func(partition int32, seq int64, data string, drop ...int64) engine.RepeatBlob {
		return engine.RepeatBlob{Table: 0, Partition: partition, Seq: seq, Data: []byte(data), Drop: drop}
	}
	stored := func(b engine.RepeatBlob) engine.RepeatBlob { b.Drop = nil; return b }
	one := blob(0, f.seq+1, "a")
	two, three := blob(0, f.seq+2, "b"), blob(1, f.seq+2, "c")
	four := blob(0, f.seq+3, "d", one.Seq, two.Seq)
	f.commit(t, engine.Commit{Repeats: []engine.RepeatBlob{one}})
	f.commit(t, engine.Commit{Repeats: []engine.RepeatBlob{two, three}})
	equal(t, "idempotency keys", f.open(t).Repeats, []engine.RepeatBlob{one, two, three})
	f.commit(t, engine.Commit{Repeats: []engine.RepeatBlob{four}})
	equal(t, "idempotency keys", f.open(t).Repeats, []engine.RepeatBlob{stored(four), three})
}

// testClosed keeps blobs of closed windows, tells a restart what is kept, and
// forgets up to a window, in the same commit too.
func testClosed(t *testing.T, f *fixture) {
	blob := func(view engine.ViewID, start int64, shard int, part int64, data string) engine.ClosedBlob {
		return engine.ClosedBlob{View: view, Start: start, End: start + 10, Shard: shard, Part: part, Groups: 3, WindowGroups: 6, Data: []byte(data)}
	}
	check := func(want ...engine.ClosedWindow) {
		t.Helper()
		equal(t, "closed windows", f.open(t).Closed, want)
	}
	f.commit(t, engine.Commit{Closed: []engine.ClosedBlob{
		blob(Totals, 20, -1, 0, "twenty"), blob(Totals, 10, 3, 0, "\x00\xff"), blob(Totals, 10, 4, 1, "four"), blob(Singles, 10, -1, 0, "other view"),
	}})
	f.commit(t, engine.Commit{Closed: []engine.ClosedBlob{blob(Totals, 20, -1, 3, "the rest")}})
	other := engine.ClosedWindow{View: Singles, Start: 10, End: 20, Groups: 3, Blobs: 1, Bytes: 10}
	check(other,
		engine.ClosedWindow{View: Totals, Start: 10, End: 20, Groups: 6, Blobs: 2, Bytes: 6},
		engine.ClosedWindow{View: Totals, Start: 20, End: 30, Groups: 6, Blobs: 2, Bytes: 14})
	f.commit(t, engine.Commit{
		Closed: []engine.ClosedBlob{blob(Totals, 15, -1, 0, "gone at once"), blob(Totals, 30, -1, 0, strings.Repeat("long ", 1<<20))},
		Forget: map[engine.ViewID]engine.WindowPlace{Totals: {End: 30, Start: 20}},
	})
	check(other, engine.ClosedWindow{View: Totals, Start: 30, End: 40, Groups: 3, Blobs: 1, Bytes: 5 << 20})
}

// describeBlobs are blobs as short texts: long data by its hash.
func describeBlobs(blobs []engine.StateBlob) []string {
	var out []string
	for _, b := range blobs {
		data := fmt.Sprintf("%q", b.Data)
		if len(b.Data) > 100 {
			data = fmt.Sprintf("%d bytes, %x", len(b.Data), sha256.Sum256(b.Data))
		}
		out = append(out, fmt.Sprintf("view %d shard %d seq %d part %d base %t: %s", b.View, b.Shard, b.Seq, b.Part, b.Base, data))
	}
	return out
}

func testDamage(t *testing.T, f *fixture) {
	f.commit(t, engine.Commit{State: []engine.StateBlob{{View: Totals, Shard: 3, Seq: 1, Base: true, Data: []byte("state")}}})
	f.backend.Damage(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := f.backend.Store(t).Open(ctx)
	if err == nil || !strings.Contains(err.Error(), "shard 3") || !strings.Contains(err.Error(), "checksum") || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("open on damaged state: %v", err)
	}
}

func pick(row map[string]string, names ...string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		v, ok := row[n]
		if !ok {
			v = "∅"
		}
		out[i] = v
	}
	return out
}

func testQuarantine(t *testing.T, f *fixture) {
	long := strings.Repeat("x", 200<<10)
	f.commit(t, engine.Commit{Refused: []engine.Refused{
		{View: -1, Partition: 3, Offset: 77, Timestamp: 1_700_000_000_123_000, Cause: engine.CauseDecode, Column: "amount", Path: "$.amount",
			Position: 12, Expected: "numeric", Code: "22P02", Message: "invalid input \x00\xff", Key: []byte("k\x00\xff"), Payload: []byte(`{"amount": "x"}`),
			Headers: []engine.Header{{Key: "trace", Value: []byte("é")}, {Key: "raw", Value: []byte{0xff}}, {Key: "none"}}},
		{View: Events, Source: 0, Partition: 3, Offset: 78, Cause: engine.CauseFuture, Position: -1, Message: "ahead", Payload: []byte(long)},
		{View: -1, Partition: 3, Offset: 79, Cause: engine.CauseSize, Position: -1, Message: long, Payload: []byte{}},
	}})
	rows := f.backend.Ledger(t, "quarantine")
	if len(rows) != 3 {
		t.Fatalf("%d rows", len(rows))
	}
	equal(t, "place", pick(rows[0], "foreign_table", "server", "topic", "partition", "offset", "record_timestamp", "view_name", "source", "seq"),
		[]string{"orders", "kafka", "orders_topic", "3", "77", "2023-11-14 22:13:20.123+00", "∅", "∅", "1"})
	equal(t, "reason", pick(rows[0], "cause", "statement", "column_name", "json_path", "byte_position", "expected_type", "sqlstate", "message"),
		[]string{"decode", "CREATE FOREIGN TABLE orders", "amount", "$.amount", "12", "numeric", "22P02", "invalid input \uFFFD\uFFFD"})
	equal(t, "record", pick(rows[0], "key", "headers", "payload", "payload_size"),
		[]string{`\x6b00ff`, `[["trace", "é"], ["raw", {"base64": "/w=="}], ["none", null]]`, `\x7b22616d6f756e74223a202278227d`, "15"})
	equal(t, "of a view", pick(rows[1], "view_name", "source", "statement", "column_name", "byte_position", "sqlstate", "key", "headers", "payload_size"),
		[]string{"events", "0", "CREATE MATERIALIZED VIEW events", "∅", "∅", "∅", "∅", "∅", "204800"})
	if n := len(rows[1]["payload"]); n < 2000 || n > 2*(100<<10) {
		t.Errorf("%d characters are kept of a long payload", n)
	}
	if n := len(rows[1]["payload_sha256"]); n != 2+64 {
		t.Errorf("payload_sha256 has %d characters", n)
	}
	equal(t, "empty payload", pick(rows[2], "payload", "payload_size"), []string{`\x`, "0"})
	if n := len(rows[2]["message"]); n > 8<<10 {
		t.Errorf("a message of %d bytes is kept", n)
	}
}

func testLate(t *testing.T, f *fixture) {
	f.commit(t, engine.Commit{Late: []engine.LateRow{
		{View: Totals, Source: 0, Partition: 1, Offset: 5, Timestamp: 1_700_000_000_000_000, EventTime: 30, WindowStart: 0, WindowEnd: 100, Watermark: 1_000_150,
			Floor: column.NegativeInfinity, Cause: engine.LatePartition, Payload: []byte("p")},
		{View: Totals, Partition: 1, Offset: 6, EventTime: 30, WindowStart: 0, WindowEnd: 100, Watermark: 20, Floor: 100, Cause: engine.LateFloor},
	}})
	rows := f.backend.Ledger(t, "late_rows")
	if len(rows) != 2 {
		t.Fatalf("%d rows", len(rows))
	}
	equal(t, "row", pick(rows[0], "foreign_table", "topic", "partition", "offset", "view_name", "event_time", "window_start", "window_end", "watermark", "floor", "late_by", "cause", "payload"),
		[]string{"orders", "orders_topic", "1", "5", "totals", "2000-01-01 00:00:00.00003+00", "2000-01-01 00:00:00+00", "2000-01-01 00:00:00.0001+00",
			"2000-01-01 00:00:01.00015+00", "-infinity", "00:00:01.00005", "watermark", `\x70`})
	equal(t, "by the floor", pick(rows[1], "late_by", "cause", "payload", "payload_size"), []string{"00:00:00", "floor", "∅", "∅"})
}

func testGroupErrors(t *testing.T, f *fixture) {
	entry := func(key, message string) engine.GroupError {
		return engine.GroupError{View: Totals, Key: key, Code: "22012", Message: message}
	}
	check := func(want ...string) {
		t.Helper()
		var got []string
		for _, r := range f.backend.Ledger(t, "group_errors") {
			got = append(got, strings.Join(pick(r, "view_name", "group_key", "sqlstate", "message", "seq"), "|"))
		}
		slices.Sort(got)
		equal(t, "group errors", got, want)
	}
	long := `["` + strings.Repeat("k", 3000) + `"]`
	f.commit(t, engine.Commit{Errors: []engine.GroupError{entry(`["a"]`, "division by zero"), entry(`["b"]`, "division by zero"), entry(long, "x")}})
	f.commit(t, engine.Commit{Errors: []engine.GroupError{entry(`["a"]`, ""), entry(`["b"]`, "division by zero"), entry(long, ""), entry(`["never"]`, "")}})
	check(`totals|["b"]|22012|division by zero|1`)
	f.commit(t, engine.Commit{Errors: []engine.GroupError{entry(`["b"]`, ""), entry(`["b"]`, "again"), entry(`["c"]`, "on"), entry(`["c"]`, "")}})
	check(`totals|["b"]|22012|again|3`)
}

// testLongHistory commits often enough for a store to fold old commits, and
// checks that the position is not lost by it.
func testLongHistory(t *testing.T, f *fixture) {
	const commits = 1600
	f.commit(t, engine.Commit{Progress: []engine.PartitionProgress{progress(1, 0, 3, 33)}})
	for i := int64(1); i < commits; i++ {
		f.commit(t, engine.Commit{Progress: []engine.PartitionProgress{progress(0, i-1, i, i)},
			Views: []engine.ViewProgress{{View: Totals, Watermark: i, Floor: i, FinalBefore: i}}})
	}
	s := f.open(t)
	equal(t, "seq", s.Seq, int64(commits))
	equal(t, "progress", s.Progress, []engine.PartitionProgress{progress(0, commits-2, commits-1, commits-1), progress(1, 0, 3, 33)})
	f.commit(t, engine.Commit{})
}
