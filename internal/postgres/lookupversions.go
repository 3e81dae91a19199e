package postgres

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/failpoint"
	"github.com/millstream-dev/millstream/internal/plan"
)

// The versions of a table that records have met are kept in
// millstream.lookup_versions: whole, or as what was added and removed since
// the version before. Rows are PostgreSQL's own binary COPY format without
// header and end, compressed, so that PostgreSQL itself can read them back.

// The kinds of rows of lookup_versions.
const (
	wholeRows   = "rows"
	addedRows   = "added"
	removedRows = "removed"
)

// lookupPart is about how many bytes of rows make one part.
const lookupPart = 8 << 20

// lookupBlob is one row of lookup_versions.
type lookupBlob struct {
	lookup  string
	version int64
	kind    string
	part    int
	rows    int
	data    []byte
}

// lookupSizes are the bytes of what a table's versions take: its last whole
// one, and the changes since.
type lookupSizes struct{ whole, changes int64 }

// lookupWrite is what a commit writes of versions.
type lookupWrite struct {
	blobs []lookupBlob
	sizes map[engine.LookupID]lookupSizes // afterwards
}

// encodeLookups makes the blobs of a commit. A version is written whole when
// there is none before it, and when the changes since the last whole one
// would outgrow it.
func (s *Store) encodeLookups(c *engine.Commit) (*lookupWrite, error) {
	w := &lookupWrite{sizes: map[engine.LookupID]lookupSizes{}}
	for i := range c.LookupChanges {
		change := &c.LookupChanges[i]
		name := s.plan.Lookups[change.Lookup].QualifiedName()
		sizes := s.lookupSizes[change.Lookup]
		if change.Before > 0 {
			var blobs []lookupBlob
			for _, part := range []struct {
				kind string
				rows *column.Batch
				sel  []int32
			}{{removedRows, change.OldRows, change.Removed}, {addedRows, change.Rows, change.Added}} {
				more, err := encodeRows(part.rows, part.sel)
				if err != nil {
					return nil, err
				}
				for _, b := range more {
					b.lookup, b.version, b.kind = name, change.Version, part.kind
					blobs = append(blobs, b)
					sizes.changes += int64(len(b.data))
				}
			}
			if sizes.changes <= sizes.whole {
				w.blobs = append(w.blobs, blobs...)
				w.sizes[change.Lookup] = sizes
				continue
			}
		}
		all := make([]int32, change.Rows.N)
		for i := range all {
			all[i] = int32(i)
		}
		blobs, err := encodeRows(change.Rows, all)
		if err != nil {
			return nil, err
		}
		sizes = lookupSizes{}
		for _, b := range blobs {
			b.lookup, b.version, b.kind = name, change.Version, wholeRows
			w.blobs = append(w.blobs, b)
			sizes.whole += int64(len(b.data))
		}
		w.sizes[change.Lookup] = sizes
	}
	return w, nil
}

// encodeRows writes rows as parts, at least one.
func encodeRows(b *column.Batch, sel []int32) ([]lookupBlob, error) {
	var columns []*column.Vector
	if b != nil {
		for _, v := range b.Cols {
			if v != nil {
				columns = append(columns, v)
			}
		}
	}
	var out []lookupBlob
	var w rowWriter
	rows := 0
	flush := func() error {
		data, err := compress(w.buf)
		out = append(out, lookupBlob{part: len(out), rows: rows, data: data})
		w.buf, rows = w.buf[:0], 0
		return err
	}
	for _, i := range sel {
		w.row(len(columns))
		for _, v := range columns {
			w.value(v, int(i))
		}
		if rows++; len(w.buf) >= lookupPart {
			if err := flush(); err != nil {
				return nil, err
			}
		}
	}
	if rows > 0 || len(out) == 0 {
		if err := flush(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func compress(b []byte) ([]byte, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(b); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

var lookupVersionColumns = []string{"pipeline", "lookup", "version", "kind", "part", "parts", "columns", "row_count", "sha256", "data"}

// writeLookups makes the commit's versions durable.
func (a *attempt) writeLookups(ctx context.Context) error {
	if a.lookups == nil || len(a.lookups.blobs) == 0 {
		return nil
	}
	blobs := a.lookups.blobs
	type place struct {
		lookup  string
		version int64
		kind    string
	}
	parts := map[place]int{}
	for _, b := range blobs {
		parts[place{b.lookup, b.version, b.kind}]++
	}
	err := a.copy(ctx, Schema+".lookup_versions", lookupVersionColumns, len(blobs), func(w *rowWriter, i int) {
		b := &blobs[i]
		w.row(len(lookupVersionColumns))
		w.text(a.store.db.pipeline)
		w.text(b.lookup)
		w.int8(b.version)
		w.text(b.kind)
		w.int4(int32(b.part))
		w.int4(int32(parts[place{b.lookup, b.version, b.kind}]))
		w.jsonb(lookupColumnsDoc(a.store.lookup(b.lookup)))
		w.int8(int64(b.rows))
		sum := sha256.Sum256(b.data)
		w.bytes(sum[:])
		w.bytes(b.data)
	})
	if err != nil {
		return err
	}
	failpoint.Hit("commit.lookups_written")
	return nil
}

// lookup finds a table by its qualified name, nil if the plan has it not.
func (s *Store) lookup(name string) *plan.Lookup {
	if id, ok := lookupNamed(s.plan, name); ok {
		return s.plan.Lookups[id]
	}
	return nil
}

func lookupNamed(p *plan.Pipeline, name string) (engine.LookupID, bool) {
	for i, l := range p.Lookups {
		if l.QualifiedName() == name {
			return engine.LookupID(i), true
		}
	}
	return 0, false
}

// lookupColumnsDoc tells which columns the rows of a version have.
func lookupColumnsDoc(t *plan.Lookup) []byte {
	type doc struct {
		Name string `json:"name"`
		Type string `json:"type"`
	}
	docs := []doc{}
	for _, c := range t.Read() {
		docs = append(docs, doc{t.Columns[c].Name, t.Columns[c].Type.String()})
	}
	text, err := json.Marshal(docs)
	if err != nil {
		panic(err) // strings
	}
	return text
}

// lookupsDoc is commits.lookups of a commit.
func lookupsDoc(p *plan.Pipeline, versions []engine.LookupVersion) ([]byte, error) {
	doc := map[string]int64{}
	for _, v := range versions {
		doc[p.Lookups[v.Lookup].QualifiedName()] = v.Version
	}
	return json.Marshal(doc)
}

// lookupVersions reads a document of commits.lookups; tables that the plan
// has not are left out.
func lookupVersions(p *plan.Pipeline, text []byte) ([]engine.LookupVersion, error) {
	doc := map[string]int64{}
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("versions of tables: %w", err)
	}
	var out []engine.LookupVersion
	for i, l := range p.Lookups {
		if v := doc[l.QualifiedName()]; v > 0 {
			out = append(out, engine.LookupVersion{Lookup: engine.LookupID(i), Version: v})
		}
	}
	return out, nil
}

const (
	readCommitLookupsSQL = `SELECT lookups FROM millstream.commits WHERE pipeline = $1 AND build = $2 ORDER BY seq DESC LIMIT 1`

	readLookupSizesSQL = `
SELECT v.lookup, max(v.version), max(v.version) FILTER (WHERE v.kind = 'rows'),
       coalesce(sum(length(v.data)) FILTER (WHERE v.kind = 'rows' AND v.version = w.version), 0),
       coalesce(sum(length(v.data)) FILTER (WHERE v.kind <> 'rows' AND v.version > w.version), 0)
FROM millstream.lookup_versions AS v
LEFT JOIN LATERAL (SELECT max(version) AS version FROM millstream.lookup_versions AS m
                   WHERE m.pipeline = v.pipeline AND m.lookup = v.lookup AND m.kind = 'rows') AS w ON true
WHERE v.pipeline = $1 GROUP BY v.lookup`
)

// readLookups reads which versions the last commit told of, and which were
// ever given.
func (s *Store) readLookups(ctx context.Context, tx pgx.Tx, snapshot *engine.Snapshot) error {
	s.lookupSizes = map[engine.LookupID]lookupSizes{}
	if len(s.plan.Lookups) == 0 {
		return nil
	}
	var text []byte
	err := tx.QueryRow(ctx, readCommitLookupsSQL, s.db.pipeline, s.build).Scan(&text)
	if err == nil {
		snapshot.Lookups, err = lookupVersions(s.plan, text)
	}
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	rows, err := tx.Query(ctx, readLookupSizesSQL, s.db.pipeline)
	if err != nil {
		return err
	}
	var name string
	var last int64
	var whole *int64
	var sizes lookupSizes
	_, err = pgx.ForEachRow(rows, []any{&name, &last, &whole, &sizes.whole, &sizes.changes}, func() error {
		if id, ok := lookupNamed(s.plan, name); ok {
			snapshot.LookupLast = append(snapshot.LookupLast, engine.LookupVersion{Lookup: id, Version: last})
			s.lookupSizes[id] = sizes
		}
		return nil
	})
	return err
}

const readVersionSQL = `
SELECT version, kind, part, parts, sha256, data FROM millstream.lookup_versions
WHERE pipeline = $1 AND lookup = $2 AND version <= $3
  AND version >= (SELECT max(version) FROM millstream.lookup_versions WHERE pipeline = $1 AND lookup = $2 AND version <= $3 AND kind = 'rows')
ORDER BY version, kind, part`

// ReadVersion gives the rows of a version: of the last whole one before it,
// with what was added and removed since.
func (l *Lookups) ReadVersion(ctx context.Context, v engine.LookupVersion) (*column.Batch, error) {
	rows, err := l.readVersion(ctx, v)
	return rows, away(err)
}

func (l *Lookups) readVersion(ctx context.Context, v engine.LookupVersion) (*column.Batch, error) {
	t := l.plan.Lookups[v.Lookup]
	rows, err := l.db.pool.Query(ctx, readVersionSQL, l.db.pipeline, t.QualifiedName(), v.Version)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var whole [][]byte
	changed := map[string]int{} // a row → how often it was added less removed
	reached := int64(0)
	for rows.Next() {
		var version int64
		var kind string
		var part, parts int
		var sum, data []byte
		if err := rows.Scan(&version, &kind, &part, &parts, &sum, &data); err != nil {
			return nil, err
		}
		if actual := sha256.Sum256(data); !bytes.Equal(actual[:], sum) {
			return nil, damagedVersion(t, version, kind, "does not match its checksum")
		}
		data, err := decompress(data)
		if err != nil {
			return nil, damagedVersion(t, version, kind, err.Error())
		}
		switch kind {
		case wholeRows:
			whole = append(whole, data)
		default:
			by := 1
			if kind == removedRows {
				by = -1
			}
			if err := countRows(data, changed, by); err != nil {
				return nil, damagedVersion(t, version, kind, err.Error())
			}
		}
		reached = version
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if reached != v.Version {
		return nil, fmt.Errorf("millstream.lookup_versions does not hold version %d of table %s (restore a backup, or rebuild the pipeline)", v.Version, t.QualifiedName())
	}
	return l.assemble(t, whole, changed)
}

func damagedVersion(t *plan.Lookup, version int64, kind, what string) error {
	return fmt.Errorf("millstream.lookup_versions is damaged: version %d of table %s, %s: %s (restore a backup, or rebuild the pipeline)",
		version, t.QualifiedName(), kind, what)
}

// assemble gives the rows of whole that changes have not removed, and those
// that they have added.
func (l *Lookups) assemble(t *plan.Lookup, whole [][]byte, changed map[string]int) (*column.Batch, error) {
	r := newLookupRows(t, l.limits)
	r.begun = true
	for _, data := range whole {
		for len(data) > 0 {
			n, err := rowLength(data)
			if err != nil {
				return nil, err
			}
			row := data[:n]
			data = data[n:]
			if by, ok := changed[string(row)]; ok {
				delete(changed, string(row))
				if by < 0 {
					continue
				}
			}
			if _, err := r.row(row); err != nil {
				return nil, err
			}
		}
	}
	for row, by := range changed {
		if by > 0 {
			if _, err := r.row([]byte(row)); err != nil {
				return nil, err
			}
		}
	}
	return r.batch, nil
}

func countRows(data []byte, into map[string]int, by int) error {
	for len(data) > 0 {
		n, err := rowLength(data)
		if err != nil {
			return err
		}
		into[string(data[:n])] += by
		data = data[n:]
	}
	return nil
}

// rowLength is how many bytes the first row of COPY's binary format takes.
func rowLength(data []byte) (int, error) {
	bad := errors.New("a row is cut off")
	if len(data) < 2 {
		return 0, bad
	}
	end := 2
	for range int(data[0])<<8 | int(data[1]) {
		if len(data) < end+4 {
			return 0, bad
		}
		length := int32(uint32(data[end])<<24 | uint32(data[end+1])<<16 | uint32(data[end+2])<<8 | uint32(data[end+3]))
		if end += 4 + int(max(length, 0)); len(data) < end {
			return 0, bad
		}
	}
	return end, nil
}

func decompress(b []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
