package expr

import (
	"math/rand/v2"
	"testing"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
)

var benchmarks = []struct{ name, sql string }{
	{"add_integer", "i4 % 1000 + 7"},
	{"compare_integer", "i4 = 42"},
	{"multiply_double", "f8 / 1e300 * 1.5"},
	{"upper_concat", "upper(s) || '!'"},
	{"like", "s LIKE '%b%'"},
	{"case", "CASE WHEN i4 > 0 THEN i4 ELSE 0 END"},
	{"date_trunc_zone", "date_trunc('day', tz, 'Europe/Paris')"},
	{"date_bin", "date_bin('5 minutes', tz, '2000-01-01')"},
	{"numeric_add", "m + 1.25"},
	{"json_text", "j ->> 'a'"},
	{"in_list", "i4 IN (1, 2, 3, 42)"},
	{"extract", "extract(hour from tz)"},
	{"is_distinct", "i4 IS DISTINCT FROM i8"},
}

// benchmarkBatch is a batch of some thousand rows in which no benchmarked
// expression fails.
func benchmarkBatch() *column.Batch {
	const rows = 4096
	random := rand.New(rand.NewPCG(1, 1))
	batch := &column.Batch{N: rows}
	for _, c := range testColumns {
		v := column.NewVector(c.t, rows)
		for i := range rows {
			text := c.values[random.IntN(len(c.values))]
			switch c.name {
			case "f8":
				text = "0.5"
			case "tz":
				text = "2024-03-31 01:00:00+00"
			case "m":
				text = "12.50"
			}
			if err := datum.Input(v, i, []byte(text)); err != nil {
				panic(err)
			}
		}
		batch.Cols = append(batch.Cols, v)
	}
	return batch
}

// TestNoGarbage holds kernels to no allocation for a batch, once their
// vectors have grown.
func TestNoGarbage(t *testing.T) {
	batch := benchmarkBatch()
	sel := all(batch.N)
	for _, b := range benchmarks {
		p := Compile(mustBind(t, b.sql))
		var errs RowErrors
		run := func() {
			errs.Reset(batch.N)
			p.Eval(batch, sel, &errs)
		}
		run()
		if errs.Any() {
			t.Errorf("%s: rows fail", b.sql)
		}
		if n := testing.AllocsPerRun(5, run); n > 0 {
			t.Errorf("%s allocates %v times for a batch", b.sql, n)
		}
	}
}

func BenchmarkEval(b *testing.B) {
	batch := benchmarkBatch()
	sel := all(batch.N)
	for _, bench := range benchmarks {
		b.Run(bench.name, func(b *testing.B) {
			p := Compile(mustBind(b, bench.sql))
			var errs RowErrors
			b.ReportAllocs()
			for b.Loop() {
				errs.Reset(batch.N)
				p.Eval(batch, sel, &errs)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(batch.N), "ns/row")
		})
	}
}
