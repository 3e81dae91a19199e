package workload

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// OpenWindows has a fixed number of groups spread over more or fewer open
// windows: each epoch changes as many rows.
type OpenWindows struct {
	Windows int64
	Groups  int64 // in all windows together
}

// Name is the workload's.
func (w *OpenWindows) Name() string { return short(w.Windows) + " open windows" }

// Kind is the query.
func (w *OpenWindows) Kind() string { return "G" }

// Table is the result's.
func (w *OpenWindows) Table() string { return "windows" }

var growthClock = CatchUp(0)

// Append appends event i: each group in turn.
func (w *OpenWindows) Append(dst []byte, i int64) []byte {
	group := i % w.Groups
	dst = append(dst, `{"key":`...)
	dst = strconv.AppendInt(dst, group/w.Windows, 10)
	dst = append(dst, `,"at":"`...)
	dst = appendTime(dst, growthClock.At(0)+group%w.Windows*1000)
	return append(dst, `"}`...)
}

// Setup needs nothing.
func (w *OpenWindows) Setup(context.Context, *pgx.Conn) error { return nil }

// Pipeline keeps all windows open: none ends before the watermark.
func (w *OpenWindows) Pipeline(topic string) string {
	return fmt.Sprintf(`CREATE FOREIGN TABLE readings (
    key bigint      NOT NULL,
    at  timestamptz NOT NULL
) SERVER kafka OPTIONS (topic '%s', format 'json', event_time 'at', watermark '10 days');

CREATE MATERIALIZED VIEW windows AS
SELECT window_start, key, count(*) AS n
FROM tumble(readings, at, INTERVAL '1 second') GROUP BY window_start, key;
`, topic)
}

// Check compares counts: each group has been visited in turn.
func (w *OpenWindows) Check(ctx context.Context, db *pgx.Conn, n int64) error {
	var d differences
	var groups, events, least, most, windows int64
	err := db.QueryRow(ctx, `SELECT count(*), sum(n)::int8, min(n), max(n), count(DISTINCT window_start) FROM windows`).
		Scan(&groups, &events, &least, &most, &windows)
	if err != nil {
		return err
	}
	if groups != min(w.Groups, n) || events != n || least != n/w.Groups || most != (n+w.Groups-1)/w.Groups || windows != min(w.Windows, n) {
		d.add("%d groups in %d windows of %d to %d events, %d in all", groups, windows, least, most, events)
	}
	return d.err(w.Table())
}

// Wide has records of many columns or of great size, and views that read one
// column of them.
type Wide struct {
	Columns int // beside the key
	Text    int // bytes of each
	Views   int // 0: one
}

// Name is the workload's.
func (w *Wide) Name() string {
	if w.Views > 0 {
		return fmt.Sprintf("%d views", w.Views)
	}
	return fmt.Sprintf("%d columns of %d bytes", w.Columns, w.Text)
}

// Kind is the query.
func (w *Wide) Kind() string { return "G" }

// Table is the first result's.
func (w *Wide) Table() string { return "counts_0" }

// wideKeys is how many groups there are: few, so that decoding counts.
const wideKeys = 100

// letters fill the columns.
var letters = strings.Repeat("the quick brown fox jumps over the lazy dog ", 300)

// Append appends event i.
func (w *Wide) Append(dst []byte, i int64) []byte {
	dst = append(dst, `{"key":`...)
	dst = strconv.AppendInt(dst, i%wideKeys, 10)
	for c := range w.Columns {
		dst = append(dst, `,"c`...)
		dst = strconv.AppendInt(dst, int64(c), 10)
		dst = append(dst, `":"`...)
		from := below(draw(5, i, uint64(c)), int64(len(letters)-w.Text))
		dst = append(dst, letters[from:int(from)+w.Text]...)
		dst = append(dst, '"')
	}
	return append(dst, '}')
}

// Setup needs nothing.
func (w *Wide) Setup(context.Context, *pgx.Conn) error { return nil }

// Pipeline declares all columns, and reads one.
func (w *Wide) Pipeline(topic string) string {
	var b strings.Builder
	b.WriteString("CREATE FOREIGN TABLE wide (\n    key bigint NOT NULL")
	for c := range w.Columns {
		fmt.Fprintf(&b, ",\n    c%d text", c)
	}
	fmt.Fprintf(&b, "\n) SERVER kafka OPTIONS (topic '%s', format 'json');\n", topic)
	for v := range max(w.Views, 1) {
		fmt.Fprintf(&b, "\nCREATE MATERIALIZED VIEW counts_%d WITH (max_groups = 1000) AS\nSELECT key, count(*) AS n, max(key) AS greatest FROM wide GROUP BY key;\n", v)
	}
	return b.String()
}

// Check compares counts in every view.
func (w *Wide) Check(ctx context.Context, db *pgx.Conn, n int64) error {
	for v := range max(w.Views, 1) {
		var d differences
		var groups, wrong int64
		err := db.QueryRow(ctx, fmt.Sprintf(`SELECT count(*), count(*) FILTER (WHERE n <> $1::int8 / %[2]d + (key < $1 %% %[2]d)::int OR greatest <> key) FROM counts_%[1]d`, v, wideKeys), n).
			Scan(&groups, &wrong)
		if err != nil {
			return err
		}
		if groups != min(wideKeys, n) || wrong > 0 {
			d.add("%d groups, %d of them wrong", groups, wrong)
		}
		if err := d.err(fmt.Sprintf("counts_%d", v)); err != nil {
			return err
		}
	}
	return nil
}

// Size is about how many bytes an event has.
func Size(w Workload) float64 {
	const sample = 1000
	n := 0
	var b []byte
	for i := range int64(sample) {
		b = w.Append(b[:0], i)
		n += len(b)
	}
	return float64(n) / sample
}

// Live makes events happen when they are due.
func Live(start time.Time, rate int64) Clock {
	return Clock{Start: start, Step: time.Second / time.Duration(rate)}
}
