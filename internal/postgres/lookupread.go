package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/plan"
)

// Limits of tables that are looked up, where the configuration says nothing:
// they are held in memory, twice while a change is taken over.
const (
	DefaultLookupRows  = 5_000_000
	DefaultLookupBytes = 512 << 20
)

// LookupLimits bound what is read of one table; 0 is the default.
type LookupLimits struct {
	Rows, Bytes int64
}

// Lookups reads the tables that a plan joins with. It implements
// engine.LookupReader.
type Lookups struct {
	db     *Database
	plan   *plan.Pipeline
	limits LookupLimits
}

var _ engine.LookupReader = (*Lookups)(nil)

// Lookups gives the reader of the plan's tables.
func (db *Database) Lookups(p *plan.Pipeline, limits LookupLimits) *Lookups {
	if limits.Rows == 0 {
		limits.Rows = DefaultLookupRows
	}
	if limits.Bytes == 0 {
		limits.Bytes = DefaultLookupBytes
	}
	return &Lookups{db, p, limits}
}

// fingerprintSQL tells a table's state from any other that it was in before:
// a row version is known by where it lies and which transaction wrote it, and
// neither is used again for another while a snapshot could have seen the
// first. The sum does not depend on order. It reads the whole table, and
// takes a third of the time that reading its rows would.
const fingerprintSQL = `
SELECT concat_ws(' ', '%[1]s'::regclass::oid, count(*), coalesce(sum(hash_record_extended(ROW(t.tableoid, t.ctid, t.xmin), 0)), 0))
FROM %[2]s AS t`

// ReadLookup reads a table in one snapshot, after checking that it is still
// what the file declares.
func (l *Lookups) ReadLookup(ctx context.Context, id engine.LookupID, mark string) (*column.Batch, string, error) {
	rows, next, err := l.read(ctx, l.plan.Lookups[id], mark)
	return rows, next, away(err)
}

// away marks an error that trying again may heal.
func away(err error) error {
	if err != nil && Classify(err) == TryAgain {
		return fmt.Errorf("%w: %w", engine.ErrLookupAway, err)
	}
	return err
}

func (l *Lookups) read(ctx context.Context, t *plan.Lookup, mark string) (*column.Batch, string, error) {
	conn, err := l.db.pool.Acquire(ctx)
	if err != nil {
		return nil, "", err
	}
	defer conn.Release()
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	differs, err := checkLookup(ctx, tx, t)
	if err == nil && len(differs) > 0 {
		err = &LookupDiffersError{Table: t.QualifiedName(), Differences: differs}
	}
	if err != nil {
		return nil, "", err
	}
	var next string
	name := quote(t.Schema, t.Table)
	if err := tx.QueryRow(ctx, fmt.Sprintf(fingerprintSQL, strings.ReplaceAll(name, "'", "''"), name)).Scan(&next); err != nil {
		return nil, "", err
	}
	if next == mark {
		return nil, next, tx.Commit(ctx)
	}
	r := newLookupRows(t, l.limits)
	if _, err := conn.Conn().PgConn().CopyTo(ctx, r, copyLookupSQL(t)); err != nil {
		if r.err != nil {
			err = r.err
		}
		return nil, "", err
	}
	if err := r.finish(); err != nil {
		return nil, "", err
	}
	return r.batch, next, tx.Commit(ctx)
}

// copyLookupSQL reads the rows that can match anything: a NULL equals nothing.
func copyLookupSQL(t *plan.Lookup) string {
	var columns, keys []string
	for _, c := range t.Read() {
		columns = append(columns, quote(t.Columns[c].Name))
	}
	for _, index := range t.Indexes {
		var parts []string
		for _, c := range index {
			parts = append(parts, quote(t.Columns[c].Name)+" IS NOT NULL")
		}
		keys = append(keys, "("+strings.Join(parts, " AND ")+")")
	}
	return fmt.Sprintf("COPY (SELECT %s FROM %s WHERE %s) TO STDOUT (FORMAT binary)",
		join(columns), quote(t.Schema, t.Table), strings.Join(keys, " OR "))
}

// LookupDiffersError tells that a table is not what the file declares.
type LookupDiffersError struct {
	Table       string
	Differences []string
}

func (e *LookupDiffersError) Error() string {
	return fmt.Sprintf("table %s is not what the file declares: %s", e.Table, strings.Join(e.Differences, "; "))
}

const (
	lookupRelationSQL = `
SELECT c.oid, c.relkind::text, has_table_privilege(c.oid, 'SELECT')
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2`

	lookupColumnsSQL = `
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), coalesce(c.collisdeterministic, true)
FROM pg_catalog.pg_attribute AS a LEFT JOIN pg_catalog.pg_collation AS c ON c.oid = a.attcollation
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped`

	// An index that is partial or over expressions is none that rows are
	// unique by.
	lookupKeysSQL = `
SELECT ARRAY(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, n)
             JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
             WHERE k.n <= i.indnkeyatts)
FROM pg_catalog.pg_index AS i
WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL`
)

// checkLookup compares a table with its declaration, as far as views use it.
func checkLookup(ctx context.Context, q querier, t *plan.Lookup) (differs []string, err error) {
	var oid uint32
	var kind string
	var readable bool
	err = q.QueryRow(ctx, lookupRelationSQL, t.Schema, t.Table).Scan(&oid, &kind, &readable)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return []string{"it does not exist"}, nil
	case err != nil:
		return nil, err
	case kind != "r" && kind != "p":
		return []string{"it is no ordinary table"}, nil
	case !readable:
		return []string{fmt.Sprintf("the pipeline's role may not read it: GRANT SELECT ON %s", t.QualifiedName())}, nil
	}
	if differs, err = checkLookupColumns(ctx, q, t, oid); err != nil || len(differs) > 0 {
		return differs, err
	}
	return checkLookupKeys(ctx, q, t, oid)
}

func checkLookupColumns(ctx context.Context, q querier, t *plan.Lookup, oid uint32) (differs []string, err error) {
	type found struct {
		typ           string
		deterministic bool
	}
	columns := map[string]found{}
	rows, err := q.Query(ctx, lookupColumnsSQL, oid)
	if err != nil {
		return nil, err
	}
	var name string
	var f found
	if _, err := pgx.ForEachRow(rows, []any{&name, &f.typ, &f.deterministic}, func() error { columns[name] = f; return nil }); err != nil {
		return nil, err
	}
	for _, c := range t.Read() {
		want := t.Columns[c]
		have, there := columns[want.Name]
		isKey := slices.ContainsFunc(t.Indexes, func(index []int) bool { return slices.Contains(index, c) })
		switch {
		case !there:
			differs = append(differs, fmt.Sprintf("it has no column %q", want.Name))
		case have.typ != want.Type.String():
			differs = append(differs, fmt.Sprintf("column %q is %s, not %s", want.Name, have.typ, want.Type))
		case isKey && !have.deterministic:
			differs = append(differs, fmt.Sprintf("column %q has a collation in which different texts are equal", want.Name))
		}
	}
	return differs, nil
}

func checkLookupKeys(ctx context.Context, q querier, t *plan.Lookup, oid uint32) (differs []string, err error) {
	rows, err := q.Query(ctx, lookupKeysSQL, oid)
	if err != nil {
		return nil, err
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[[]string])
	if err != nil {
		return nil, err
	}
	for _, index := range t.Indexes {
		var names []string
		for _, c := range index {
			names = append(names, t.Columns[c].Name)
		}
		unique := slices.ContainsFunc(keys, func(key []string) bool {
			return len(key) > 0 && !slices.ContainsFunc(key, func(c string) bool { return !slices.Contains(names, c) })
		})
		if !unique {
			differs = append(differs, fmt.Sprintf("it has no unique key over (%s): several rows could match an event", strings.Join(names, ", ")))
		}
	}
	return differs, nil
}

// lookupRows takes COPY's binary format apart, as it comes.
type lookupRows struct {
	table  *plan.Lookup
	limits LookupLimits
	batch  *column.Batch
	read   []*column.Vector // the columns that come, in their order
	rest   []byte           // of a row that has not wholly come
	begun  bool             // the header is past
	ended  bool
	err    error
}

func newLookupRows(t *plan.Lookup, limits LookupLimits) *lookupRows {
	r := &lookupRows{table: t, limits: limits, batch: &column.Batch{Cols: make([]*column.Vector, len(t.Columns))}}
	for _, c := range t.Read() {
		v := column.NewVector(t.Columns[c].Type, 0)
		r.batch.Cols[c] = v
		r.read = append(r.read, v)
	}
	return r
}

// Write takes the next bytes.
func (r *lookupRows) Write(p []byte) (int, error) {
	in := p
	if len(r.rest) > 0 {
		r.rest = append(r.rest, p...)
		in = r.rest
	}
	used, err := r.take(in)
	if err != nil {
		r.err = err
		return 0, err
	}
	r.rest = append(r.rest[:0], in[used:]...)
	return len(p), nil
}

// take reads as many whole rows as there are, and gives how many bytes they
// take.
func (r *lookupRows) take(in []byte) (used int, err error) {
	if !r.begun {
		if len(in) < len(copySignature) {
			return 0, nil
		}
		if string(in[:11]) != copySignature[:11] {
			return 0, errors.New("COPY does not begin as the binary format does")
		}
		used = len(copySignature) + int(binary.BigEndian.Uint32(in[15:]))
		if len(in) < used {
			return 0, nil
		}
		r.begun = true
	}
	for !r.ended {
		n, err := r.row(in[used:])
		if err != nil || n == 0 {
			return used, err
		}
		used += n
	}
	return used, nil
}

// row reads one row, 0 if it has not wholly come.
func (r *lookupRows) row(in []byte) (int, error) {
	if len(in) < 2 {
		return 0, nil
	}
	fields := int16(binary.BigEndian.Uint16(in))
	if fields < 0 {
		r.ended = true
		return 2, nil
	}
	if int(fields) != len(r.read) {
		return 0, fmt.Errorf("a row of table %s has %d columns, not %d", r.table.QualifiedName(), fields, len(r.read))
	}
	end := 2
	for range r.read { // is it all there?
		if len(in) < end+4 {
			return 0, nil
		}
		if length := int32(binary.BigEndian.Uint32(in[end:])); length > 0 {
			end += int(length)
		}
		if end += 4; len(in) < end {
			return 0, nil
		}
	}
	at := 2
	for _, v := range r.read {
		length := int32(binary.BigEndian.Uint32(in[at:]))
		at += 4
		i := v.Grow()
		if length < 0 {
			continue
		}
		if err := setBinary(v, i, in[at:at+int(length)]); err != nil {
			return 0, fmt.Errorf("table %s: %w", r.table.QualifiedName(), err)
		}
		at += int(length)
	}
	r.batch.N++
	return end, r.check()
}

// check holds the limits.
func (r *lookupRows) check() error {
	if int64(r.batch.N) > r.limits.Rows {
		return fmt.Errorf("table %s has more than %d rows, and is held in memory: raise engine.lookup_max_rows, or join a smaller table", r.table.QualifiedName(), r.limits.Rows)
	}
	if r.batch.N%4096 != 0 {
		return nil
	}
	if size := r.size(); size > r.limits.Bytes {
		return fmt.Errorf("the columns of table %s that views read take more than %d bytes, and are held in memory: raise engine.lookup_max_bytes, or join a smaller table", r.table.QualifiedName(), r.limits.Bytes)
	}
	return nil
}

// size is about what the rows take in memory.
func (r *lookupRows) size() int64 {
	var size int64
	for _, v := range r.read {
		size += int64(r.batch.N)*9 + int64(len(v.Buf))
	}
	return size
}

func (r *lookupRows) finish() error {
	switch {
	case !r.ended || len(r.rest) > 0:
		return fmt.Errorf("the rows of table %s came to no end", r.table.QualifiedName())
	case r.size() > r.limits.Bytes:
		return fmt.Errorf("the columns of table %s that views read take %d bytes, more than engine.lookup_max_bytes allows (%d)", r.table.QualifiedName(), r.size(), r.limits.Bytes)
	}
	return nil
}
