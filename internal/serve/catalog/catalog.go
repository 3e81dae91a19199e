// Package catalog knows the relations that the API serves: what PostgreSQL's
// catalogue says of the tables and views of one schema, and what the schema
// millstream adds of the pipelines' result tables.
//
// Invariants:
//
//  1. Every identifier and type that reaches SQL comes from here, quoted.
//  2. A State is never changed: whoever holds one sees one reading of the
//     catalogue.
//  3. A State is at most MaxAge old when it is given out, and MinAge old when
//     a name was not found in it, so a relation appears and goes at once.
//
// A reading that fails leaves the last State in place and is the error of the
// caller and of those who wait for it.
package catalog

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// MaxAge is how old a reading may be before the next request reads again.
	MaxAge = time.Second
	// MinAge is how old a reading may be when a name is not found in it: it
	// bounds how often unknown names make the catalogue be read.
	MinAge = 100 * time.Millisecond
	// readTimeout bounds one reading, and acquireTimeout its waiting for a
	// connection.
	readTimeout    = 5 * time.Second
	acquireTimeout = 3 * time.Second
)

// Schema is the name of the schema that pipelines keep their records in.
const Schema = "millstream"

//go:embed relations.sql
var relationsSQL string

//go:embed objects.sql
var objectsSQL string

// Column is a column of a relation.
type Column struct {
	Name     string `json:"name"`
	Type     string `json:"type"`     // with modifiers: numeric(10,2)
	Cast     string `json:"cast"`     // without, and of a domain the type below: what values are cast to
	Category string `json:"category"` // pg_type.typcategory of Cast: B, D, N, S, …
	NotNull  bool   `json:"not_null"`
	Comment  string `json:"comment"`
}

// Relation is a table or view.
type Relation struct {
	OID     int64  `json:"oid"`
	Schema  string `json:"-"`
	Name    string `json:"name"`
	Kind    string `json:"kind"` // pg_class.relkind: r, p, v, m
	Comment string `json:"comment"`
	// Definition is the query of a view.
	Definition string   `json:"definition"`
	Columns    []Column `json:"columns"`
	Key        []string `json:"key"` // columns that no two rows agree in; nil if none

	// Pipeline is whose views the relation reads; "" if none's.
	Pipeline string `json:"-"`
	// Views are the materialized views whose rows the relation shows.
	Views []string `json:"-"`
	// Live is set when the relation is itself such a view's table.
	Live *Live `json:"-"`
}

// Live is what a pipeline says of its view's table.
type Live struct {
	View        string   `json:"view"`
	Emit        string   `json:"emit"` // update or final
	Shadow      bool     `json:"shadow"`
	WindowStart string   `json:"window_start"` // column, "" if there is none
	WindowEnd   string   `json:"window_end"`
	Key         []string `json:"key"`
	// Definition is the statement in the pipeline's file.
	Definition string `json:"definition"`
}

// Windowed tells whether rows belong to windows, which close.
func (l *Live) Windowed() bool { return l.WindowStart != "" || l.WindowEnd != "" }

// Column gives the column of a name, or nil.
func (r *Relation) Column(name string) *Column {
	for i := range r.Columns {
		if r.Columns[i].Name == name {
			return &r.Columns[i]
		}
	}
	return nil
}

// Names gives the columns' names.
func (r *Relation) Names() []string {
	names := make([]string, len(r.Columns))
	for i := range r.Columns {
		names[i] = r.Columns[i].Name
	}
	return names
}

// SQL is the relation's qualified, quoted name.
func (r *Relation) SQL() string { return Quote(r.Schema) + "." + Quote(r.Name) }

// Quote makes an identifier of any name.
func Quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// State is one reading of the catalogue.
type State struct {
	Relations []*Relation // by name
	// Commits tells that the schema millstream is there and can be read.
	Commits bool
	// Hash changes when anything that is in a State does.
	Hash string
	at   time.Time
}

// Relation gives the relation of a name, or nil.
func (s *State) Relation(name string) *Relation {
	for _, r := range s.Relations {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// Names gives the relations' names.
func (s *State) Names() []string {
	names := make([]string, len(s.Relations))
	for i, r := range s.Relations {
		names[i] = r.Name
	}
	return names
}

// Catalog reads the catalogue of one schema. Its methods may be called from
// several goroutines.
type Catalog struct {
	pool   *pgxpool.Pool
	schema string

	mu       sync.Mutex // held while reading, so that many requests cause one reading
	state    *State
	failed   error // the last reading's, at failedAt
	failedAt time.Time
}

// New makes a catalogue; nothing is read yet.
func New(pool *pgxpool.Pool, schema string) *Catalog {
	return &Catalog{pool: pool, schema: schema}
}

// Get gives a reading that is at most MaxAge old.
func (c *Catalog) Get(ctx context.Context) (*State, error) { return c.fresh(ctx, MaxAge) }

// Again gives a reading that is at most MinAge old: for when a name was not
// found.
func (c *Catalog) Again(ctx context.Context) (*State, error) { return c.fresh(ctx, MinAge) }

func (c *Catalog) fresh(ctx context.Context, age time.Duration) (*State, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != nil && time.Since(c.state.at) < age {
		return c.state, nil
	}
	// Who has waited for a reading that failed does not wait for one more.
	if c.failed != nil && time.Since(c.failedAt) < MinAge {
		return nil, c.failed
	}
	limited, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	s, err := c.read(limited)
	if err != nil {
		err = fmt.Errorf("read the catalogue of schema %q: %w", c.schema, err)
		if ctx.Err() == nil { // else it is this caller's own that it has gone
			c.failed, c.failedAt = err, time.Now()
		}
		return nil, err
	}
	c.state, c.failed = s, nil
	return s, nil
}

// read reads both parts from one snapshot.
func (c *Catalog) read(ctx context.Context) (*State, error) {
	s := &State{at: time.Now()}
	var documents []string
	conn, err := c.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	err = pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		// format_type leaves out the schema of what the search path finds.
		_, err := tx.Exec(ctx, "SELECT set_config('search_path', quote_ident($1), true)", c.schema)
		if err != nil {
			return err
		}
		const readable = `SELECT coalesce(bool_and(has_table_privilege(t.oid, 'SELECT')), false) AND count(*) = 3
			AND has_schema_privilege($1, 'USAGE')
			FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace
			WHERE n.nspname = $1 AND t.relname IN ('commits', 'objects', 'pipelines') HAVING count(*) > 0`
		err = tx.QueryRow(ctx, readable, Schema).Scan(&s.Commits)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		relations, err := collect(ctx, tx, relationsSQL, c.schema)
		if err != nil {
			return err
		}
		if err := s.addRelations(c.schema, relations); err != nil || !s.Commits {
			documents = relations
			return err
		}
		objects, err := collect(ctx, tx, objectsSQL, c.schema)
		documents = append(relations, objects...)
		if err != nil {
			return err
		}
		return s.addObjects(objects)
	})
	sum := sha256.Sum256([]byte(strings.Join(documents, "\n")))
	s.Hash = fmt.Sprintf("%x", sum[:8])
	return s, err
}

func (c *Catalog) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	wait, cancel := context.WithTimeout(ctx, acquireTimeout)
	defer cancel()
	conn, err := c.pool.Acquire(wait)
	if err != nil && ctx.Err() == nil && wait.Err() != nil { // no timeout of the request
		return nil, fmt.Errorf("no database connection was free for %s", acquireTimeout)
	}
	return conn, err
}

func collect(ctx context.Context, tx pgx.Tx, sql, schema string) ([]string, error) {
	rows, err := tx.Query(ctx, sql, schema)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func (s *State) addRelations(schema string, documents []string) error {
	for _, d := range documents {
		r := &Relation{Schema: schema}
		if err := json.Unmarshal([]byte(d), r); err != nil {
			return fmt.Errorf("relation %s: %w", d, err)
		}
		s.Relations = append(s.Relations, r)
	}
	return nil
}

// addObjects adds what pipelines say of relations, and leaves out the tables
// of builds that are not yet shown.
func (s *State) addObjects(documents []string) error {
	byOID := map[int64]*Relation{}
	for _, r := range s.Relations {
		byOID[r.OID] = r
	}
	for _, d := range documents {
		var o struct {
			Relation int64    `json:"relation"`
			Pipeline string   `json:"pipeline"`
			Views    []string `json:"views"`
			Own      *Live    `json:"own"`
		}
		if err := json.Unmarshal([]byte(d), &o); err != nil {
			return fmt.Errorf("object %s: %w", d, err)
		}
		r := byOID[o.Relation]
		if r == nil {
			continue // not to be read by this role
		}
		r.Pipeline, r.Views, r.Live = o.Pipeline, o.Views, o.Own
		if r.Live != nil && len(r.Live.Key) > 0 {
			r.Key = r.Live.Key
		}
	}
	shown := s.Relations[:0]
	for _, r := range s.Relations {
		if r.Live == nil || !r.Live.Shadow {
			shown = append(shown, r)
		}
	}
	s.Relations = shown
	return nil
}
