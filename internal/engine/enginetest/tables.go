package enginetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/engine/window"
	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/plan"
)

// The views of Pipeline.
const (
	Totals  engine.ViewID = iota // grouped by window and text
	Events                       // append
	Last                         // latest per text
	Types                        // grouped, a column of each type
	Singles                      // grouped into one
)

// everyType is a view column of each type, with two values that differ.
var everyType = []struct {
	name   string
	kind   column.Type
	values [2]string
}{
	{"b", column.Of(column.Bool), [2]string{"t", "f"}},
	{"i2", column.Of(column.Int2), [2]string{"-32768", "32767"}},
	{"i4", column.Of(column.Int4), [2]string{"-2147483648", "7"}},
	{"i8", column.Of(column.Int8), [2]string{"-9223372036854775808", "9223372036854775807"}},
	{"f4", column.Of(column.Float4), [2]string{"1.1", "NaN"}},
	{"f8", column.Of(column.Float8), [2]string{"-0", "Infinity"}},
	{"n", column.Of(column.Numeric), [2]string{"123456789012345678901234567890.123456789", "NaN"}},
	{"n2", column.Type{Kind: column.Numeric, Precision: 10, Scale: 2}, [2]string{"-12345678.90", "0.00"}},
	{"s", column.Of(column.Text), [2]string{"héllo|\n\t\\", ""}},
	{"vc", column.Type{Kind: column.Varchar, Length: 5}, [2]string{"12345", "é"}},
	{"u", column.Of(column.UUID), [2]string{"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000"}},
	{"d", column.Of(column.Date), [2]string{"2024-02-29", "-infinity"}},
	{"ts", column.Of(column.Timestamp), [2]string{"2024-02-29 23:59:59.999999", "infinity"}},
	{"tz", column.Of(column.Timestamptz), [2]string{"0044-03-15 12:00:00+00 BC", "294276-12-31 23:59:59.999999+00"}},
	{"j", column.Of(column.JSONB), [2]string{`{"a": [1, 2.50, "x"], "bb": null}`, `"s"`}},
}

// Pipeline is the pipeline that the suite commits to.
func Pipeline() *plan.Pipeline {
	topic := &plan.Topic{Name: "orders", Server: "kafka", Topic: "orders_topic", Format: "json", EventTime: -1}
	text, int8, ts := column.Of(column.Text), column.Of(column.Int8), column.Of(column.Timestamptz)
	branch := []*plan.Branch{{Topic: topic}}
	minute := &plan.Window{Assigner: window.Tumble(60_000_000), Type: ts}
	types := &plan.View{Name: "types", Mode: plan.Grouped, Branches: branch, EventTimeColumn: -1, Key: []int{0},
		Columns: []plan.OutputColumn{{Name: "id", Type: int8}}}
	for _, c := range everyType {
		types.Columns = append(types.Columns, plan.OutputColumn{Name: c.name, Type: c.kind})
	}
	p := &plan.Pipeline{
		Topics: []*plan.Topic{topic},
		Views: []*plan.View{
			Totals: {Name: "totals", Mode: plan.Grouped, Branches: branch, Window: minute, Retention: 1, EventTimeColumn: 0, Key: []int{0, 1},
				Columns: []plan.OutputColumn{{Name: "at", Type: ts}, {Name: "Group Name", Type: text}, {Name: "n", Type: int8}, {Name: "v", Type: column.Of(column.Numeric)}},
				Outputs: []expr.Expr{&expr.Column{Index: 0, T: ts}, &expr.Column{Index: 2, T: text}, &expr.Column{Index: 3, T: int8}, &expr.Column{Index: 4}}},
			Events: {Name: "events", Mode: plan.Append, Branches: branch, EventTimeColumn: -1,
				Columns: []plan.OutputColumn{{Name: "what", Type: text}}},
			Last: {Name: "last", Mode: plan.Latest, Branches: branch, EventTimeColumn: -1, Key: []int{1},
				Columns: []plan.OutputColumn{{Name: "v", Type: int8}, {Name: "k", Type: text}}},
			Types: types,
			Singles: {Name: "singles", Mode: plan.Grouped, Branches: branch, EventTimeColumn: -1, Key: []int{}, MaxGroups: 1,
				Columns: []plan.OutputColumn{{Name: "n", Type: int8}}},
		},
		Hash: "conformance",
		Text: "-- the conformance suite's",
	}
	for i, v := range p.Views {
		p.Statements = append(p.Statements, &plan.Statement{Kind: plan.StatementView, View: v, Object: "materialized view " + v.Name, Hash: v.Name, Line: i + 1})
	}
	return p
}

// batch makes a batch from lines of PostgreSQL texts joined by "|", NULL as
// "∅".
func batch(types []column.Type, lines ...string) *column.Batch {
	rows := make([][]string, len(lines))
	for i, l := range lines {
		rows[i] = strings.Split(l, "|")
	}
	return batchOf(types, rows)
}

func batchOf(types []column.Type, rows [][]string) *column.Batch {
	b := &column.Batch{N: len(rows)}
	for j, ty := range types {
		v := column.NewVector(ty, len(rows))
		for i, row := range rows {
			if row[j] == "∅" {
				v.Null[i] = true
				continue
			}
			if err := datum.Input(v, i, []byte(row[j])); err != nil {
				panic(fmt.Sprintf("%s %q: %v", ty, row[j], err))
			}
		}
		b.Cols = append(b.Cols, v)
	}
	return b
}

// totals is a change of the view totals: lines of at (in microseconds since
// 2000), group, n, v.
func totals(lines ...string) engine.TableChange {
	return engine.TableChange{View: Totals, Upserts: totalRows(4, lines), ExpireBefore: column.NegativeInfinity}
}

// totalRows are the first columns of the view totals.
func totalRows(columns int, lines []string) *column.Batch {
	types := []column.Type{column.Of(column.Int8), column.Of(column.Text), column.Of(column.Int8), column.Of(column.Numeric)}[:columns]
	b := batch(types, lines...)
	b.Cols[0].Type = column.Of(column.Timestamptz) // the same storage
	return b
}

func eventRows(lines ...string) *column.Batch {
	full := make([]string, len(lines))
	for i, l := range lines {
		full[i] = l + "|event " + fmt.Sprint(i)
	}
	return batch([]column.Type{column.Of(column.Int4), column.Of(column.Int4), column.Of(column.Int8), column.Of(column.Text)}, full...)
}

func testTypes(t *testing.T, f *fixture, rows int) {
	types := []column.Type{column.Of(column.Int8)}
	for _, c := range everyType {
		types = append(types, c.kind)
	}
	var values [][]string
	var want []string
	for i := range rows {
		for variant := range 3 {
			row := []string{fmt.Sprint(3*i + variant)}
			for _, c := range everyType {
				if variant == 2 {
					row = append(row, "∅")
				} else {
					row = append(row, c.values[variant])
				}
			}
			values = append(values, row)
			want = append(want, strings.Join(row, "|"))
		}
	}
	f.commit(t, engine.Commit{Tables: []engine.TableChange{{View: Types, Upserts: batchOf(types, values), ExpireBefore: column.NegativeInfinity}}})
	slices.Sort(want)
	equal(t, "rows", f.backend.Rows(t, "types"), want)
}

// totalSeries is n lines of the view totals.
func totalSeries(n int, value string) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = fmt.Sprintf("%d|g|%d|%s", i, i, value)
	}
	return lines
}

func testUnchanged(t *testing.T, f *fixture, n int) {
	lines := totalSeries(n, "1.0")
	f.commit(t, engine.Commit{Tables: []engine.TableChange{totals(lines...)}})
	before := f.backend.Versions(t, "totals")
	lines[1] = "1|g|1|2.0"
	f.commit(t, engine.Commit{Tables: []engine.TableChange{totals(lines...)}})
	after := f.backend.Versions(t, "totals")
	if len(before) != n || len(after) != n {
		t.Fatalf("%d rows, then %d", len(before), len(after))
	}
	rewritten := 0
	for _, version := range after {
		if !slices.Contains(before, version) {
			rewritten++
		}
	}
	equal(t, "rows written again", rewritten, 1)
}

func testImages(t *testing.T, f *fixture) {
	f.commit(t, engine.Commit{Tables: []engine.TableChange{totals("0|a|1|1.0")}})
	f.commit(t, engine.Commit{Tables: []engine.TableChange{totals("0|a|1|1.00")}})
	equal(t, "rows", f.backend.Rows(t, "totals"), []string{"2000-01-01 00:00:00+00|a|1|1.00"})
}

func testNullKeys(t *testing.T, f *fixture) {
	f.commit(t, engine.Commit{Tables: []engine.TableChange{totals("0|∅|1|1", "0||2|∅", "∅|∅|3|3")}})
	f.commit(t, engine.Commit{Tables: []engine.TableChange{totals("0|∅|10|1", "∅|∅|30|3")}})
	equal(t, "rows", f.backend.Rows(t, "totals"), []string{"2000-01-01 00:00:00+00||2|∅", "2000-01-01 00:00:00+00|∅|10|1", "∅|∅|30|3"})
}

func testDeletes(t *testing.T, f *fixture) {
	f.commit(t, engine.Commit{Tables: []engine.TableChange{totals("0|a|1|1", "0|b|1|1", "0|∅|1|1", "1|∅|1|1", "∅|c|1|1", "∅|∅|1|1")}})
	remove := engine.TableChange{View: Totals, Deletes: totalRows(2, []string{"0|a", "0|∅", "∅|∅", "9|absent"}), ExpireBefore: column.NegativeInfinity}
	f.commit(t, engine.Commit{Tables: []engine.TableChange{remove}})
	equal(t, "rows", f.backend.Rows(t, "totals"),
		[]string{"2000-01-01 00:00:00+00|b|1|1", "2000-01-01 00:00:00.000001+00|∅|1|1", "∅|c|1|1"})

	lines := totalSeries(many, "0")
	f.commit(t, engine.Commit{Tables: []engine.TableChange{totals(lines...)}})
	keys := make([]string, many)
	for i := range keys {
		keys[i] = fmt.Sprintf("%d|g", i)
	}
	f.commit(t, engine.Commit{Tables: []engine.TableChange{{View: Totals, Deletes: totalRows(2, keys), ExpireBefore: column.NegativeInfinity}}})
	equal(t, "number of rows", len(f.backend.Rows(t, "totals")), 3)
}

// testNewRows mixes rows that are told to be new with others, few and many of
// each.
func testNewRows(t *testing.T, f *fixture) {
	next := 0
	var stand []string
	for _, size := range []struct{ fresh, old int }{{many, 0}, {many, 3}, {3, many}, {many, many}, {2, 2}} {
		lines := append([]string(nil), stand[:size.old]...)
		stand = stand[size.old:]
		for i := range lines {
			lines[i] = strings.TrimSuffix(lines[i], "|1|1") + "|2|5"
		}
		for range size.fresh {
			lines = append(lines, fmt.Sprintf("%d|g|1|1", next))
			next++
		}
		order := make([]int, len(lines))
		change := engine.TableChange{View: Totals, New: make([]bool, len(lines)), ExpireBefore: column.NegativeInfinity}
		for i := range lines { // new ones and others in turn, as far as they go
			order[i] = (i%2)*(len(lines)/2) + i/2
			if len(lines)%2 == 1 {
				order[i] = i
			}
		}
		mixed := make([]string, len(lines))
		for i, from := range order {
			mixed[i], change.New[i] = lines[from], from >= size.old
		}
		change.Upserts = totalRows(4, mixed)
		f.commit(t, engine.Commit{Tables: []engine.TableChange{change}})
		for _, l := range lines {
			if strings.HasSuffix(l, "|1|1") {
				stand = append(stand, l)
			}
		}
	}
	rows := f.backend.Rows(t, "totals")
	equal(t, "number of rows", len(rows), next)
	first, again := 0, 0
	for _, r := range rows {
		switch {
		case strings.HasSuffix(r, "|g|1|1"):
			first++
		case strings.HasSuffix(r, "|g|2|5"):
			again++
		}
	}
	equal(t, "rows as first written", first, len(stand))
	equal(t, "rows written again", again, next-len(stand))
}

// testForeignRow has a row stand where the engine has written none: it gives
// way, and the commit stands as a whole.
func testForeignRow(t *testing.T, f *fixture) {
	f.commit(t, engine.Commit{Tables: []engine.TableChange{totals("1|g|7|7")}})
	change := totals(totalSeries(many, "2")...)
	change.New = make([]bool, many)
	for i := range change.New {
		change.New[i] = true // but of row 1 it isn't so
	}
	f.commit(t, engine.Commit{Tables: []engine.TableChange{change}})
	rows := f.backend.Rows(t, "totals")
	equal(t, "number of rows", len(rows), many)
	equal(t, "the row", rows[1], "2000-01-01 00:00:00.000001+00|g|1|2")
}

func testExpiry(t *testing.T, f *fixture) {
	f.commit(t, engine.Commit{Tables: []engine.TableChange{totals("0|a|1|1", "1|a|1|1", "2|a|1|1")}})
	change := totals("3|a|1|1")
	change.ExpireBefore, change.ExpireLimit = 2, many
	f.commit(t, engine.Commit{Tables: []engine.TableChange{change}})
	equal(t, "rows", f.backend.Rows(t, "totals"),
		[]string{"2000-01-01 00:00:00.000002+00|a|1|1", "2000-01-01 00:00:00.000003+00|a|1|1"})
}

// testBoundedExpiry deletes the oldest rows first, no more than are allowed,
// and is told, now and after a restart, whether others may be left.
func testBoundedExpiry(t *testing.T, f *fixture) {
	f.commit(t, engine.Commit{Tables: []engine.TableChange{totals("5|e|1|1", "3|c|1|1", "1|a|1|1", "4|d|1|1", "2|b|1|1")}})
	for i, want := range []struct {
		rows int
		more bool
	}{{3, true}, {1, true}, {1, false}} {
		c := engine.Commit{Seq: f.seq + 1, At: clock(f.seq + 1),
			Tables: []engine.TableChange{{View: Totals, ExpireBefore: 5, ExpireLimit: 2}},
			Views:  []engine.ViewProgress{{View: Totals}, {View: Events}}}
		stats, err := f.store.Commit(t.Context(), &c)
		if err != nil {
			t.Fatal(err)
		}
		rows := f.backend.Rows(t, "totals")
		equal(t, fmt.Sprintf("rows left by commit %d", i), len(rows), want.rows)
		equal(t, "the newest row", rows[len(rows)-1], "2000-01-01 00:00:00.000005+00|e|1|1")
		var expiring []engine.ViewID
		if want.more {
			expiring = []engine.ViewID{Totals}
		}
		equal(t, fmt.Sprintf("views that are still expiring after commit %d", i), stats.Expiring, expiring)
		equal(t, fmt.Sprintf("views whose rows commit %d has had expire", i), stats.Expired, expiring) // none but in the last
		s := f.open(t)
		equal(t, "expiring after a restart", []bool{s.Views[0].Expiring, s.Views[1].Expiring}, []bool{want.more, false})
	}
}

func testAppend(t *testing.T, f *fixture) {
	f.commit(t, engine.Commit{Tables: []engine.TableChange{{View: Events, Upserts: eventRows("0|0|5", "0|1|5", "1|0|5"), ExpireBefore: column.NegativeInfinity}}})
	f.commit(t, engine.Commit{Tables: []engine.TableChange{{View: Events, Upserts: eventRows("0|0|6"), ExpireBefore: column.NegativeInfinity}}})
	equal(t, "rows", f.backend.Rows(t, "events"), []string{"0|0|5|event 0", "0|0|6|event 0", "0|1|5|event 1", "1|0|5|event 2"})
}

func testLatest(t *testing.T, f *fixture, n int) {
	types := []column.Type{column.Of(column.Int8), column.Of(column.Text), column.Of(column.Int8), column.Of(column.Int4), column.Of(column.Int4), column.Of(column.Int8)}
	write := func(value, at, source, partition, offset int) {
		t.Helper()
		lines := make([]string, n)
		for i := range lines {
			lines[i] = fmt.Sprintf("%d|k%d|%d|%d|%d|%d", value, i, at, source, partition, offset)
		}
		b := batch(types, lines...)
		b.Cols[2].Type = column.Of(column.Timestamptz)
		f.commit(t, engine.Commit{Tables: []engine.TableChange{{View: Last, Upserts: b, ExpireBefore: column.NegativeInfinity}}})
	}
	check := func(want string) {
		t.Helper()
		rows := f.backend.Rows(t, "last")
		equal(t, "number of rows", len(rows), n)
		equal(t, "first row", rows[0], want)
	}
	write(1, 10, 0, 1, 5)
	write(2, 9, 9, 9, 9) // an earlier event time loses, whatever its place
	check("1|k0|2000-01-01 00:00:00.00001+00|0|1|5")
	write(3, 10, 0, 1, 5) // the same place: it is the same record
	check("1|k0|2000-01-01 00:00:00.00001+00|0|1|5")
	write(4, 10, 0, 2, 0)
	check("4|k0|2000-01-01 00:00:00.00001+00|0|2|0")
	write(5, 10, 1, 0, 0)
	check("5|k0|2000-01-01 00:00:00.00001+00|1|0|0")
	write(6, 10, 1, 0, 1)
	check("6|k0|2000-01-01 00:00:00.00001+00|1|0|1")
	write(7, 11, 0, 0, 0)
	check("7|k0|2000-01-01 00:00:00.000011+00|0|0|0")
}

func testOneGroup(t *testing.T, f *fixture) {
	for i := range 2 {
		b := batch([]column.Type{column.Of(column.Int8)}, fmt.Sprint(i+1))
		f.commit(t, engine.Commit{Tables: []engine.TableChange{{View: Singles, Upserts: b, ExpireBefore: column.NegativeInfinity}}})
	}
	equal(t, "rows", f.backend.Rows(t, "singles"), []string{"2"})
	f.commit(t, engine.Commit{Tables: []engine.TableChange{{View: Singles, Deletes: &column.Batch{N: 1}, ExpireBefore: column.NegativeInfinity}}})
	equal(t, "rows after the delete", f.backend.Rows(t, "singles"), []string(nil))
}
