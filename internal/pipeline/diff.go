package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/config"
	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/plan"
	"github.com/millstream-dev/millstream/internal/postgres"
)

// DiffOptions say what is compared.
type DiffOptions struct {
	Path   string // the pipeline file
	Config *config.Config
	Logger *slog.Logger
	Conf   []string  // settings of Spark
	Output io.Writer // what Spark prints
	Limit  int       // differences of each table to show
}

// Diff is what two engines have made of the same log.
type Diff struct {
	Tables []TableDiff `json:"tables"`
}

// TableDiff compares one table. Left is the native engine, right Spark.
type TableDiff struct {
	Table       string   `json:"table"`
	Rows        int      `json:"rows"` // compared, those that either has
	Open        int      `json:"open"` // left out: their window is closed on one engine only
	Late        int      `json:"late"` // left out: a row was late for their window on the native engine
	Differences int      `json:"differences"`
	Shown       []string `json:"shown,omitempty"`
}

// Total is the number of differences.
func (d *Diff) Total() int {
	n := 0
	for _, t := range d.Tables {
		n += t.Differences
	}
	return n
}

// floatTolerance is the relative error that sums of floats may have by their
// order; see validate --engine spark.
const floatTolerance = 1e-9

// CompareEngines replays the topics of a pipeline from their start to their
// ends through both engines, into a scratch database that is dropped
// afterwards, and compares every table and the quarantine. The topics must be
// at rest meanwhile.
func CompareEngines(ctx context.Context, o DiffOptions) (diff *Diff, err error) {
	cfg := *o.Config
	scratch, drop, err := scratchDatabase(ctx, DatabaseURL(&cfg, nil))
	if err != nil {
		return nil, &NotReadyError{What: "the scratch database", Err: err}
	}
	defer func() { err = errors.Join(err, drop()) }()
	checkpoint, err := os.MkdirTemp("", "millstream-diff-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(checkpoint)
	cfg.Database = config.Database{URL: config.Secret(scratch)}
	cfg.Engine.UntilEnd, cfg.Spark.Checkpoint = true, checkpoint
	cfg.Spark.MaxOffsets = 0 // one batch: see lateSQL
	if err := runNative(ctx, o, cfg); err != nil {
		return nil, fmt.Errorf("native engine: %w", err)
	}
	def, err := runSpark(ctx, o, cfg)
	if err != nil {
		return nil, fmt.Errorf("spark: %w", err)
	}
	conn, err := pgx.Connect(ctx, scratch)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return compare(ctx, conn, def.Plan, o.Limit)
}

// scratchDatabase makes a database beside the one of an address.
func scratchDatabase(ctx context.Context, address string) (scratch string, drop func() error, err error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "" {
		return "", nil, errors.New("diff needs PostgreSQL's address as DATABASE_URL, postgres://…")
	}
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return "", nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	name := fmt.Sprintf("millstream_diff_%d_%d", os.Getpid(), time.Now().UnixNano())
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'UTF8'"); err != nil {
		return "", nil, fmt.Errorf("%w: diff compares in a database of its own, so the role needs CREATEDB", err)
	}
	drop = func() error {
		ctx := context.WithoutCancel(ctx)
		conn, err := pgx.Connect(ctx, address)
		if err != nil {
			return fmt.Errorf("database %s was left: %w", name, err)
		}
		defer conn.Close(ctx)
		if _, err := conn.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			return fmt.Errorf("database %s was left: %w", name, err)
		}
		return nil
	}
	own := *u
	own.Path = "/" + name
	return own.String(), drop, nil
}

// Both pipelines live in the scratch database, each with a schema.
func loadFor(path, engine string) (*Definition, error) {
	return Load(path, "diff_"+engine, "diff_"+engine)
}

func runNative(ctx context.Context, o DiffOptions, cfg config.Config) error {
	cfg.Schema = "diff_" + NativeEngine
	def, err := loadFor(o.Path, NativeEngine)
	if err != nil {
		return err
	}
	p, err := Open(ctx, Options{Definition: def, Config: &cfg, Logger: o.Logger, NoServe: true, Temporary: true})
	if err != nil {
		return err
	}
	defer p.Close()
	return p.Run(ctx)
}

func runSpark(ctx context.Context, o DiffOptions, cfg config.Config) (*Definition, error) {
	cfg.Schema = "diff_" + SparkEngine
	def, err := loadFor(o.Path, SparkEngine)
	if err != nil {
		return nil, err
	}
	p, err := OpenSpark(ctx, SparkOptions{Definition: def, Config: &cfg, Logger: o.Logger, Conf: o.Conf, Output: o.Output})
	if err != nil {
		return nil, err
	}
	defer p.Close()
	return def, p.Run(ctx)
}

func compare(ctx context.Context, conn *pgx.Conn, p *plan.Pipeline, limit int) (*Diff, error) {
	out := &Diff{}
	for _, v := range p.Views {
		t, err := compareView(ctx, conn, v, limit)
		if err != nil {
			return nil, fmt.Errorf("compare %s: %w", v.Name, err)
		}
		out.Tables = append(out.Tables, t)
	}
	const ledger = `SELECT foreign_table, partition::text, "offset"::text, coalesce(view_name, ''), coalesce(source, -1)::text, cause, coalesce(sqlstate, ''), message
FROM millstream.quarantine WHERE pipeline = 'diff_%s'`
	t, err := compareRows(ctx, conn, "millstream.quarantine", ledger, comparison{key: []int{0, 1, 2, 3, 4}, limit: limit})
	if err != nil {
		return nil, fmt.Errorf("compare the quarantine: %w", err)
	}
	out.Tables = append(out.Tables, t)
	return out, nil
}

// comparison says how rows of texts are compared.
type comparison struct {
	key    []int
	floats []bool // by column, nil for none
	limit  int
	// ends, where it is not nil, gives a window's end by its start, which
	// stands in the last column (microseconds since 2000): rows of windows that
	// end after closed are left out, and those of windows in late.
	ends   func(start int64) int64
	closed int64
	late   map[int64]bool // by start
}

const watermarkSQL = `
SELECT coalesce(least(
    (SELECT watermark FROM millstream.commit_views WHERE pipeline = 'diff_native' AND view_name = $1 ORDER BY seq DESC LIMIT 1),
    (SELECT max(watermark) FROM millstream.spark_commits WHERE pipeline = 'diff_spark' AND query = 'view ' || $1)), '0001-01-01 00:00:00+00')`

// microsSQL gives a time as microseconds since 2000.
const microsSQL = "((extract(epoch FROM %s) - 946684800) * 1000000)::bigint"

// lateSQL gives the windows that have refused a row as late. Spark reads the
// whole log as one batch here, before which it has no watermark: it refuses
// none.
var lateSQL = "SELECT DISTINCT " + fmt.Sprintf(microsSQL, "window_start") + " FROM millstream.late_rows WHERE pipeline = 'diff_native' AND view_name = $1"

func compareView(ctx context.Context, conn *pgx.Conn, v *plan.View, limit int) (TableDiff, error) {
	columns, key := postgres.TableColumns(v)
	c := comparison{key: key, limit: limit}
	var list []string
	for _, col := range columns {
		list = append(list, pgx.Identifier{col.Name}.Sanitize()+"::text")
		c.floats = append(c.floats, col.Type.Kind.IsFloat())
	}
	if start := windowStart(v); start >= 0 {
		if err := c.windows(ctx, conn, v); err != nil {
			return TableDiff{}, err
		}
		list = append(list, fmt.Sprintf(microsSQL, pgx.Identifier{columns[start].Name}.Sanitize())+"::text")
	} else if v.Final {
		return TableDiff{}, errors.New("emit 'final' without the window's start among the columns")
	}
	return compareRows(ctx, conn, v.Name, "SELECT "+strings.Join(list, ", ")+" FROM diff_%s."+pgx.Identifier{v.Name}.Sanitize(), c)
}

// windows reads which windows of a view can be compared.
func (c *comparison) windows(ctx context.Context, conn *pgx.Conn, v *plan.View) error {
	c.ends, c.closed, c.late = v.Window.Assigner.End, math.MaxInt64, map[int64]bool{}
	if v.Final {
		var mark time.Time
		if err := conn.QueryRow(ctx, watermarkSQL, v.Name).Scan(&mark); err != nil {
			return err
		}
		c.closed = mark.UnixMicro() + column.UnixEpochMicros
	}
	rows, err := conn.Query(ctx, lateSQL, v.Name)
	if err != nil {
		return err
	}
	starts, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	for _, start := range starts {
		c.late[start] = true
	}
	return err
}

// windowStart is the column of a view that holds the window's start, -1 if
// none does.
func windowStart(v *plan.View) int {
	if v.Window == nil {
		return -1
	}
	return slices.IndexFunc(v.Outputs, func(e expr.Expr) bool {
		c, ok := e.(*expr.Column)
		return ok && c.Index == 0
	})
}

// compareRows runs a query for each engine, whose name stands for %s in it.
func compareRows(ctx context.Context, conn *pgx.Conn, table, query string, c comparison) (TableDiff, error) {
	out := TableDiff{Table: table}
	left, err := c.read(ctx, conn, fmt.Sprintf(query, NativeEngine), &out)
	if err != nil {
		return out, err
	}
	right, err := c.read(ctx, conn, fmt.Sprintf(query, SparkEngine), &out)
	if err != nil {
		return out, err
	}
	keys := slices.Collect(maps.Keys(left))
	for k := range right {
		if left[k] == nil {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		if c.refused(left[k]) || c.refused(right[k]) {
			out.Late++
			continue
		}
		if out.Rows++; c.equal(left[k], right[k]) {
			continue
		}
		out.Differences++
		if len(out.Shown) < c.limit {
			out.Shown = append(out.Shown, fmt.Sprintf("native %s, spark %s", rowText(left[k]), rowText(right[k])))
		}
	}
	return out, nil
}

// read gives rows by their key.
func (c comparison) read(ctx context.Context, conn *pgx.Conn, query string, out *TableDiff) (map[string][]*string, error) {
	rows, err := conn.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]*string, error) {
		values := make([]*string, len(row.FieldDescriptions()))
		targets := make([]any, len(values))
		for i := range values {
			targets[i] = &values[i]
		}
		return values, row.Scan(targets...)
	})
	if err != nil {
		return nil, err
	}
	byKey := map[string][]*string{}
	for _, r := range list {
		if c.ends != nil {
			start, err := strconv.ParseInt(*r[len(r)-1], 10, 64)
			if err != nil {
				return nil, err
			}
			if c.ends(start) > c.closed {
				out.Open++
				continue
			}
		}
		var key strings.Builder
		for _, i := range c.key {
			fmt.Fprintf(&key, "%s\x00", rowText(r[i:i+1]))
		}
		byKey[key.String()] = r
	}
	return byKey, nil
}

// refused tells whether a row's window has refused a record as late.
func (c comparison) refused(r []*string) bool {
	if r == nil || len(c.late) == 0 {
		return false
	}
	start, err := strconv.ParseInt(*r[len(r)-1], 10, 64) // read has checked it
	return err == nil && c.late[start]
}

func (c comparison) equal(a, b []*string) bool {
	return slices.EqualFunc(a, b, func(x, y *string) bool {
		return (x == nil) == (y == nil) && (x == nil || *x == *y)
	}) || len(a) == len(b) && c.near(a, b)
}

// near compares with floats that differ by the order of their sums.
func (c comparison) near(a, b []*string) bool {
	for i := range a {
		switch {
		case a[i] == nil || b[i] == nil:
			if a[i] != b[i] {
				return false
			}
		case *a[i] == *b[i]:
		case i >= len(c.floats) || !c.floats[i]:
			return false
		default:
			x, errX := strconv.ParseFloat(*a[i], 64)
			y, errY := strconv.ParseFloat(*b[i], 64)
			if errX != nil || errY != nil || !(math.Abs(x-y) <= floatTolerance*max(math.Abs(x), math.Abs(y))) {
				return false
			}
		}
	}
	return true
}

func rowText(r []*string) string {
	if r == nil {
		return "has no such row"
	}
	parts := make([]string, len(r))
	for i, v := range r {
		parts[i] = "NULL"
		if v != nil {
			parts[i] = strconv.Quote(*v)
		}
	}
	return "(" + strings.Join(parts, ", ") + ")"
}
