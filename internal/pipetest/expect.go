package pipetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/millstream-dev/millstream/internal/diag"
)

// floatTolerance is how much a floating point value may differ from what is
// expected, relative to the greater of the two: scripts are written by hand.
const floatTolerance = 1e-9

func place(p diag.Position) string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// expect gives a failure if the expectation does not hold, an error if it
// can't be looked at.
func (r *runner) expect(ctx context.Context, e *Expect, pos diag.Position) (*Failure, error) {
	switch e.Kind {
	case Watermark, Floor, Final:
		return r.expectTime(ctx, e, pos)
	}
	got, err := r.query(ctx, relation(e))
	if err != nil {
		return r.unreadable(err, e, pos)
	}
	want, failure, err := r.wanted(ctx, e, got, pos)
	if failure != nil || err != nil {
		return failure, err
	}
	missing, extra, same := match(want, got)
	if len(missing)+len(extra) == 0 {
		return nil, nil
	}
	return &Failure{
		Place:   place(pos),
		Message: fmt.Sprintf("%s is not as expected: %s missing, %s not expected, %d as expected", subjectOf(e), count(len(missing), "row"), count(len(extra), "row"), len(same)),
		Diff:    diff(want.names(), missing, extra, same),
	}, nil
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

func subjectOf(e *Expect) string {
	if e.Kind == Rows {
		return e.Name
	}
	return strings.TrimSpace(string(e.Kind) + " " + e.Name)
}

// relation is the query that gives what an expectation looks at.
func relation(e *Expect) string {
	name := "'" + strings.ReplaceAll(e.Name, "'", "''") + "'"
	switch e.Kind {
	case Late:
		if e.Name == "" {
			return "SELECT * FROM millstream.late_rows"
		}
		return "SELECT * FROM millstream.late_rows WHERE view_name = " + name
	case Quarantine:
		if e.Name == "" {
			return `SELECT * FROM millstream.quarantine`
		}
		return `SELECT * FROM millstream.quarantine WHERE view_name IS NULL OR view_name = ` + name
	case Errors:
		if e.Name == "" {
			return "SELECT * FROM millstream.group_errors"
		}
		return "SELECT * FROM millstream.group_errors WHERE view_name = " + name
	case Counts:
		return `SELECT sum(read)::bigint AS read, sum(accepted)::bigint AS accepted, sum(filtered)::bigint AS filtered,
			sum(late)::bigint AS late, sum(quarantined)::bigint AS quarantined, sum(skipped)::bigint AS skipped
			FROM millstream.commit_inputs WHERE view_name = ` + name
	}
	return "SELECT * FROM " + pgx.Identifier(strings.Split(e.Name, ".")).Sanitize()
}

// unreadable turns a query's failure into one of the script's where the name
// is to blame.
func (r *runner) unreadable(err error, e *Expect, pos diag.Position) (*Failure, error) {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return &Failure{Place: place(pos), Message: fmt.Sprintf("can't look at %s: %s", subjectOf(e), pgErr.Message)}, nil
	}
	return nil, err
}

// data is rows of texts; nil stands for NULL.
type data struct {
	fields []pgconn.FieldDescription
	rows   [][]*string
	places []diag.Position // of expected rows
}

func (d *data) names() []string {
	out := make([]string, len(d.fields))
	for i, f := range d.fields {
		out[i] = f.Name
	}
	return out
}

func (r *runner) query(ctx context.Context, sql string) (*data, error) {
	rows, err := r.conn.Query(ctx, sql, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	d := &data{}
	for rows.Next() {
		var row []*string
		for _, v := range rows.RawValues() {
			if v == nil {
				row = append(row, nil)
				continue
			}
			text := string(v)
			row = append(row, &text)
		}
		d.rows = append(d.rows, row)
	}
	d.fields = append(d.fields, rows.FieldDescriptions()...)
	return d, rows.Err()
}

// wanted reads the expected cells as values of the columns' types, so that
// 2024-01-01 00:00 is the same as 2024-01-01 00:00:00+00, and cuts got down to
// the columns that are named.
func (r *runner) wanted(ctx context.Context, e *Expect, got *data, pos diag.Position) (*data, *Failure, error) {
	want := &data{}
	if len(e.Table.Columns) == 0 { // none
		want.fields = got.fields
		return want, nil, nil
	}
	var at []int
	for _, c := range e.Table.Columns {
		i := indexOf(got.names(), c.Text)
		if i < 0 {
			hint := "it has " + strings.Join(got.names(), ", ")
			if near := diag.Closest(c.Text, got.names()); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			return nil, &Failure{Place: place(c.Pos), Message: fmt.Sprintf("%s has no column %q (%s)", subjectOf(e), c.Text, hint)}, nil
		}
		at = append(at, i)
		want.fields = append(want.fields, got.fields[i])
	}
	for k, row := range got.rows {
		cut := make([]*string, len(at))
		for j, i := range at {
			cut[j] = row[i]
		}
		got.rows[k] = cut
	}
	got.fields = want.fields
	known := map[valueOf]string{}
	for _, row := range e.Table.Rows {
		values := make([]*string, len(row.Cells))
		for j, c := range row.Cells {
			if c.Null {
				continue
			}
			value := valueOf{want.fields[j].DataTypeOID, c.Text}
			text, there := known[value]
			if there {
				values[j] = &text
				continue
			}
			text, err := r.normal(ctx, c.Text, value.oid)
			var pgErr *pgconn.PgError
			if errors.As(err, &pgErr) {
				return nil, &Failure{Place: place(c.Pos), Message: fmt.Sprintf("%q can't be a value of column %s: %s", c.Text, want.fields[j].Name, pgErr.Message)}, nil
			}
			if err != nil {
				return nil, nil, err
			}
			known[value] = text
			values[j] = &text
		}
		want.rows = append(want.rows, values)
		want.places = append(want.places, row.Pos)
	}
	return want, nil, nil
}

// valueOf is a value that was written for a column of a type.
type valueOf struct {
	oid  uint32
	text string
}

// normal is a value as PostgreSQL prints it in the column's type.
func (r *runner) normal(ctx context.Context, text string, oid uint32) (string, error) {
	var name string
	err := r.conn.QueryRow(ctx, fmt.Sprintf("SELECT format_type(%d, NULL)", oid), pgx.QueryExecModeSimpleProtocol).Scan(&name)
	if err != nil {
		return "", err
	}
	d, err := r.query(ctx, fmt.Sprintf("SELECT '%s'::%s", strings.ReplaceAll(text, "'", "''"), name))
	if err != nil {
		return "", err
	}
	return *d.rows[0][0], nil
}

func indexOf(names []string, name string) int {
	for i, n := range names {
		if n == name {
			return i
		}
	}
	return -1
}

// match pairs expected rows with those that are there, whatever their order.
func match(want, got *data) (missing, extra, same [][]*string) {
	used := make([]bool, len(got.rows))
	for _, w := range want.rows {
		found := false
		for i, g := range got.rows {
			if !used[i] && equalRows(want.fields, w, g) {
				used[i], found = true, true
				same = append(same, g)
				break
			}
		}
		if !found {
			missing = append(missing, w)
		}
	}
	for i, g := range got.rows {
		if !used[i] {
			extra = append(extra, g)
		}
	}
	return missing, extra, same
}

func equalRows(fields []pgconn.FieldDescription, a, b []*string) bool {
	for i, f := range fields {
		switch {
		case a[i] == nil || b[i] == nil:
			if a[i] != b[i] {
				return false
			}
		case *a[i] == *b[i]:
		case f.DataTypeOID == pgtype.Float8OID || f.DataTypeOID == pgtype.Float4OID:
			if !near(*a[i], *b[i]) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

func near(a, b string) bool {
	x, err1 := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	if err1 != nil || err2 != nil || math.IsInf(x, 0) || math.IsInf(y, 0) {
		return false
	}
	return math.Abs(x-y) <= floatTolerance*max(math.Abs(x), math.Abs(y))
}

// expectTime compares a time of the last commit.
func (r *runner) expectTime(ctx context.Context, e *Expect, pos diag.Position) (*Failure, error) {
	want := "-infinity"
	if e.Time != "none" {
		want = e.Time
	}
	column := map[Kind]string{Watermark: "watermark", Floor: "floor", Final: "final_before"}[e.Kind]
	normal, err := r.normal(ctx, want, pgtype.TimestamptzOID)
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return &Failure{Place: place(pos), Message: fmt.Sprintf("%q is no time: %s", e.Time, pgErr.Message)}, nil
	}
	if err != nil {
		return nil, err
	}
	got := "-infinity"
	err = r.conn.QueryRow(ctx, "SELECT "+column+"::text FROM millstream.commit_views WHERE view_name = $1 ORDER BY seq DESC LIMIT 1", e.Name).Scan(&got)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, err
	}
	if got == normal {
		return nil, nil
	}
	return &Failure{Place: place(pos), Message: fmt.Sprintf("%s of %s is %s, expected %s", e.Kind, e.Name, got, normal)}, nil
}
