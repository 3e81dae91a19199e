package line

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// dumpLimit bounds the reading of a pipeline's tables.
const dumpLimit = 30 * time.Second

// What a pipeline holds beside its tables, without what tells how the work
// was cut into commits: numbers and times of commits, and the floor of the
// commit before, which decides nothing where no partition is idle.
var ledgers = []struct{ name, sql string }{
	{"late_rows", `SELECT foreign_table, topic, partition, "offset", record_timestamp, view_name, source, event_time, window_start,
		window_end, watermark, late_by, cause, key, headers, payload, payload_size, payload_sha256
		FROM millstream.late_rows WHERE pipeline = %s`},
	{"quarantine", `SELECT foreign_table, topic, partition, "offset", record_timestamp, view_name, source, cause, statement, column_name,
		json_path, byte_position, expected_type, sqlstate, message, key, headers, payload, payload_size, payload_sha256
		FROM millstream.quarantine WHERE pipeline = %s`},
	{"group_errors", `SELECT view_name, group_key, sqlstate, message FROM millstream.group_errors WHERE pipeline = %s`},
	{"counts", `SELECT view_name, source, foreign_table, partition, sum(read) AS read, sum(accepted) AS accepted, sum(filtered) AS filtered,
		sum(late) AS late, sum(quarantined) AS quarantined, sum(skipped) AS skipped
		FROM millstream.commit_inputs WHERE pipeline = %s GROUP BY 1, 2, 3, 4`},
	{"positions", `SELECT DISTINCT ON (foreign_table, partition) foreign_table, partition, offset_to, watermark, idle_since
		FROM millstream.commit_partitions WHERE pipeline = %s ORDER BY foreign_table, partition, seq DESC`},
	{"closed_windows", `SELECT operator, window_start, window_end, sum(groups) AS groups, min(window_groups) AS window_groups
		FROM millstream.closed_windows WHERE pipeline = %s GROUP BY 1, 2, 3`},
	{"times", `SELECT DISTINCT ON (view_name) view_name, watermark, floor, final_before, open_windows, open_groups
		FROM millstream.commit_views WHERE pipeline = %s ORDER BY view_name, seq DESC`},
}

// Dump is all that a pipeline has come to, as text: its tables, its ledgers,
// its counts and where it stands. Equal texts are equal bit for bit, since
// PostgreSQL prints the shortest text that gives a float back exactly.
func Dump(t testing.TB, databaseURL, pipeline string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), dumpLimit)
	defer cancel()
	text, err := dump(ctx, databaseURL, pipeline)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func dump(ctx context.Context, databaseURL, pipeline string) (string, error) {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `SELECT schema_name, table_name FROM millstream.objects WHERE pipeline = $1 ORDER BY 1, 2`, pipeline)
	if err != nil {
		return "", err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Schema, Name string }])
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	section := func(name, query string) error {
		fmt.Fprintf(&out, "== %s\n", name)
		copySQL := fmt.Sprintf(`COPY (SELECT * FROM (%s) AS x ORDER BY x::text COLLATE "C") TO STDOUT`, query)
		if _, err := conn.PgConn().CopyTo(ctx, &out, copySQL); err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		return nil
	}
	for _, table := range tables {
		if err := section(table.Name, "SELECT * FROM "+pgx.Identifier{table.Schema, table.Name}.Sanitize()); err != nil {
			return "", err
		}
	}
	for _, l := range ledgers {
		quoted := "'" + strings.ReplaceAll(pipeline, "'", "''") + "'"
		if err := section(l.name, fmt.Sprintf(l.sql, quoted)); err != nil {
			return "", err
		}
	}
	return out.String(), nil
}

// Rows counts the rows of each section of a dump.
func Rows(dump string) map[string]int {
	out := map[string]int{}
	section := ""
	for _, l := range strings.Split(dump, "\n") {
		if name, ok := strings.CutPrefix(l, "== "); ok {
			section = name
			out[section] = 0
		} else if l != "" {
			out[section]++
		}
	}
	return out
}

// Differ names the lines by which two dumps differ, a few of them; "" if they
// are equal.
func Differ(want, got string) string {
	if want == got {
		return ""
	}
	count := map[string]int{}
	section := ""
	each(want, &section, func(line string) { count[line]++ })
	var out []string
	each(got, &section, func(line string) {
		if count[line]--; count[line] < 0 {
			out = append(out, "+ "+line)
		}
	})
	each(want, &section, func(line string) {
		if count[line] > 0 {
			count[line]--
			out = append(out, "- "+line)
		}
	})
	const shown = 20
	if len(out) > shown {
		out = append(out[:shown], fmt.Sprintf("… and %d more", len(out)-shown))
	}
	return strings.Join(out, "\n")
}

// each gives the lines of a dump, each with its section's name.
func each(dump string, section *string, line func(string)) {
	for _, l := range strings.Split(dump, "\n") {
		if name, ok := strings.CutPrefix(l, "== "); ok {
			*section = name
			continue
		}
		if l != "" {
			line(*section + ": " + l)
		}
	}
}
