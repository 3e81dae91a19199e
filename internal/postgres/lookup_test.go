package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/engine"
)

const lookedUpSQL = `
CREATE TABLE things (
	id integer PRIMARY KEY, b boolean, i2 smallint, i8 bigint, f4 real, f8 double precision, n numeric, m numeric(20,5),
	t text, v varchar(5), u uuid, d date, ts timestamp, tz timestamptz, j jsonb
);
CREATE FOREIGN TABLE orders (id integer) SERVER kafka;
CREATE MATERIALIZED VIEW joined AS SELECT things.* FROM orders JOIN things USING (id);
`

// rowTexts writes rows as PostgreSQL prints them, sorted.
func rowTexts(b *column.Batch) []string {
	out := make([]string, b.N)
	for i := range out {
		var parts []string
		for _, v := range b.Cols {
			if v == nil {
				continue
			}
			if v.Null[i] {
				parts = append(parts, "NULL")
				continue
			}
			parts = append(parts, string(datum.Append(nil, v, i)))
		}
		out[i] = strings.Join(parts, "|")
	}
	slices.Sort(out)
	return out
}

const thingsText = `SELECT concat_ws('|', id, CASE b WHEN true THEN 't' WHEN false THEN 'f' ELSE 'NULL' END, coalesce(i2::text, 'NULL'), coalesce(i8::text, 'NULL'), coalesce(f4::text, 'NULL'),
	coalesce(f8::text, 'NULL'), coalesce(n::text, 'NULL'), coalesce(m::text, 'NULL'), coalesce(t, 'NULL'), coalesce(v, 'NULL'), coalesce(u::text, 'NULL'),
	coalesce(d::text, 'NULL'), coalesce(ts::text, 'NULL'), coalesce(tz::text, 'NULL'), coalesce(j::text, 'NULL')) COLLATE "C" FROM things ORDER BY 1`

// TestLookupValues reads values of every type, to their extremes, and reads
// them again from stored versions.
func TestLookupValues(t *testing.T) {
	d := newDatabase(t, build(t, lookedUpSQL))
	d.exec(t, `INSERT INTO things VALUES
		(1, true, -32768, 9223372036854775807, 'NaN', '-0', '-12345678901234567890.000123', 1.5, 'ä', 'x', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '2024-02-29', '2024-02-29 12:00:00.123456', 'infinity', '{"a": [1.50, null]}'),
		(2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
		(3, false, 0, 0, 1.5, 1e300, 'NaN', 0, '', '', '00000000-0000-0000-0000-000000000000', '-infinity', '-infinity', '0001-01-01', '"text"'),
		(4, false, 0, 0, 1.5, 1e-300, 'Infinity', 0.00001, E'a\tb\\nc', '', NULL, '4713-01-01 BC', NULL, NULL, 'null'),
		(5, false, 0, 0, 1.5, 1e-300, '0.0001', 100000, '', '', NULL, NULL, NULL, NULL, NULL),
		(6, false, 0, 0, 1.5, 1e-300, '100000000', 10000, '', '', NULL, NULL, NULL, NULL, NULL),
		(7, false, 0, 0, 1.5, 1e-300, '1.000', 10000, '', '', NULL, NULL, NULL, NULL, NULL)`)
	d.exec(t, "INSERT INTO things (id, t) SELECT g, md5(g::text) FROM generate_series(100, 999) g")
	r := d.Lookups(d.plan, LookupLimits{})
	first, mark, err := r.ReadLookup(t.Context(), 0, "")
	if err != nil {
		t.Fatal(err)
	}
	wantTexts(t, "as read", rowTexts(first), d.lines(t, thingsText))

	if again, next, err := r.ReadLookup(t.Context(), 0, mark); err != nil || again != nil || next != mark {
		t.Errorf("unchanged, it gives %v, %q after %q, %v", again, next, mark, err)
	}
	store := d.open(t)
	if _, err := store.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	commitVersion(t, store, 1, engine.LookupChange{LookupVersion: engine.LookupVersion{Version: 1}, Rows: first})
	wantVersion(t, r, 1, rowTexts(first))

	before := mark
	d.exec(t, `UPDATE things SET t = 'changed', n = 1.0 WHERE id = 1; DELETE FROM things WHERE id = 2; INSERT INTO things (id) VALUES (9)`)
	second, mark, err := r.ReadLookup(t.Context(), 0, before)
	if err != nil || second == nil {
		t.Fatalf("changed, it gives %v, %v", second, err)
	}
	wantTexts(t, "as changed", rowTexts(second), d.lines(t, thingsText))
	at := func(b *column.Batch, ids ...int64) (rows []int32) {
		for i := range b.N {
			if slices.Contains(ids, b.Cols[0].Int[i]) {
				rows = append(rows, int32(i))
			}
		}
		return rows
	}
	commitVersion(t, store, 2, engine.LookupChange{LookupVersion: engine.LookupVersion{Version: 2}, Before: 1,
		Rows: second, Added: at(second, 1, 9), OldRows: first, Removed: at(first, 1, 2)})
	if n := d.lines(t, "SELECT count(*)::text FROM millstream.lookup_versions WHERE version = 2 AND kind <> 'rows'"); n[0] != "2" {
		t.Errorf("the second version was written whole")
	}
	wantVersion(t, r, 1, rowTexts(first))
	wantVersion(t, r, 2, rowTexts(second))
	commitVersion(t, store, 3, engine.LookupChange{LookupVersion: engine.LookupVersion{Version: 3}, Before: 2,
		Rows: first, Added: at(first, 1, 2), OldRows: second, Removed: at(second, 1, 9)})
	wantVersion(t, r, 3, rowTexts(first))

	for _, sql := range []string{"UPDATE things SET id = id WHERE id = 3", "TRUNCATE things", "INSERT INTO things (id) VALUES (1)"} {
		d.exec(t, sql)
		_, next, err := r.ReadLookup(t.Context(), 0, mark)
		if err != nil || next == mark {
			t.Errorf("%s is not noticed: %v", sql, err)
		}
		mark = next
	}
	snapshot, err := store.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(snapshot.Lookups, snapshot.LookupLast), "[{0 3}] [{0 3}]"; got != want {
		t.Errorf("the store remembers %s, not %s", got, want)
	}
}

func commitVersion(t *testing.T, s *Store, seq int64, c engine.LookupChange) {
	t.Helper()
	_, err := s.Commit(t.Context(), &engine.Commit{Seq: seq, Pinned: true, Lookups: []engine.LookupVersion{c.LookupVersion}, LookupChanges: []engine.LookupChange{c}})
	if err != nil {
		t.Fatal(err)
	}
}

func wantVersion(t *testing.T, r *Lookups, version int64, want []string) {
	t.Helper()
	rows, err := r.ReadVersion(t.Context(), engine.LookupVersion{Version: version})
	if err != nil {
		t.Fatal(err)
	}
	wantTexts(t, fmt.Sprintf("version %d", version), rowTexts(rows), want)
}

func wantTexts(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%s\nnot\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestLookupLimits stops before a table fills the memory.
func TestLookupLimits(t *testing.T) {
	d := newDatabase(t, build(t, lookedUpSQL))
	d.exec(t, "INSERT INTO things (id, t) SELECT g, repeat('x', 100) FROM generate_series(1, 10000) g")
	for _, c := range []struct {
		limits LookupLimits
		says   string
	}{
		{LookupLimits{Rows: 9999}, "more than 9999 rows"},
		{LookupLimits{Bytes: 100_000}, "more than 100000 bytes"},
	} {
		_, _, err := d.Lookups(d.plan, c.limits).ReadLookup(t.Context(), 0, "")
		if err == nil || !strings.Contains(err.Error(), c.says) || errors.Is(err, engine.ErrLookupAway) {
			t.Errorf("%v: %v", c.limits, err)
		}
	}
}

// TestAMillionRows reads a table of the size that benchmarks use.
func TestAMillionRows(t *testing.T) {
	d := newDatabase(t, build(t, lookedUpSQL))
	d.exec(t, "INSERT INTO things (id, t) SELECT g, 'campaign ' || g FROM generate_series(1, 1000000) g")
	rows, mark, err := d.Lookups(d.plan, LookupLimits{}).ReadLookup(t.Context(), 0, "")
	if err != nil || rows.N != 1_000_000 {
		t.Fatalf("%v", err)
	}
	d.exec(t, "DELETE FROM things WHERE id = 500000")
	if rows, _, err = d.Lookups(d.plan, LookupLimits{}).ReadLookup(t.Context(), 0, mark); err != nil || rows.N != 999_999 {
		t.Fatalf("one row less: %v", err)
	}
}

// TestDeployChecksLookups refuses tables that are not what the file declares.
func TestDeployChecksLookups(t *testing.T) {
	const declared = `
CREATE TABLE IF NOT EXISTS kinds (kind text PRIMARY KEY, label text, other xml);
CREATE FOREIGN TABLE orders (kind text) SERVER kafka;
CREATE MATERIALIZED VIEW joined AS SELECT label FROM orders JOIN kinds USING (kind);`
	for name, c := range map[string]struct{ real, says string }{
		"fine, with more columns": {"CREATE TABLE kinds (extra point, kind text UNIQUE, label text)", ""},
		"fine, a wider index":     {"CREATE TABLE kinds (kind text, label text); CREATE UNIQUE INDEX ON kinds (kind) INCLUDE (label)", ""},
		"fine, partitioned":       {"CREATE TABLE kinds (kind text PRIMARY KEY, label text) PARTITION BY LIST (kind)", ""},
		"no key":                  {"CREATE TABLE kinds (kind text, label text)", "it has no unique key over (kind)"},
		"partial key":             {"CREATE TABLE kinds (kind text, label text); CREATE UNIQUE INDEX ON kinds (kind) WHERE label > 'a'", "it has no unique key over (kind)"},
		"key over more":           {"CREATE TABLE kinds (kind text, label text, PRIMARY KEY (kind, label))", "it has no unique key over (kind)"},
		"other type":              {"CREATE TABLE kinds (kind varchar(9) PRIMARY KEY, label text)", "column \"kind\" is character varying(9), not text"},
		"a view":                  {"CREATE VIEW kinds AS SELECT 'a' AS kind, 'b' AS label", "it is no ordinary table"},
		"collation":               {"CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false); CREATE TABLE kinds (kind text COLLATE any_case PRIMARY KEY, label text)", "different texts are equal"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDatabase(t, build(t, topicSQL))
			d.exec(t, c.real)
			err := d.rebuildAs(t, declared)
			if c.says == "" {
				if err != nil {
					t.Fatal(diagText(err))
				}
				if _, _, err := d.Lookups(d.plan, LookupLimits{}).ReadLookup(t.Context(), 0, ""); err != nil {
					t.Error(err)
				}
				return
			}
			wantError(t, err, c.says, codeLookupDiffers)
		})
	}
}

// TestLookupErrors tells what heals from what must be mended.
func TestLookupErrors(t *testing.T) {
	d := newDatabase(t, build(t, lookedUpSQL), func(c *Config) { c.LockTimeout = 1_000_000 })
	r := d.Lookups(d.plan, LookupLimits{})
	tx, err := d.conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "LOCK TABLE things IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.ReadLookup(t.Context(), 0, ""); !errors.Is(err, engine.ErrLookupAway) {
		t.Errorf("a locked table: %v", err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.exec(t, "DROP TABLE things")
	var differs *LookupDiffersError
	if _, _, err := r.ReadLookup(t.Context(), 0, ""); !errors.As(err, &differs) || errors.Is(err, engine.ErrLookupAway) {
		t.Errorf("a dropped table: %v", err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := r.ReadVersion(stopped, engine.LookupVersion{Version: 1}); !errors.Is(err, engine.ErrLookupAway) {
		t.Errorf("a connection that breaks off: %v, want an error that trying again may heal", err)
	}
	if _, err := r.ReadVersion(t.Context(), engine.LookupVersion{Version: 7}); err == nil || !strings.Contains(err.Error(), "does not hold version 7") {
		t.Errorf("a version that is not there: %v", err)
	}
}
