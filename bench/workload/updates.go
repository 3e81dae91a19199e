package workload

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"sync"

	"github.com/jackc/pgx/v5"
)

// ProbeKeys is where the keys of probes begin.
const ProbeKeys = 1 << 40

// Updates keeps count, sum and max per key, without a window.
type Updates struct {
	Seed  uint64
	Keys  int64
	Zipf  bool  // else uniform
	Probe int64 // if not 0, each Probe-th event has a key of its own

	counted struct {
		sync.Mutex
		n    int64
		rows []UpdateRow
	}
}

// UpdateRow is a row of the result.
type UpdateRow struct {
	N, Total int64
	Greatest int32
}

// Name is the workload's.
func (u *Updates) Name() string {
	if u.Zipf {
		return "U " + short(u.Keys) + " Zipf"
	}
	return "U " + short(u.Keys)
}

// short writes a number with k or M.
func short(n int64) string {
	switch {
	case n%1_000_000 == 0:
		return strconv.FormatInt(n/1_000_000, 10) + "M"
	case n%1000 == 0:
		return strconv.FormatInt(n/1000, 10) + "k"
	}
	return strconv.FormatInt(n, 10)
}

// Kind is the query.
func (u *Updates) Kind() string { return "U" }

// Table is the result's.
func (u *Updates) Table() string { return "totals" }

// IsProbe tells whether event i is a probe.
func (u *Updates) IsProbe(i int64) bool { return u.Probe != 0 && i%u.Probe == 0 }

// Event gives key and value of event i. With uniform keys the first events
// visit each key once, so that all are there. Zipf's ranks are drawn with the
// exponent 1, by the inverse of the continuous distribution.
func (u *Updates) Event(i int64) (key int64, value int32) {
	value = int32(below(draw(u.Seed, i, 1), 1000))
	switch random := draw(u.Seed, i, 2); {
	case u.IsProbe(i):
		return ProbeKeys + i/u.Probe, value
	case u.Zipf:
		rank := int64(math.Exp(float64(random>>11)/(1<<53)*math.Log(float64(u.Keys+1)))) - 1
		return u.scatter(min(rank, u.Keys-1)), value
	case i < u.Keys:
		return u.scatter(i), value
	default:
		return below(random, u.Keys), value
	}
}

// scatter is a permutation of the keys: neighbours are far apart. The
// multiplier is a prime above every number of keys, hence coprime to it.
func (u *Updates) scatter(i int64) int64 {
	const prime = 2_147_483_647
	return int64(uint64(i) * prime % uint64(u.Keys))
}

// Append appends event i.
func (u *Updates) Append(dst []byte, i int64) []byte {
	key, value := u.Event(i)
	dst = append(dst, `{"key":`...)
	dst = strconv.AppendInt(dst, key, 10)
	dst = append(dst, `,"value":`...)
	dst = strconv.AppendInt(dst, int64(value), 10)
	return append(dst, '}')
}

// Setup needs nothing.
func (u *Updates) Setup(context.Context, *pgx.Conn) error { return nil }

// Pipeline is the product's.
func (u *Updates) Pipeline(topic string) string {
	return fmt.Sprintf(`CREATE FOREIGN TABLE updates (
    key   bigint  NOT NULL,
    value integer NOT NULL
) SERVER kafka OPTIONS (topic '%s', format 'json');

CREATE MATERIALIZED VIEW totals WITH (max_groups = %d) AS
SELECT key, count(*) AS n, sum(value) AS total, max(value) AS greatest
FROM updates GROUP BY key;
`, topic, max(2*u.Keys, 1_000_000))
}

// expect counts the first n events; probes are left out.
func (u *Updates) expect(n int64) []UpdateRow {
	c := &u.counted
	c.Lock()
	defer c.Unlock()
	if c.rows != nil && c.n == n {
		return c.rows
	}
	c.n, c.rows = n, make([]UpdateRow, u.Keys)
	for i := range n {
		if u.IsProbe(i) {
			continue
		}
		key, value := u.Event(i)
		c.rows[key].Add(value)
	}
	return c.rows
}

// Add counts a value.
func (r *UpdateRow) Add(value int32) {
	if r.N == 0 || value > r.Greatest {
		r.Greatest = value
	}
	r.N++
	r.Total += int64(value)
}

// Check compares the table.
func (u *Updates) Check(ctx context.Context, db *pgx.Conn, n int64) error {
	want := u.expect(n)
	missing, probes := int64(0), int64(0)
	for _, w := range want {
		if w.N > 0 {
			missing++
		}
	}
	if u.Probe != 0 {
		probes = (n + u.Probe - 1) / u.Probe
	}
	rows, err := db.Query(ctx, "SELECT key, n, total, greatest FROM totals")
	if err != nil {
		return err
	}
	var d differences
	var key int64
	var got UpdateRow
	_, err = pgx.ForEachRow(rows, []any{&key, &got.N, &got.Total, &got.Greatest}, func() error {
		switch {
		case key >= ProbeKeys && key < ProbeKeys+int64(len(want))+n:
			probes--
			if got.N != 1 {
				d.add("probe %d: has %v", key, got)
			}
		case key < 0 || key >= u.Keys:
			d.add("key %d is none", key)
		default:
			missing--
			if want[key] != got {
				d.add("key %d: has %v, must have %v", key, got, want[key])
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the table: %w", err)
	}
	if missing != 0 || probes != 0 {
		d.add("%d keys and %d probes are missing", missing, probes)
	}
	return d.err(u.Table())
}
