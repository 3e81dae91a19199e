package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/config"
	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/engine/window"
	"github.com/millstream-dev/millstream/internal/plan"
	"github.com/millstream-dev/millstream/internal/postgres"
	"github.com/millstream-dev/millstream/internal/serve"
)

// Stored is how a pipeline stands by its last commit, for when no engine
// tells. What only memory holds is missing: windows with their groups, and
// how many records are left to be read.
type Stored struct {
	Status serve.PipelineStatus
	At     time.Time // of the commit

	pipeline *Pipeline
	engine   *engine.Status
}

// ReadStored reads a pipeline's status and definition from the database; an
// empty name means the one that is there.
func ReadStored(ctx context.Context, c *config.Config, name string) (*Stored, error) {
	settings, err := databaseConn(c, nil)
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, settings)
	if err != nil {
		return nil, &NotReadyError{What: "PostgreSQL", Err: err}
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if name == "" {
		if name, err = onlyPipeline(ctx, conn); err != nil {
			return nil, err
		}
	}
	status, err := postgres.ReadStatus(ctx, conn, name)
	if err != nil {
		return nil, err
	}
	var text string
	if err := conn.QueryRow(ctx, "SELECT definition FROM millstream.pipelines WHERE name = $1", name).Scan(&text); err != nil {
		return nil, err
	}
	def, err := Parse(name+".sql", text, name, status.Schema)
	if err != nil {
		return nil, fmt.Errorf("the definition of pipeline %q in the database: %w", name, err)
	}
	s := &Stored{At: status.SealedAt, pipeline: &Pipeline{Name: name, Plan: def.Plan, monitor: newMonitor(status.SealedAt)}}
	s.engine = standing(def.Plan, status)
	s.Status = serve.PipelineStatus{Name: name, Version: status.EngineVersion, State: engine.StateStopped, Generation: status.Generation,
		Topics: s.pipeline.topics(s.engine), Views: s.pipeline.views(s.engine)}
	return s, nil
}

func onlyPipeline(ctx context.Context, conn *pgx.Conn) (string, error) {
	rows, err := conn.Query(ctx, "SELECT name FROM millstream.pipelines ORDER BY name")
	if err != nil {
		return "", err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	switch {
	case err != nil:
		return "", fmt.Errorf("the database has no pipeline: %w", err)
	case len(names) == 0:
		return "", errors.New("the database has no pipeline")
	case len(names) > 1:
		return "", fmt.Errorf("the database has the pipelines %s: --name tells which", strings.Join(names, ", "))
	}
	return names[0], nil
}

// standing makes of what the last commits tell what an engine would know.
func standing(p *plan.Pipeline, from *postgres.Status) *engine.Status {
	s := &engine.Status{State: engine.StateStopped, At: from.SealedAt, Seq: from.Seq, Generation: from.Generation}
	for _, part := range from.Partitions {
		table := slices.IndexFunc(p.Topics, func(t *plan.Topic) bool { return t.Name == part.Table })
		if table < 0 {
			continue
		}
		ps := engine.PartitionStatus{Table: engine.TableID(table), Partition: part.Partition, Next: part.Next, End: part.Next, Watermark: instant(part.Watermark), Greatest: column.NegativeInfinity}
		if ps.Watermark != column.NegativeInfinity {
			ps.Greatest = ps.Watermark + p.Topics[table].Watermark.Microseconds()
		}
		ps.LastRead, ps.GreatestAt, ps.IdleSince = orZero(part.ReadAt), orZero(part.GreatestAt), orZero(part.IdleSince)
		s.Partitions = append(s.Partitions, ps)
	}
	for _, v := range from.Views {
		id := slices.IndexFunc(p.Views, func(d *plan.View) bool { return d.Name == v.View })
		if id < 0 {
			continue
		}
		s.Views = append(s.Views, engine.ViewStatus{
			View: engine.ViewID(id), Watermark: instant(v.Watermark), Floor: instant(v.Floor), FinalBefore: instant(v.FinalBefore),
			OpenWindows: v.OpenWindows, OpenGroups: v.OpenGroups, WaitsFor: holders(p, s.Partitions, p.Views[id]),
		})
	}
	return s
}

// holders gives the partitions that hold a view's watermark.
func holders(p *plan.Pipeline, parts []engine.PartitionStatus, v *plan.View) (out []int) {
	least := int64(column.Infinity)
	for i, part := range parts {
		reads := slices.ContainsFunc(v.Branches, func(b *plan.Branch) bool { return b.Topic == p.Topics[part.Table] })
		if !reads || !part.IdleSince.IsZero() || part.Watermark > least {
			continue
		}
		if part.Watermark < least {
			least, out = part.Watermark, nil
		}
		out = append(out, i)
	}
	return out
}

// WindowAt tells of the window of a view that holds an instant, or, without
// one, of that which the watermark is in. ok is false if the view has no
// windows, or no watermark that would tell.
func (s *Stored) WindowAt(view string, at *time.Time) (w serve.WindowStatus, ok bool) {
	for i := range s.engine.Views {
		v := &s.engine.Views[i]
		def := s.pipeline.Plan.Views[v.View]
		if def.Name != view || def.Window == nil {
			continue
		}
		if _, session := def.Window.Assigner.(*window.Session); session {
			return w, false // they follow from the events, which only an engine knows
		}
		t := v.Watermark
		if at != nil {
			t = at.UnixMicro() + column.UnixEpochMicros
		} else if t == column.NegativeInfinity {
			return w, false
		}
		start, found := def.Window.Assigner.Start(t)
		if !found {
			return w, false
		}
		end := def.Window.Assigner.End(start)
		return s.pipeline.window(s.engine, v, engine.WindowStatus{Start: start, End: end, Closes: end, Closed: end <= v.Watermark}), true
	}
	return w, false
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// instant is a timestamp that was read, as it is stored.
func instant(t pgtype.Timestamptz) int64 {
	switch {
	case !t.Valid || t.InfinityModifier == pgtype.NegativeInfinity:
		return column.NegativeInfinity
	case t.InfinityModifier == pgtype.Infinity:
		return column.Infinity
	}
	return t.Time.UnixMicro() + column.UnixEpochMicros
}
