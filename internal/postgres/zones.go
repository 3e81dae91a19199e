package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/engine/window"
	"github.com/millstream-dev/millstream/internal/plan"
)

// checkZones compares the time zones that the pipeline names with
// PostgreSQL's: a day must end for both at the same instant.
func (d *deployment) checkZones(ctx context.Context) error {
	var list diag.List
	for _, zone := range plan.Zones(d.plan) {
		offsets, err := window.Transitions(zone)
		if err != nil {
			return err
		}
		different, err := compareZone(ctx, d.tx, zone, offsets)
		if err != nil {
			return fmt.Errorf("time zone %s: %w", zone, err)
		}
		if different != "" {
			list = append(list, &diag.Diagnostic{Code: codeZoneDiffers, Message: fmt.Sprintf("the rules of time zone %s differ: %s", zone, different),
				Hint: "update PostgreSQL's time zone data (its package, or the system's tzdata), or Millstream"})
		}
	}
	return list.Err()
}

// PostgreSQL's offset at each instant, where it is not ours.
const zoneDifferenceSQL = `
SELECT at, ours, theirs FROM (
    SELECT at, ours, extract(epoch FROM (at AT TIME ZONE $1) - (at AT TIME ZONE 'UTC'))::int8 AS theirs
    FROM unnest($2::timestamptz[], $3::int8[]) AS o (at, ours)) AS o
WHERE ours <> theirs ORDER BY at LIMIT 1`

// compareZone tells the first instant at which PostgreSQL's clocks differ, ""
// if they don't.
func compareZone(ctx context.Context, q querier, zone string, offsets []window.Offset) (string, error) {
	at, ours := make([]time.Time, len(offsets)), make([]int64, len(offsets))
	for i, o := range offsets {
		at[i], ours[i] = o.At, int64(o.Seconds)
	}
	rows, err := q.Query(ctx, zoneDifferenceSQL, zone, at, ours)
	if err != nil {
		return "", err
	}
	different := ""
	var when time.Time
	var our, their int64
	_, err = pgx.ForEachRow(rows, []any{&when, &our, &their}, func() error {
		different = fmt.Sprintf("at %s Millstream is %s ahead of UTC and PostgreSQL %s",
			when.UTC().Format(time.RFC3339), time.Duration(our)*time.Second, time.Duration(their)*time.Second)
		return nil
	})
	return different, err
}
