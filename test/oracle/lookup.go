package oracle

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// A view that joins its stream with a table of PostgreSQL is joined with the
// versions that the engine has recorded: each record with the one of the
// commit that it belongs to. All versions of a table stand in one temporary
// table, each row with the commits from which and up to which it was there.

// lookup is a table that views join with.
type lookup struct {
	name    string // schema.name
	table   string // the temporary table
	columns []string
}

// noEnd is the commit before which rows go that are still there.
const noEnd = "9223372036854775807"

// readLookups makes the temporary tables. It is called in the snapshot's
// transaction.
func readLookups(ctx context.Context, s *session, pipeline string, snap *snapshot) error {
	snap.lookups = map[string]*lookup{}
	names, err := s.rows(ctx, fmt.Sprintf(`SELECT DISTINCT k FROM millstream.commits AS c, jsonb_object_keys(c.lookups) AS k
		WHERE c.pipeline = $1 AND c.build = %d ORDER BY k`, snap.build), pipeline)
	if err != nil || len(names) == 0 {
		return err
	}
	if err := s.exec(ctx, `CREATE INDEX ON ms__parts (foreign_table, partition, offset_from) WHERE offset_to > offset_from; ANALYZE ms__parts`); err != nil {
		return err
	}
	for i, n := range names {
		l := &lookup{name: n[0], table: fmt.Sprintf("ms__look_%d", i)}
		if err := l.read(ctx, s, pipeline, snap.build); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		snap.lookups[l.name] = l
	}
	return nil
}

// read replays the versions, in order, into the temporary table.
func (l *lookup) read(ctx context.Context, s *session, pipeline string, build int) error {
	versions, err := s.rows(ctx, `SELECT version, kind, part, columns FROM millstream.lookup_versions
		WHERE pipeline = $1 AND lookup = $2 ORDER BY version, kind = 'added', part`, pipeline, l.name)
	if err != nil {
		return err
	}
	for i, v := range versions {
		if i == 0 {
			if err := l.create(ctx, s, v[3]); err != nil {
				return err
			}
		}
		first, err := s.rows(ctx, fmt.Sprintf(`SELECT coalesce(min(seq_from), %s) FROM millstream.commits
			WHERE pipeline = $1 AND build = %d AND (lookups->>$2)::bigint >= %s`, noEnd, build, v[0]), pipeline, l.name)
		if err != nil {
			return err
		}
		if err := l.stage(ctx, s, pipeline, v); err != nil {
			return fmt.Errorf("version %s, %s: %w", v[0], v[1], err)
		}
		if err := s.exec(ctx, l.replay(v[1], v[2], first[0][0])); err != nil {
			return err
		}
	}
	return s.exec(ctx, "ANALYZE "+l.table)
}

// create makes the table, and one that parts are loaded into.
func (l *lookup) create(ctx context.Context, s *session, document string) error {
	var columns []struct{ Name, Type string }
	if err := json.Unmarshal([]byte(document), &columns); err != nil {
		return err
	}
	var list []string
	for _, c := range columns {
		collation := ""
		if c.Type == "text" || strings.HasPrefix(c.Type, "character varying") {
			collation = ` COLLATE "C"`
		}
		l.columns = append(l.columns, c.Name)
		list = append(list, ident(c.Name)+" "+c.Type+collation)
	}
	text := strings.Join(list, ", ")
	return s.exec(ctx, fmt.Sprintf("CREATE TEMP TABLE %s (%s, ms__lo bigint, ms__hi bigint); CREATE TEMP TABLE %[1]s_part (%[2]s)", l.table, text))
}

// stage loads one part of a version.
func (l *lookup) stage(ctx context.Context, s *session, pipeline string, v []string) error {
	var data []byte
	err := s.conn.QueryRow(ctx, fmt.Sprintf(`SELECT data FROM millstream.lookup_versions
		WHERE pipeline = $1 AND lookup = $2 AND version = %s AND kind = $3 AND part = %s`, v[0], v[2]), pipeline, l.name, v[1]).Scan(&data)
	if err != nil {
		return err
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return err
	}
	if err := s.exec(ctx, "TRUNCATE "+l.table+"_part"); err != nil {
		return err
	}
	header := "PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"
	whole := io.MultiReader(strings.NewReader(header), z, strings.NewReader("\xff\xff"))
	_, err = s.conn.PgConn().CopyFrom(ctx, whole, "COPY "+l.table+"_part FROM STDIN (FORMAT binary)")
	return err
}

// replay brings the loaded part in, as of the commit first.
func (l *lookup) replay(kind, part, first string) string {
	list := make([]string, len(l.columns))
	for i, c := range l.columns {
		list[i] = ident(c)
	}
	columns := strings.Join(list, ", ")
	insert := fmt.Sprintf("INSERT INTO %s SELECT %s, %s, %s FROM %[1]s_part;", l.table, columns, first, noEnd)
	ends := fmt.Sprintf("UPDATE %s AS l SET ms__hi = %s WHERE l.ms__hi = %s", l.table, first, noEnd)
	switch {
	case kind == "removed":
		row := func(alias string) string {
			return "ROW(" + alias + "." + strings.Join(list, ", "+alias+".") + ")::text"
		}
		return fmt.Sprintf("%s AND EXISTS (SELECT FROM %s_part AS p WHERE %s = %s)", ends, l.table, row("p"), row("l"))
	case kind == "rows" && part == "0":
		return ends + ";" + insert
	}
	return insert
}

// lookup finds a table by its name as a query writes it.
func (x *viewRun) lookup(_ context.Context, name string) (*lookup, error) {
	full := name
	if !strings.Contains(name, ".") {
		full = x.snap.schema + "." + name
	}
	if l := x.snap.lookups[full]; l != nil {
		return l, nil
	}
	return nil, fmt.Errorf("no commit tells of a version of table %s", full)
}

// commitOf is the commit that a record belongs to, where that matters.
func (x *viewRun) commitOf(t *topic) string {
	if len(x.snap.lookups) == 0 {
		return "0::bigint"
	}
	return fmt.Sprintf(`coalesce((SELECT x.seq FROM ms__replays AS x WHERE x.n = r.ms__rn), (SELECT p.seq FROM ms__parts AS p WHERE p.foreign_table = %s AND p.partition = r.ms__p
		AND p.offset_from <= r.ms__o AND p.offset_to > p.offset_from ORDER BY p.offset_from DESC LIMIT 1))`, literal(t.table))
}

// join reads stream JOIN table: the table's rows are those that were there at
// the record's commit. The stream comes first, so that they can depend on it.
func (r *rewriter) join(j *pg.JoinExpr, sc scope) (*input, error) {
	stream, table, left := j.Larg, j.Rarg, j.Jointype == pg.JoinType_JOIN_LEFT
	if r.isTable(stream, sc) {
		stream, table, left = table, stream, j.Jointype == pg.JoinType_JOIN_RIGHT
	}
	if !r.isTable(table, sc) {
		return nil, fmt.Errorf("the oracle knows joins of a stream with a table")
	}
	in, err := r.from(stream, sc)
	if err != nil {
		return nil, err
	}
	v := table.GetRangeVar()
	name := v.Relname
	if v.Schemaname != "" {
		name = v.Schemaname + "." + name
	}
	l, err := r.look(name)
	if err != nil {
		return nil, err
	}
	alias := v.Alias
	if alias == nil {
		alias = &pg.Alias{Aliasname: v.Relname}
	}
	q, err := parseSelect(fmt.Sprintf("SELECT x FROM %s AS ms__l WHERE ms__l.ms__lo <= ms__v AND ms__l.ms__hi > ms__v", l.table))
	if err != nil {
		return nil, err
	}
	q.TargetList = nil
	for _, c := range l.columns {
		q.TargetList = append(q.TargetList, target("", columnRef("ms__l", c)))
	}
	node := subselectNode(q, alias)
	node.GetRangeSubselect().Lateral = true
	fixCollations(j.Quals)
	out := &pg.JoinExpr{Jointype: pg.JoinType_JOIN_INNER, Larg: in.node, Rarg: node, Quals: j.Quals, UsingClause: j.UsingClause}
	if left {
		out.Jointype = pg.JoinType_JOIN_LEFT
	}
	return joined(out, in, renamed(l.columns, alias), alias.Aliasname, stream == j.Rarg), nil
}

// joined gives the columns of a join as a star lists them: those of USING
// first, the others in the order in which the two were written.
func joined(j *pg.JoinExpr, in *input, table []string, alias string, tableFirst bool) *input {
	out := &input{node: &pg.Node{Node: &pg.Node_JoinExpr{JoinExpr: j}}, carries: in.carries, parts: map[string][]string{alias: table}}
	for a, columns := range in.parts {
		out.parts[a] = columns
	}
	if in.parts == nil {
		out.parts[aliasOf(in.node)] = in.columns
	}
	using := texts(j.UsingClause)
	sides := [][]string{in.columns, table}
	if tableFirst {
		slices.Reverse(sides)
	}
	out.columns = using
	for _, c := range slices.Concat(sides...) {
		if !slices.Contains(using, c) {
			out.columns = append(out.columns, c)
		}
	}
	return out
}

func aliasOf(n *pg.Node) string {
	if v := n.GetRangeVar(); v != nil {
		return v.Alias.GetAliasname()
	}
	return n.GetRangeSubselect().GetAlias().GetAliasname()
}

// isTable tells a table of PostgreSQL in FROM.
func (r *rewriter) isTable(n *pg.Node, sc scope) bool {
	v := n.GetRangeVar()
	return v != nil && (v.Schemaname != "" || sc[v.Relname] == nil) && r.def.topic(v.Relname) == nil
}

// streamOf is the stream's side of a join that join has rewritten.
func streamOf(n *pg.Node) *pg.Node {
	for n.GetJoinExpr() != nil {
		n = n.GetJoinExpr().Larg
	}
	return n
}
