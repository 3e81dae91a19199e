package plan

import (
	"fmt"
	"strings"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/engine/window"
	"github.com/millstream-dev/millstream/internal/expr"
)

// cut is a key that is a window's start or end in one input.
type cut struct {
	assigner window.Assigner
	end      bool
}

// findWindow looks among the keys for the window: one that is a time bucket
// of the event time in every input. Of several the finest is the window, or the
// one of session, and the others are keys like any other.
func (g *grouper) findWindow(pos diag.Position) error {
	g.cut, g.ends = make([]bool, len(g.exprs)), make([]bool, len(g.exprs))
	cuts := make([]*cut, len(g.exprs))
	var best *cut
	for i, k := range g.exprs {
		c, err := g.keyCut(k)
		if err != nil {
			return g.fail(err)
		}
		cuts[i] = c
		if c != nil && (best == nil || finer(c.assigner, best.assigner)) {
			best = c
		}
	}
	if best == nil {
		return nil
	}
	t, err := g.timeType(pos)
	if err != nil {
		return err
	}
	g.out.window = &Window{Assigner: best.assigner, Type: t}
	for i, c := range cuts {
		if c != nil && sameWindow(c.assigner, best.assigner) {
			g.cut[i], g.ends[i] = true, c.end
		}
	}
	return nil
}

// timeType gives the type of the event time, the same in every input.
func (g *grouper) timeType(pos diag.Position) (column.Type, error) {
	t := g.source.inputs[0].topic.eventTimeType()
	for _, in := range g.source.inputs[1:] {
		if in.topic.eventTimeType() != t {
			return t, g.fail(problem(codeWindowMix, pos, "declare both event times as timestamptz",
				"the event time of topic %q is %s, that of %q is %s", g.source.inputs[0].topic.Name, t, in.topic.Name, in.topic.eventTimeType()))
		}
	}
	return t, nil
}

// forget makes the sessions of a view with a ttl, where the query has no
// window.
func (g *grouper) forget() error {
	if g.ttl == 0 || g.out.window != nil {
		return nil
	}
	t, err := g.timeType(g.exprs[0].pos)
	if err != nil {
		return err
	}
	g.out.window = &Window{Assigner: window.NewSession(g.ttl.Microseconds()), Type: t, TTL: true}
	return nil
}

func (t *Topic) eventTimeType() column.Type {
	if t.EventTime >= 0 {
		return t.Columns[t.EventTime].Type
	}
	return MetaColumns[MetaTimestamp].Type
}

// finer tells whether a is the window of a grouping by both.
func finer(a, b window.Assigner) bool {
	_, session := a.(*window.Session)
	_, other := b.(*window.Session)
	if session != other {
		return session
	}
	return windowLength(a) < windowLength(b)
}

// windowLength is the length of the window that holds 2000-01-01, to compare
// windows by.
func windowLength(a window.Assigner) int64 {
	start, _ := a.Start(0)
	return a.End(start) - start
}

// sameWindow tells whether two assigners cut time in the same way.
func sameWindow(a, b window.Assigner) bool {
	f, fixed := a.(*window.Fixed)
	g, alsoFixed := b.(*window.Fixed)
	if fixed && alsoFixed {
		return f.Size() == g.Size() && (f.Origin()-g.Origin())%f.Size() == 0
	}
	return a.String() == b.String()
}

// keyCut tells whether a key is the same window in every input.
func (g *grouper) keyCut(k keyExpr) (*cut, error) {
	var common *cut
	missing := ""
	for _, in := range g.source.inputs {
		c, why, err := in.cutOf(substitute(k.expr, in.columns), k.pos)
		switch {
		case err != nil:
			return nil, err
		case c == nil:
			missing = in.topic.Name
			if why != "" {
				g.hints = append(g.hints, why)
			}
		case common == nil:
			common = c
		case !sameWindow(common.assigner, c.assigner) || common.end != c.end:
			return nil, problem(codeWindowMix, k.pos, "cut all branches alike",
				"%s is %s in one branch of the UNION ALL and %s in another", k.name, common.assigner, c.assigner)
		}
	}
	if common != nil && missing != "" {
		return nil, problem(codeWindowMix, k.pos, "apply the time bucket to the UNION ALL as a whole, over each topic's event time",
			"%s is a window in one branch of the UNION ALL but not over the event time of topic %q", k.name, missing)
	}
	return common, nil
}

// cutOf tells whether an expression over the input's topic is a time bucket
// of its event time, or else why a time bucket is none.
func (in *input) cutOf(e expr.Expr, pos diag.Position) (*cut, string, error) {
	for _, b := range in.buckets {
		if expr.Equal(e, b.start) {
			return &cut{b.assigner, false}, "", nil
		}
		if expr.Equal(e, b.end) {
			return &cut{b.assigner, true}, "", nil
		}
	}
	spec, operand, ok := expr.AsCalendar(e)
	if !ok {
		return nil, "", in.badBucket(e, pos)
	}
	if !in.isEventTime(operand) {
		return nil, in.whyNoWindow(e, operand), nil
	}
	a, d := assignerOf(spec, pos)
	if d != nil {
		return nil, "", d
	}
	return &cut{a, false}, "", nil
}

// whyNoWindow says why a time bucket over something else than the event time
// is no window.
func (in *input) whyNoWindow(e, operand expr.Expr) string {
	name := quoteName(in.topic.EventTimeName())
	if c, ok := operand.(*expr.Call); ok && c.Function.Name == "timezone" && len(c.Args) == 2 && in.isEventTime(c.Args[1]) {
		return fmt.Sprintf("%s is no window, since its local times come twice when a clock is set back; date_trunc('…', %s, %s) is one",
			expr.SQL(e), name, strings.TrimSuffix(expr.SQL(c.Args[0]), "::text"))
	}
	return fmt.Sprintf("%s is no window: %s is not the event time of topic %q, which is %s",
		expr.SQL(e), expr.SQL(operand), in.topic.Name, name)
}

// badBucket says what is wrong with a call of date_bin or date_trunc over the
// event time that is no time bucket.
func (in *input) badBucket(e expr.Expr, pos diag.Position) error {
	c, ok := e.(*expr.Call)
	if !ok || len(c.Args) < 2 || !in.isEventTime(c.Args[1]) {
		return nil
	}
	first, isConst := c.Args[0].(*expr.Const)
	isConst = isConst && !first.Value.Null[0]
	switch {
	case c.Function.Name == "date_bin" && isConst:
		_, d := assignerOf(expr.CalendarSpec{Function: "date_bin", Stride: first.Value.Interval[0]}, pos)
		if d != nil {
			return d
		}
		return problem(codeWindowKind, pos, "write it as in date_bin('5 minutes', ts, '2000-01-01')", "the origin of date_bin is not a constant time")
	case c.Function.Name == "date_trunc" && isConst && len(c.Args) == 2:
		var units []string
		for _, u := range window.Units {
			units = append(units, string(u))
		}
		word := string(first.Value.Bytes(0))
		return problem(codeWindowKind, pos, suggest(word, units), "unit %q not recognized", word)
	case c.Function.Name == "date_bin" || c.Function.Name == "date_trunc":
		return problem(codeWindowKind, pos, "write it as in date_trunc('hour', ts) or date_bin('5 minutes', ts, '2000-01-01')",
			"the size of a window must be a constant")
	}
	return nil
}

// assignerOf gives the windows of a call of date_bin or date_trunc.
func assignerOf(spec expr.CalendarSpec, pos diag.Position) (window.Assigner, *diag.Diagnostic) {
	if spec.Function == "date_bin" {
		size, ok := intervalMicros(spec.Stride)
		switch {
		case spec.Stride.Months != 0:
			return nil, problem(codeWindowKind, pos, "use date_trunc('month', …)",
				"timestamps cannot be binned into intervals containing months or years")
		case !ok || size < 1:
			return nil, problem(codeWindowKind, pos, "", "stride must be greater than zero")
		case spec.Origin == column.Infinity || spec.Origin == column.NegativeInfinity:
			return nil, problem(codeWindowKind, pos, "", "origin out of range")
		}
		return window.NewFixed(size, spec.Origin), nil
	}
	var zone *window.Zone
	if spec.Zone != "" {
		z, err := window.LoadZone(spec.Zone)
		if err != nil {
			return nil, problem(codeWindowKind, pos, "use a name of the tz database, such as 'Europe/Paris'", "%v", err)
		}
		zone = z
	}
	c, err := window.NewCalendar(window.Unit(spec.Unit), zone)
	if err != nil {
		return nil, problem(codeWindowKind, pos, "", "%v", err)
	}
	return c, nil
}
