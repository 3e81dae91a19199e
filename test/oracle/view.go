package oracle

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// viewRun is the verification of one view.
type viewRun struct {
	*run
	view    *view
	query   *rewritten
	outputs int     // columns c1, c2, … of the row query
	fields  []field // of the row query, the hidden ones first
	rowSQL  string
	cutoffs cutoffs
}

// Temporary tables of a view: out has the records that are not in its
// results (source, record, and where windows overlap the start of the one that
// it is not in, -infinity for all), rec one row for each record that passes the
// WHERE, and window that it is in, want what the query gives.
func (v *view) out() string  { return fmt.Sprintf("ms__out_%d", v.index) }
func (v *view) rec() string  { return fmt.Sprintf("ms__rec_%d", v.index) }
func (v *view) want() string { return fmt.Sprintf("ms__want_%d", v.index) }

// rangeTable steers the branches' inputs: one source or all (NULL), a range of
// records, and, where groups fail, a range of groups.
const rangeTable = `CREATE TEMP TABLE IF NOT EXISTS ms__range (src integer, lo bigint, hi bigint, glo bigint, ghi bigint);
DELETE FROM ms__range; INSERT INTO ms__range VALUES (NULL, 0, 9223372036854775807, NULL, NULL);`

func (r *run) verifyView(ctx context.Context, v *view) error {
	if r.snap.absent[v.name] {
		r.differ(v.name, "", "the view has no table", "")
		return nil
	}
	before := r.report.Total
	x := &viewRun{run: r, view: v}
	for _, step := range []func(context.Context) error{
		x.prepare, x.leaveOutReplays, x.evaluate, x.checkReplays, x.checkExpressions, x.checkLateness, x.checkCounts, x.leaveOut, x.batch, x.compare,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	rows, err := r.session.count(ctx, "SELECT count(*) FROM "+gotTable(v))
	if err != nil {
		return err
	}
	r.report.Views = append(r.report.Views, ViewReport{View: v.name, Rows: rows, Differences: r.report.Total - before})
	return nil
}

// rewrite rewrites the query, which makes the inputs of its branches.
func (x *viewRun) rewrite(ctx context.Context) error {
	s, v := x.session, x.view
	if err := s.exec(ctx, rangeTable+fmt.Sprintf("CREATE TEMP TABLE %s (ms__s integer, ms__rn bigint, why text, ms__ws timestamptz DEFAULT '-infinity', PRIMARY KEY (ms__s, ms__rn, ms__ws))", v.out())+
		x.takenFunctions()+x.sessionFunctions()); err != nil {
		return err
	}
	w := &rewriter{
		def:   x.def,
		look:  func(name string) (*lookup, error) { return x.lookup(ctx, name) },
		input: func(source int, t *topic) (string, error) { return x.makeInput(ctx, source, t) },
		taken: func(start string) string {
			return fmt.Sprintf("pg_temp.ms__in_window_%d(ms__s, ms__rn, %s::timestamptz)", v.index, start)
		},
		bound: func(which, alone string) string { return v.sessionBound(which, "", alone) },
		describe: func(sql string) ([]string, error) {
			fields, err := s.describe(ctx, sql)
			return fieldNames(fields), err
		},
	}
	var err error
	x.query, err = w.run(v.query)
	return err
}

// prepare makes the row query, and leaves out what this view has refused.
func (x *viewRun) prepare(ctx context.Context) error {
	s, v := x.session, x.view
	err := x.rewrite(ctx)
	if err != nil {
		return err
	}
	if v.ttl != "" {
		x.query.ttl, x.query.gap = true, "interval "+literal(v.ttl)
	}
	if x.rowSQL, x.outputs, err = x.query.rowQuery(); err != nil {
		return err
	}
	if x.fields, err = s.describe(ctx, x.rowSQL); err != nil {
		return err
	}
	for i, t := range x.query.sources {
		err := s.exec(ctx, fmt.Sprintf(`INSERT INTO %s SELECT DISTINCT %d, r.ms__rn, q.cause FROM ms__quarantine AS q
			JOIN %s AS r ON r.ms__p = q.partition AND r.ms__o = q."offset"
			WHERE q.foreign_table = %s AND q.view_name = %s AND q.source = %[2]d ON CONFLICT DO NOTHING`,
			v.out(), i, t.rows(), literal(t.table), literal(v.name)))
		if err != nil {
			return err
		}
	}
	return nil
}

func fieldNames(fields []field) []string {
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = f.name
	}
	return out
}

// The kinds of input of a branch: ms__in has the records that are in the
// view's results, ms__one those that are asked for, left out or not, ms__grp
// those of a range of groups. OFFSET 0 keeps the query's conditions from
// being tried on other records.
func (x *viewRun) makeInput(ctx context.Context, source int, t *topic) (string, error) {
	var columns []string
	for _, c := range t.columns {
		columns = append(columns, "r."+ident(c.name))
	}
	columns = append(columns,
		literal(t.topic)+`::text COLLATE "C" AS _topic`, "r.ms__p AS _partition", "r.ms__o AS _offset", "r.ms__t AS _timestamp",
		`r.ms__key COLLATE "C" AS _key`, "r.ms__headers::jsonb AS _headers",
		fmt.Sprintf("%d AS ms__s", source), "r.ms__p", "r.ms__o", "r.ms__rn", "r.ms__et", "NULL::timestamptz AS ms__ws", "NULL::timestamptz AS ms__we", x.commitOf(t)+" AS ms__v")
	ranged := fmt.Sprintf(`r.ms__rn BETWEEN (SELECT lo FROM ms__range) AND (SELECT hi FROM ms__range)
		AND coalesce((SELECT src FROM ms__range), %d) = %[1]d`, source)
	kept := fmt.Sprintf("NOT EXISTS (SELECT 1 FROM %s AS o WHERE o.ms__s = %d AND o.ms__rn = r.ms__rn AND o.ms__ws = '-infinity')", x.view.out(), source)
	for kind, condition := range map[string]string{"in": ranged + " AND " + kept, "one": ranged} {
		err := x.session.exec(ctx, fmt.Sprintf("CREATE TEMP VIEW ms__%s_%d_%d AS SELECT %s FROM %s AS r WHERE %s OFFSET 0",
			kind, x.view.index, source, strings.Join(columns, ", "), fmt.Sprintf("(SELECT * FROM %s UNION ALL SELECT * FROM %s)", t.rows(), t.again()), condition))
		if err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("ms__in_%d_%d", x.view.index, source), nil
}

// takenFunctions tell whether a record is in the results of one of its
// windows, for each kind of input.
func (x *viewRun) takenFunctions() string {
	const one = "CREATE FUNCTION pg_temp.ms__%s_window_%d(s integer, rn bigint, ws timestamptz) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT %s $$;"
	return ";" + fmt.Sprintf(one, "one", x.view.index, "true") +
		fmt.Sprintf(one, "in", x.view.index, fmt.Sprintf("NOT EXISTS (SELECT 1 FROM %s AS o WHERE (o.ms__s, o.ms__rn, o.ms__ws) = (s, rn, ws))", x.view.out()))
}

// windowSQL is what stands for the window of a row of rec in out.
func (x *viewRun) windowSQL() string {
	if x.query.hops {
		return "r.ms__ws"
	}
	return "'-infinity'::timestamptz"
}

// of makes a query over one kind of input one over another.
func of(kind, sql string) string { return strings.ReplaceAll(sql, "ms__in_", "ms__"+kind+"_") }

const rangeOf = "UPDATE ms__range SET src = %d, lo = %d, hi = %d"

// evaluate fills the view's rec table; a record that fails there and is not
// in quarantine is a difference.
func (x *viewRun) evaluate(ctx context.Context) error {
	s, v := x.session, x.view
	names := slices.Clone(hidden)
	for i := range x.outputs {
		names = append(names, fmt.Sprintf("c%d", i+1))
	}
	insert := fmt.Sprintf("INSERT INTO %s %s", v.rec(), x.rowSQL)
	if err := s.exec(ctx, fmt.Sprintf("CREATE TEMP TABLE %s AS SELECT * FROM (%s) AS q (%s) LIMIT 0", v.rec(), x.rowSQL, strings.Join(names, ", "))); err != nil {
		return err
	}
	for i, t := range x.query.sources {
		work := ranged{
			run: func(ctx context.Context, from, to int64) error {
				if err := s.exec(ctx, fmt.Sprintf(rangeOf, i, from, to)); err != nil {
					return err
				}
				return s.exec(ctx, insert)
			},
			single: []string{fmt.Sprintf("UPDATE ms__range SET src = %d, lo = $1, hi = $1", i), insert},
		}
		failures, err := s.bisect(ctx, work, 1, x.loaded[t.index].records)
		if err != nil {
			return err
		}
		n, err := s.count(ctx, "SELECT count(*) FROM ms__replays")
		if err != nil {
			return err
		}
		again, err := s.bisect(ctx, work, replayedFrom+1, replayedFrom+n)
		if err != nil {
			return err
		}
		failures = append(failures, again...)
		for _, f := range failures {
			place, err := x.place(ctx, t, f.number)
			if err != nil {
				return err
			}
			x.differ(v.name, place, "record was not refused", fmt.Sprintf("PostgreSQL says %s (%s)", f.message, f.code))
			if err := s.exec(ctx, fmt.Sprintf("INSERT INTO %s VALUES (%d, %d, 'fails')", v.out(), i, f.number)); err != nil {
				return err
			}
		}
	}
	return s.exec(ctx, rangeTable+fmt.Sprintf("CREATE UNIQUE INDEX ON %s (ms__s, ms__rn, ms__ws) NULLS NOT DISTINCT; CREATE INDEX ON %[1]s (ms__s, ms__p, ms__o); ANALYZE %[1]s; ANALYZE %s", v.rec(), v.out()))
}

// checkExpressions puts the records that this view refused to PostgreSQL.
func (x *viewRun) checkExpressions(ctx context.Context) error {
	for i, t := range x.query.sources {
		all, err := x.readRefused(ctx, t, fmt.Sprintf("q.view_name = %s AND q.source = %d", literal(x.view.name), i))
		if err != nil || len(all) == 0 {
			return err
		}
		failures, err := x.session.try(ctx, []string{
			fmt.Sprintf("UPDATE ms__range SET src = %d, lo = $1, hi = $1", i), of("one", x.rowSQL),
		}, numbers(all))
		if err != nil {
			return err
		}
		failed := map[int64]failure{}
		for _, f := range failures {
			failed[f.number] = f
		}
		if err := x.session.exec(ctx, rangeTable); err != nil {
			return err
		}
		for _, q := range all {
			f, bad := failed[q.record]
			switch {
			case q.record == 0 && x.loaded[t.index].isLost(q.partition, q.offset):
			case q.record == 0:
				x.differ(x.view.name, q.place, "quarantine has a record that the log has not", "")
			case q.cause != "expression": // limits of the engine, which PostgreSQL has not
			case !bad:
				x.differ(x.view.name, q.place, "wrongly in quarantine with cause expression", "PostgreSQL evaluates it")
			case f.code != q.code:
				x.differ(x.view.name, q.place, "wrongly in quarantine with cause expression",
					fmt.Sprintf("PostgreSQL says %s (%s), not %s", f.message, f.code, q.code))
			}
		}
	}
	return nil
}

// batch runs the query. Where it fails, the groups that fail are found and
// must be those in group_errors.
func (x *viewRun) batch(ctx context.Context) error {
	s, v := x.session, x.view
	if x.query.core != nil {
		types := make([]uint32, 0, x.outputs)
		for _, f := range x.fields[len(hidden):] {
			types = append(types, f.oid)
		}
		if err := x.query.core.represent(types); err != nil {
			return err
		}
	}
	names, err := x.outputNames(ctx)
	if err != nil {
		return err
	}
	own, err := x.query.ownQuery(v, names)
	if err != nil {
		return err
	}
	fields, err := s.describe(ctx, own)
	if err != nil {
		return err
	}
	columns := make([]string, len(fields))
	for i := range columns {
		columns[i] = fmt.Sprintf("w%d", i+1)
	}
	create := fmt.Sprintf("CREATE TEMP TABLE %s AS SELECT * FROM (%s) AS q (%s) LIMIT 0", v.want(), own, strings.Join(columns, ", "))
	if err := s.exec(ctx, create); err != nil {
		return err
	}
	insert := fmt.Sprintf("INSERT INTO %s %s", v.want(), own)
	failures, err := x.groups(ctx, insert)
	if err != nil {
		return err
	}
	return x.checkGroupErrors(ctx, failures)
}

func (x *viewRun) outputNames(ctx context.Context) ([]string, error) {
	text, err := selectSQL(x.query.top)
	if err != nil {
		return nil, err
	}
	fields, err := x.session.describe(ctx, text)
	names := fieldNames(fields)
	copy(names, x.view.columns)
	return names, err
}

// groups runs insert, and if that fails runs it again for halves of the
// groups, down to the groups that fail.
func (x *viewRun) groups(ctx context.Context, insert string) ([]failure, error) {
	s, v := x.session, x.view
	if x.query.core == nil {
		return nil, s.exec(ctx, insert)
	}
	keys := make([]string, len(x.query.core.keys))
	for i := range keys {
		keys[i] = fmt.Sprintf("c%d", i+1)
	}
	if x.query.gap != "" {
		for i, which := range x.query.windowKeys() {
			if which != "" {
				keys[i] = v.sessionBound(which, "", "ms__ws")
			}
		}
	}
	whole := func(ctx context.Context, from, to int64) error { return s.exec(ctx, insert) }
	failures, err := s.bisect(ctx, ranged{run: whole, single: []string{"SELECT 1/0 WHERE $1 > 0"}}, 1, 1)
	if err != nil || len(failures) == 0 {
		return nil, err
	}
	group := fmt.Sprintf("ms__grp_%d", v.index)
	err = s.exec(ctx, fmt.Sprintf(`CREATE TEMP TABLE %s AS SELECT ms__s, ms__rn, ms__ws, dense_rank() OVER (ORDER BY %s) AS g FROM %s; CREATE INDEX ON %[1]s (g); CREATE INDEX ON %[1]s (ms__s, ms__rn); ANALYZE %[1]s;
		CREATE FUNCTION pg_temp.ms__grp_window_%[4]d(s integer, rn bigint, ws timestamptz) RETURNS boolean LANGUAGE sql STABLE AS $$
			SELECT pg_temp.ms__in_window_%[4]d(s, rn, ws) AND EXISTS (SELECT 1 FROM %[1]s AS g WHERE (g.ms__s, g.ms__rn, g.ms__ws) = (s, rn, ws) AND g.g BETWEEN (SELECT glo FROM ms__range) AND (SELECT ghi FROM ms__range)) $$`,
		group, strings.Join(slices.Concat(keys, []string{"1"}), ", "), v.rec(), v.index))
	if err != nil {
		return nil, err
	}
	for i := range x.query.sources {
		err := s.exec(ctx, fmt.Sprintf(`CREATE TEMP VIEW ms__grp_%d_%d AS SELECT * FROM ms__in_%[1]d_%[2]d AS r WHERE EXISTS (
			SELECT 1 FROM %s AS g WHERE g.ms__s = r.ms__s AND g.ms__rn = r.ms__rn AND g.g BETWEEN (SELECT glo FROM ms__range) AND (SELECT ghi FROM ms__range)) OFFSET 0`,
			v.index, i, group))
		if err != nil {
			return nil, err
		}
	}
	n, err := s.count(ctx, "SELECT coalesce(max(g), 0) FROM "+group)
	if err != nil {
		return nil, err
	}
	insert = of("grp", insert)
	failures, err = s.bisect(ctx, ranged{
		run: func(ctx context.Context, from, to int64) error {
			if err := s.exec(ctx, fmt.Sprintf("UPDATE ms__range SET glo = %d, ghi = %d", from, to)); err != nil {
				return err
			}
			return s.exec(ctx, insert)
		},
		single: []string{"UPDATE ms__range SET glo = $1, ghi = $1", insert},
	}, 1, n)
	if err != nil {
		return nil, err
	}
	return failures, s.exec(ctx, rangeTable)
}

// checkGroupErrors compares the failed groups with the ledger, by SQLSTATE:
// a group's key there is JSON of the engine's making.
func (x *viewRun) checkGroupErrors(ctx context.Context, failures []failure) error {
	rows, err := x.session.rows(ctx, `SELECT sqlstate, group_key, message FROM ms__errors WHERE view_name = $1 ORDER BY group_key`, x.view.name)
	if err != nil {
		return err
	}
	byCode := map[string]int{}
	for _, f := range failures {
		byCode[f.code]++
	}
	for _, row := range rows {
		byCode[row[0]]--
		if byCode[row[0]] < 0 {
			x.differ(x.view.name, row[1], "group_errors has more groups with "+row[0]+" than PostgreSQL", row[2])
		}
	}
	for _, f := range failures {
		if byCode[f.code] > 0 {
			byCode[f.code]--
			x.differ(x.view.name, fmt.Sprintf("group %d", f.number), "group is missing in group_errors", fmt.Sprintf("PostgreSQL says %s (%s)", f.message, f.code))
		}
	}
	return nil
}
