package main

import (
	"bytes"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/plan"
	"github.com/millstream-dev/millstream/internal/sqlfile"
)

// kernels evaluates expressions over batches, beside the loop that a person
// writes for exactly this expression.
func kernels() []line {
	const n = 4096
	file, problems := sqlfile.Parse("micro.sql", `
CREATE FOREIGN TABLE t (a bigint, b bigint, s text) SERVER kafka;
CREATE MATERIALIZED VIEW v AS SELECT a + b * 2 AS sum, substr(s, 1, 8) AS head FROM t WHERE s = 'view' AND a > 10;`)
	must(0, problems.Err())
	p, problems := plan.Build(file, plan.Options{})
	must(0, problems.Err())
	branch := p.Views[0].Branches[0]

	text := column.Of(column.Text)
	a, b, s := column.NewVector(bigint, n), column.NewVector(bigint, n), column.NewVector(text, n)
	rows := make([]int32, n)
	for i := range n {
		a.Int[i], b.Int[i], rows[i] = int64(i), int64(2*i), int32(i)
		s.SetString(i, []string{"view", "click", "purchase"}[i%3])
	}
	in := &column.Batch{N: n, Cols: []*column.Vector{a, b, s}}
	for len(in.Cols) < 3+int(plan.MetaCount) {
		in.Cols = append(in.Cols, nil)
	}
	var errs expr.RowErrors
	eval := func(e expr.Expr) func() {
		program := expr.Compile(e)
		return func() {
			errs.Reset(n)
			program.Eval(in, rows, &errs)
			if errs.Any() {
				panic("an expression fails")
			}
		}
	}
	out, kept := make([]int64, n), make([]bool, n)
	spans := make([]column.Span, n)
	view := []byte("view")
	lines := []line{
		{what: "a + b * 2", by: "millstream", run: eval(branch.Outputs[0])},
		{what: "a + b * 2", by: "hand-written", note: ", overflow checked", run: func() {
			for _, i := range rows {
				if a.Null[i] || b.Null[i] {
					continue
				}
				twice := b.Int[i] * 2
				sum := a.Int[i] + twice
				if twice/2 != b.Int[i] || (sum > a.Int[i]) != (twice > 0) && twice != 0 {
					panic("out of range")
				}
				out[i] = sum
			}
		}},
		{what: "s = 'view' AND a > 10", by: "millstream", run: eval(branch.Filter)},
		{what: "s = 'view' AND a > 10", by: "hand-written", run: func() {
			for _, i := range rows {
				kept[i] = !s.Null[i] && !a.Null[i] && a.Int[i] > 10 && bytes.Equal(s.Bytes(int(i)), view)
			}
		}},
		{what: "substr(s, 1, 8)", by: "millstream", run: eval(branch.Outputs[1])},
		{what: "substr(s, 1, 8)", by: "hand-written", note: ", ASCII only", run: func() {
			for _, i := range rows {
				spans[i] = column.Span{Start: s.Span[i].Start, Length: min(s.Span[i].Length, 8)}
			}
		}},
	}
	for i := range lines {
		lines[i].part, lines[i].items = "expr", n
	}
	return lines
}
