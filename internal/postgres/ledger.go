package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/failpoint"
	"github.com/millstream-dev/millstream/internal/plan"
)

// Limits of what a ledger keeps of a record. A topic of nothing but bad rows
// must not fill the disk with what Kafka holds anyway.
const (
	// MaxLedgerPayload is how many bytes of a payload are kept; its size and
	// SHA-256 are those of the whole.
	MaxLedgerPayload = 64 << 10
	// MaxLedgerKey is how many bytes of a key are kept.
	MaxLedgerKey = 8 << 10
	// maxLedgerHeaders bounds the headers' JSON; those that don't fit are
	// left out.
	maxLedgerHeaders = 16 << 10
	// maxLedgerText bounds messages and paths, which may quote the input.
	maxLedgerText = 4 << 10
)

var quarantineColumns = []string{
	"pipeline", "build", "seq", "generation", "foreign_table", "server", "topic", "partition", "offset",
	"record_timestamp", "view_name", "source", "cause", "statement", "column_name", "json_path",
	"byte_position", "expected_type", "sqlstate", "message", "key", "headers", "payload", "payload_size", "payload_sha256", "replay_id",
}

var lateColumns = []string{
	"pipeline", "build", "seq", "generation", "foreign_table", "server", "topic", "partition", "offset",
	"record_timestamp", "view_name", "source", "event_time", "window_start", "window_end", "watermark", "floor",
	"late_by", "cause", "accepted", "key", "headers", "payload", "payload_size", "payload_sha256", "replay_id",
}

// origin is what every ledger row begins with.
type origin struct {
	pipeline   string
	build      int32
	seq        int64
	generation int64
}

func (o origin) write(w *rowWriter, topic *plan.Topic, partition int32, offset, unixMicros int64) {
	w.text(o.pipeline)
	w.int4(o.build)
	w.int8(o.seq)
	w.int8(o.generation)
	w.text(topic.Name)
	w.text(topic.Server)
	w.text(topic.Topic)
	w.int4(partition)
	w.int8(offset)
	w.int8(storableTime(unixMicros + column.UnixEpochMicros))
}

// writeLedgers copies the refused and late records of a commit.
func (a *attempt) writeLedgers(ctx context.Context) error {
	o := origin{a.store.db.pipeline, a.store.build, a.commit.Seq, a.store.generation}
	if refused := a.commit.Refused; len(refused) > 0 {
		if err := a.copy(ctx, Schema+".quarantine", quarantineColumns, len(refused), func(w *rowWriter, i int) {
			writeRefused(w, o, a.store.plan, &refused[i])
		}); err != nil {
			return err
		}
	}
	if late := a.commit.Late; len(late) > 0 {
		if err := a.copy(ctx, Schema+".late_rows", lateColumns, len(late), func(w *rowWriter, i int) {
			writeLate(w, o, a.store.plan, &late[i])
		}); err != nil {
			return err
		}
	}
	if err := a.writeReplays(ctx); err != nil {
		return err
	}
	if len(a.commit.Replays) > 0 {
		failpoint.Hit("commit.replays_written")
	}
	return a.writeGroupErrors(ctx)
}

func writeRefused(w *rowWriter, o origin, p *plan.Pipeline, r *engine.Refused) {
	topic := p.Topics[r.Table]
	w.row(len(quarantineColumns))
	o.write(w, topic, r.Partition, r.Offset, r.Timestamp)
	if r.View >= 0 {
		w.text(p.Views[r.View].Name)
		w.int4(int32(r.Source))
	} else {
		w.null()
		w.null()
	}
	w.text(string(r.Cause))
	w.text(refusingStatement(p, r))
	w.textOrNull(storable(r.Column))
	w.textOrNull(storable(r.Path))
	if r.Position >= 0 {
		w.int4(int32(r.Position))
	} else {
		w.null()
	}
	w.textOrNull(r.Expected)
	w.textOrNull(r.Code)
	w.text(storable(r.Message))
	writeRecord(w, r.Key, r.Headers, r.Payload)
	w.replay(r.Replay)
}

// refusingStatement names the statement of the file that refused a record.
func refusingStatement(p *plan.Pipeline, r *engine.Refused) string {
	if r.View >= 0 {
		return "CREATE MATERIALIZED VIEW " + p.Views[r.View].Name
	}
	return "CREATE FOREIGN TABLE " + p.Topics[r.Table].Name
}

func writeLate(w *rowWriter, o origin, p *plan.Pipeline, r *engine.LateRow) {
	w.row(len(lateColumns))
	o.write(w, p.Topics[r.Table], r.Partition, r.Offset, r.Timestamp)
	w.text(p.Views[r.View].Name)
	w.int4(int32(r.Source))
	w.int8(storableTime(r.EventTime))
	w.int8(storableTime(r.WindowStart))
	w.int8(storableTime(r.WindowEnd))
	w.int8(storableTime(r.Watermark))
	w.int8(storableTime(r.Floor))
	w.interval(lateBy(r))
	w.text(r.Cause)
	w.bool(r.Accepted)
	writeRecord(w, r.Key, r.Headers, r.Payload)
	w.replay(r.Replay)
}

// replay writes which replay has brought a record here again.
func (w *rowWriter) replay(id int64) {
	if id == 0 {
		w.null()
		return
	}
	w.int8(id)
}

// writeRecord writes the columns of the record itself.
func writeRecord(w *rowWriter, key []byte, headers []engine.Header, payload []byte) {
	w.bytesOrNull(cut(key, MaxLedgerKey))
	w.jsonb(headersJSON(headers))
	w.bytesOrNull(cut(payload, MaxLedgerPayload))
	if payload == nil {
		w.null()
		w.null()
		return
	}
	w.int8(int64(len(payload)))
	sum := sha256.Sum256(payload)
	w.bytes(sum[:])
}

func cut(b []byte, limit int) []byte {
	if len(b) > limit {
		return b[:limit]
	}
	return b
}

// storable makes a text one that PostgreSQL can hold: UTF-8 without zero
// bytes, of bounded length.
func storable(s string) string {
	if len(s) > maxLedgerText {
		end := maxLedgerText
		for end > 0 && !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end] + "…"
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// headersJSON is headers as [[name, value], …], nil without headers. A name
// or value that jsonb can't hold as a string becomes {"base64": …}.
func headersJSON(headers []engine.Header) []byte {
	if len(headers) == 0 {
		return nil
	}
	out := []byte{'['}
	for _, h := range headers {
		element := append([]byte{'['}, jsonText([]byte(h.Key))...)
		element = append(element, ',', ' ')
		element = append(element, jsonText(h.Value)...)
		element = append(element, ']')
		if len(out)+len(element) > maxLedgerHeaders {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',', ' ')
		}
		out = append(out, element...)
	}
	return append(out, ']')
}

func jsonText(b []byte) []byte {
	if b == nil {
		return []byte("null")
	}
	var v any = string(b)
	if !utf8.Valid(b) || strings.IndexByte(string(b), 0) >= 0 {
		v = map[string]string{"base64": base64.StdEncoding.EncodeToString(b)}
	}
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings always marshal
	}
	return text
}

const upsertGroupErrorSQL = `
INSERT INTO millstream.group_errors AS g (pipeline, build, view_name, key_sha256, group_key, sqlstate, message, seq, generation)
SELECT $1::text, $2::int4, e.view_name, e.key_sha256, e.group_key, e.sqlstate, e.message, $3::int8, $4::int8
FROM unnest($5::text[], $6::bytea[], $7::text[], $8::text[], $9::text[]) AS e (view_name, key_sha256, group_key, sqlstate, message)
ON CONFLICT (pipeline, build, view_name, key_sha256) DO UPDATE
SET sqlstate = EXCLUDED.sqlstate, message = EXCLUDED.message, seq = EXCLUDED.seq, generation = EXCLUDED.generation, failed_at = now()
WHERE (g.sqlstate, g.message) IS DISTINCT FROM (EXCLUDED.sqlstate, EXCLUDED.message)`

const removeGroupErrorSQL = `
DELETE FROM millstream.group_errors AS g
USING unnest($3::text[], $4::bytea[]) AS e (view_name, key_sha256)
WHERE g.pipeline = $1 AND g.build = $2 AND g.view_name = e.view_name AND g.key_sha256 = e.key_sha256`

// writeGroupErrors enters groups that do not evaluate and takes out those
// that do again. Of several entries for one group the last counts.
func (a *attempt) writeGroupErrors(ctx context.Context) error {
	type identity struct {
		view engine.ViewID
		key  string
	}
	last := map[identity]int{}
	for i, e := range a.commit.Errors {
		last[identity{e.View, e.Key}] = i
	}
	var views, keys, states, messages, goneViews []string
	var sums, goneSums [][]byte
	for i, e := range a.commit.Errors {
		if last[identity{e.View, e.Key}] != i {
			continue
		}
		view, sum := a.store.plan.Views[e.View].Name, sha256.Sum256([]byte(e.Key))
		if e.Message == "" {
			goneViews, goneSums = append(goneViews, view), append(goneSums, sum[:])
			continue
		}
		views, sums, keys = append(views, view), append(sums, sum[:]), append(keys, storable(e.Key))
		states, messages = append(states, e.Code), append(messages, storable(e.Message))
	}
	conn, s := a.session.conn, a.store
	if len(views) > 0 {
		if _, err := conn.Exec(ctx, upsertGroupErrorSQL, s.db.pipeline, s.build, a.commit.Seq, s.generation, views, sums, keys, states, messages); err != nil {
			return err
		}
	}
	if len(goneViews) > 0 {
		if _, err := conn.Exec(ctx, removeGroupErrorSQL, s.db.pipeline, s.build, goneViews, goneSums); err != nil {
			return err
		}
	}
	return nil
}
