package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/engine/window"
	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/plan"
)

// PostgreSQL's offset at each instant, where it is not ours.
const zoneDifferenceSQL = `
SELECT at, ours, theirs FROM (
    SELECT at, ours, extract(epoch FROM (at AT TIME ZONE $1) - (at AT TIME ZONE 'UTC'))::int8 AS theirs
    FROM unnest($2::timestamptz[], $3::int8[]) AS o (at, ours)) AS o
WHERE ours <> theirs ORDER BY at LIMIT 1`

// checkZones compares the time zones that the pipeline names with
// PostgreSQL's: a day must end for both at the same instant.
func (d *deployment) checkZones(ctx context.Context) error {
	var list diag.List
	for _, zone := range slices.Sorted(maps.Keys(zones(d.plan))) {
		offsets, err := window.Transitions(zone)
		if err != nil {
			continue // not a name of the IANA database: the planner has seen to it
		}
		at, ours := make([]time.Time, len(offsets)), make([]int64, len(offsets))
		for i, o := range offsets {
			at[i], ours[i] = o.At, int64(o.Seconds)
		}
		rows, err := d.tx.Query(ctx, zoneDifferenceSQL, zone, at, ours)
		if err != nil {
			return err
		}
		var when time.Time
		var our, their int64
		_, err = pgx.ForEachRow(rows, []any{&when, &our, &their}, func() error {
			list = append(list, &diag.Diagnostic{Code: codeZoneDiffers,
				Message: fmt.Sprintf("the rules of time zone %s differ: at %s Millstream is %s ahead of UTC and PostgreSQL %s",
					zone, when.UTC().Format(time.RFC3339), time.Duration(our)*time.Second, time.Duration(their)*time.Second),
				Hint: "update PostgreSQL's time zone data (its package, or the system's tzdata), or Millstream"})
			return nil
		})
		if err != nil {
			return fmt.Errorf("time zone %s: %w", zone, err)
		}
	}
	return list.Err()
}

// zones are the names of the time zones in a plan's windows and expressions.
func zones(p *plan.Pipeline) map[string]bool {
	names := map[string]bool{}
	visit := func(list ...expr.Expr) {
		for _, e := range list {
			if e != nil {
				expr.Walk(e, func(e expr.Expr) bool { noteZone(names, e); return true })
			}
		}
	}
	for _, t := range p.Topics {
		for _, c := range t.Columns {
			visit(c.Generated)
		}
	}
	for _, v := range p.Views {
		if v.Window != nil {
			if c, ok := v.Window.Assigner.(*window.Calendar); ok && c.Zone() != nil {
				names[c.Zone().Name()] = true
			}
		}
		visit(v.Having)
		visit(v.Outputs...)
		for _, b := range v.Branches {
			visit(b.Filter, b.WindowTime)
			visit(b.Outputs...)
			visit(b.Keys...)
			visit(b.AggArgs...)
			visit(b.AggFilters...)
		}
	}
	return names
}

// zoneArgument is where the functions that take a time zone have it.
var zoneArgument = map[string]func(args int) int{
	"timezone":   func(int) int { return 0 },
	"date_trunc": func(args int) int { return map[bool]int{true: 2, false: -1}[args == 3] },
}

func noteZone(names map[string]bool, e expr.Expr) {
	call, ok := e.(*expr.Call)
	if !ok || zoneArgument[call.Function.Name] == nil {
		return
	}
	i := zoneArgument[call.Function.Name](len(call.Args))
	if i < 0 || i >= len(call.Args) {
		return
	}
	if c, ok := call.Args[i].(*expr.Const); ok && !c.Value.Null[0] && c.Value.Type.Kind.Storage() == column.BytesStorage {
		names[string(c.Value.Bytes(0))] = true
	}
}
