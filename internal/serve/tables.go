package serve

import (
	"context"
	_ "embed"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/serve/catalog"
)

//go:embed freshness.sql
var freshnessSQL string

// Table is a relation as GET /v1/tables describes it.
type Table struct {
	Name     string     `json:"name"`
	Kind     string     `json:"kind" enum:"table,view,materialized view" doc:"A materialized view of the pipeline is kept up to date by it."`
	Comment  string     `json:"comment,omitempty"`
	Columns  []TableCol `json:"columns"`
	Key      []string   `json:"key" doc:"Columns in which no two rows agree; empty if there are none."`
	Views    []string   `json:"views" doc:"The materialized views whose rows it shows."`
	Windowed bool       `json:"windowed" doc:"Rows belong to windows: final=true and _final can be asked for."`
	// WindowStart and WindowEnd are "" where the view does not select them.
	WindowStart string `json:"window_start,omitempty" doc:"The column with the start of a row's window."`
	WindowEnd   string `json:"window_end,omitempty" doc:"The column with its end."`
	Emit        string `json:"emit,omitempty" enum:"update,final" doc:"When rows of a windowed view appear."`
	// Definition is PostgreSQL's, or what the pipeline's file says.
	Definition string     `json:"definition,omitempty" doc:"The statement that defines it, of views and materialized views."`
	Freshness  *Freshness `json:"freshness,omitempty" doc:"How new the rows are; absent for what no pipeline keeps up to date."`
	URL        string     `json:"url" doc:"Where its rows are."`
}

// TableCol is a column of a Table.
type TableCol struct {
	Name     string `json:"name"`
	Type     string `json:"type" doc:"PostgreSQL's type." example:"timestamp with time zone"`
	Nullable bool   `json:"nullable"`
	Comment  string `json:"comment,omitempty"`
}

// Freshness is how new a table's rows are.
type Freshness struct {
	Commit      int64      `json:"commit" doc:"The last commit."`
	CommittedAt time.Time  `json:"committed_at" doc:"When it was made, by the database's clock."`
	Watermark   *time.Time `json:"watermark,omitempty" doc:"The event time up to which the rows are complete."`
}

// tablesAnswer is the body of GET /v1/tables.
type tablesAnswer struct {
	Schema string  `json:"schema"`
	Tables []Table `json:"tables"`
}

// standing is a view's place in its pipeline's last commit.
type standing struct {
	commit      int64
	committedAt time.Time
	watermark   *time.Time
}

type viewKey struct{ pipeline, view string }

// tables lists the relations.
func (s *Server) tables(ctx context.Context) (*tablesAnswer, *catalog.State, error) {
	state, err := s.catalog.Get(ctx)
	if err != nil {
		return nil, nil, err
	}
	standings := map[viewKey]standing{}
	if state.Commits {
		if standings, err = s.standings(ctx); err != nil {
			return nil, nil, err
		}
	}
	out := &tablesAnswer{Schema: s.config.Schema, Tables: []Table{}}
	for _, r := range state.Relations {
		out.Tables = append(out.Tables, describe(r, standings))
	}
	return out, state, nil
}

func (s *Server) standings(ctx context.Context) (map[viewKey]standing, error) {
	rows, err := s.config.Pool.Query(ctx, freshnessSQL)
	if err != nil {
		return nil, err
	}
	out := map[viewKey]standing{}
	var key viewKey
	var at standing
	_, err = pgx.ForEachRow(rows, []any{&key.pipeline, &key.view, &at.commit, &at.committedAt, &at.watermark}, func() error {
		at.committedAt = at.committedAt.UTC()
		out[key] = at
		at.watermark = nil
		return nil
	})
	return out, err
}

func describe(r *catalog.Relation, standings map[viewKey]standing) Table {
	t := Table{
		Name:    r.Name,
		Kind:    map[string]string{"v": "view", "m": "materialized view"}[r.Kind],
		Comment: r.Comment,
		Columns: []TableCol{},
		Key:     append([]string{}, r.Key...),
		Views:   append([]string{}, r.Views...),
		URL:     "/v1/tables/" + url.PathEscape(r.Name),

		Definition: r.Definition,
	}
	if t.Kind == "" {
		t.Kind = "table"
	}
	if r.Live != nil {
		t.Kind, t.Windowed, t.Emit, t.Definition = "materialized view", r.Live.Windowed(), r.Live.Emit, r.Live.Definition
		t.WindowStart, t.WindowEnd = r.Live.WindowStart, r.Live.WindowEnd
	}
	for _, c := range r.Columns {
		t.Columns = append(t.Columns, TableCol{c.Name, c.Type, !c.NotNull, c.Comment})
	}
	t.Freshness = freshness(r, standings)
	return t
}

// freshness is that of the view that is furthest behind; there is a
// watermark if all views have one.
func freshness(r *catalog.Relation, standings map[viewKey]standing) *Freshness {
	var f *Freshness
	complete := true
	for _, v := range r.Views {
		at, ok := standings[viewKey{r.Pipeline, v}]
		if !ok {
			complete = false
			continue
		}
		if f == nil {
			f = &Freshness{Commit: at.commit, CommittedAt: at.committedAt, Watermark: at.watermark}
		}
		complete = complete && at.watermark != nil
		if complete && at.watermark.Before(*f.Watermark) {
			f.Watermark = at.watermark
		}
	}
	if f != nil && !complete {
		f.Watermark = nil
	}
	return f
}
