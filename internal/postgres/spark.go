package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/plan"
)

// What the Spark job needs of this package's knowledge: how a view's table is
// written, and what a row of the ledger looks like.

// UpsertSQL gives the statement that writes the rows of a query, which has the
// columns of the view's table in order, as a commit of the engine does.
func UpsertSQL(schema string, v *plan.View, query string) string {
	return newTable(schema, 0, v).insert(query)
}

// TableName is the qualified, quoted name of a view's table.
func TableName(schema string, v *plan.View) string { return newTable(schema, 0, v).name() }

// TableColumns are the columns of a view's table and, of these, the key.
func TableColumns(v *plan.View) (columns []plan.OutputColumn, key []int) {
	t := newTable("", 0, v)
	return t.columns, t.key
}

// refusedJSON is a row of millstream.quarantine without what the commit knows.
type refusedJSON struct {
	Table     string          `json:"foreign_table"`
	Server    string          `json:"server"`
	Topic     string          `json:"topic"`
	Partition int32           `json:"partition"`
	Offset    int64           `json:"offset"`
	Timestamp int64           `json:"record_timestamp"` // microseconds since 1970
	View      *string         `json:"view_name"`
	Source    *int            `json:"source"`
	Cause     string          `json:"cause"`
	Statement string          `json:"statement"`
	Column    *string         `json:"column_name"`
	Path      *string         `json:"json_path"`
	Position  *int            `json:"byte_position"`
	Expected  *string         `json:"expected_type"`
	Code      *string         `json:"sqlstate"`
	Message   string          `json:"message"`
	Key       []byte          `json:"key"` // base64
	Headers   json.RawMessage `json:"headers"`
	Payload   []byte          `json:"payload"` // base64
	Size      *int            `json:"payload_size"`
	SHA256    []byte          `json:"payload_sha256"` // base64
}

// RefusedJSON gives a refused record as the JSON object that
// InsertRefusedSQL reads.
func RefusedJSON(p *plan.Pipeline, r *engine.Refused) []byte {
	t := p.Topics[r.Table]
	text := func(s string) *string {
		if s == "" {
			return nil
		}
		s = storable(s)
		return &s
	}
	out := refusedJSON{
		Table: t.Name, Server: t.Server, Topic: t.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp,
		Cause: string(r.Cause), Statement: refusingStatement(p, r), Column: text(r.Column), Path: text(r.Path),
		Expected: text(r.Expected), Code: text(r.Code), Message: storable(r.Message),
		Key: cut(r.Key, MaxLedgerKey), Headers: headersJSON(r.Headers), Payload: cut(r.Payload, MaxLedgerPayload),
	}
	if r.View >= 0 {
		out.View, out.Source = &p.Views[r.View].Name, &r.Source
	}
	if r.Position >= 0 {
		out.Position = &r.Position
	}
	if r.Payload != nil {
		n, sum := len(r.Payload), sha256.Sum256(r.Payload)
		out.Size, out.SHA256 = &n, sum[:]
	}
	b, err := json.Marshal(out)
	if err != nil {
		panic(err) // texts, numbers and JSON of our own always marshal
	}
	return b
}

// InsertRefusedSQL enters refused records into the quarantine. rows is a query
// of one text column, refused, as RefusedJSON gives it; the other arguments
// are SQL expressions.
func InsertRefusedSQL(rows, pipeline, build, seq, generation string) string {
	return fmt.Sprintf(`INSERT INTO millstream.quarantine (pipeline, build, seq, generation, foreign_table, server, topic, partition, "offset",
    record_timestamp, view_name, source, cause, statement, column_name, json_path, byte_position, expected_type, sqlstate, message,
    key, headers, payload, payload_size, payload_sha256)
SELECT %s, %s, %s, %s, r.foreign_table, r.server, r.topic, r.partition, r."offset",
    timestamptz 'epoch' + make_interval(days => (r.record_timestamp / 86400000000)::integer) + (r.record_timestamp %% 86400000000) * interval '1 microsecond',
    r.view_name, r.source, r.cause, r.statement, r.column_name, r.json_path, r.byte_position, r.expected_type, r.sqlstate, r.message,
    decode(r.key, 'base64'), nullif(r.headers, 'null'), decode(r.payload, 'base64'), r.payload_size, decode(r.payload_sha256, 'base64')
FROM (%s) AS s CROSS JOIN LATERAL jsonb_to_record(s.refused::jsonb) AS r (foreign_table text, server text, topic text, partition integer,
    "offset" bigint, record_timestamp bigint, view_name text, source integer, cause text, statement text, column_name text, json_path text,
    byte_position integer, expected_type text, sqlstate text, message text, key text, headers jsonb, payload text, payload_size bigint, payload_sha256 text)
ON CONFLICT DO NOTHING`, pipeline, build, seq, generation, rows)
}

// Engine names.
const (
	nativeEngine = "native"
	sparkEngine  = "spark"
)

const ranBySQL = `
SELECT EXISTS (SELECT FROM millstream.commits WHERE pipeline = $1), EXISTS (SELECT FROM millstream.spark_commits WHERE pipeline = $1)`

// RanBy tells which engine has committed for the pipeline: "native", "spark",
// or "" for none. Deploy must have run.
func (db *Database) RanBy(ctx context.Context) (string, error) {
	var native, spark bool
	if err := db.pool.QueryRow(ctx, ranBySQL, db.pipeline).Scan(&native, &spark); err != nil {
		return "", fmt.Errorf("postgres: which engine has run pipeline %q: %w", db.pipeline, err)
	}
	switch {
	case native:
		return nativeEngine, nil
	case spark:
		return sparkEngine, nil
	}
	return "", nil
}
