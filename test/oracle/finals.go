package oracle

import (
	"context"
	"fmt"
	"strings"
)

// Finals remembers rows that were final, to see that they never change
// (invariant 4). Its zero value is ready; it serves one goroutine.
type Finals struct {
	rows map[string]map[string]finalRow // view → key → row
	seq  int64                          // of the last commit that was looked at
}

// Observe looks at the pipeline's tables, in one snapshot, and gives the rows
// that were final at an earlier look and are different or gone.
func (f *Finals) Observe(ctx context.Context, o Options) ([]Difference, error) {
	def, err := parseDefinition(o.SQL)
	if err != nil {
		return nil, err
	}
	s, err := openSession(ctx, o.DatabaseURL)
	if err != nil {
		return nil, err
	}
	defer s.close()
	if err := s.exec(ctx, decodeFunctions+bucketFunction); err != nil {
		return nil, err
	}
	r := &run{options: o, session: s, def: def, report: &Report{}}
	for _, t := range def.topics { // only to give the views' queries their types
		if err := s.exec(ctx, t.tableSQL()+";"+t.againSQL()); err != nil {
			return nil, err
		}
	}
	if r.snap, err = takeSnapshot(ctx, s, o.Pipeline, def); err != nil {
		return nil, err
	}
	var out []Difference
	for _, v := range def.views {
		now, err := r.finalRows(ctx, v)
		if err != nil {
			return nil, fmt.Errorf("final rows of view %s: %w", v.name, err)
		}
		corrected, err := r.corrected(ctx, v, f.seq)
		if err != nil {
			return nil, fmt.Errorf("final rows of view %s: %w", v.name, err)
		}
		out = append(out, f.update(v, now, corrected)...)
	}
	f.seq = r.snap.seq
	return out, nil
}

// finalRow is a row with the start of its window.
type finalRow struct{ text, start string }

// corrected gives the windows of a view that replays have changed after a
// commit.
func (r *run) corrected(ctx context.Context, v *view, after int64) (map[string]bool, error) {
	rows, err := r.session.rows(ctx, fmt.Sprintf("SELECT DISTINCT window_start::text FROM ms__fate_windows WHERE view_name = %s AND seq > %d", literal(v.name), after))
	out := map[string]bool{}
	for _, row := range rows {
		out[row[0]] = true
	}
	return out, err
}

func (f *Finals) update(v *view, now map[string]finalRow, corrected map[string]bool) []Difference {
	if f.rows == nil {
		f.rows = map[string]map[string]finalRow{}
	}
	before := f.rows[v.name]
	if before == nil {
		before = map[string]finalRow{}
		f.rows[v.name] = before
	}
	var out []Difference
	for key, was := range before {
		is, there := now[key]
		switch {
		case corrected[was.start]:
			delete(before, key)
		case !there && v.retention != "": // it may have expired
			delete(before, key)
		case !there:
			out = append(out, Difference{View: v.name, Subject: key, Kind: "invariant 4: a final row is gone", Detail: was.text})
		case is != was:
			out = append(out, Difference{View: v.name, Subject: key, Kind: "invariant 4: a final row has changed", Detail: was.text + " became " + is.text})
		}
	}
	for key, row := range now {
		before[key] = row
	}
	return out
}

// finalRows gives a view's final rows by their keys; none for a view without
// windows.
func (r *run) finalRows(ctx context.Context, v *view) (map[string]finalRow, error) {
	if r.snap.absent[v.name] {
		return nil, nil
	}
	x := &viewRun{run: r, view: v}
	if err := x.rewrite(ctx); err != nil {
		return nil, err
	}
	fields, err := r.session.describe(ctx, "SELECT * FROM "+gotTable(v))
	if err != nil {
		return nil, err
	}
	columns := make([]tableColumn, len(fields))
	for i, f := range fields {
		columns[i].field = f
	}
	at := x.timeColumn(columns)
	if x.query.core == nil || at < 0 {
		return nil, nil
	}
	end, err := x.query.endSQL(ident(columns[at].name))
	if err != nil || end == "" {
		return nil, err
	}
	var key []string
	for _, k := range r.snap.keys[v.name] {
		key = append(key, ident(k)+"::text")
	}
	if len(key) == 0 {
		return nil, nil
	}
	rows, err := r.session.rows(ctx, fmt.Sprintf(`SELECT ROW(%s)::text, g::text, %s::timestamptz::text FROM %s AS g
		WHERE %s <= (SELECT final_before FROM ms__views WHERE view_name = %s ORDER BY seq DESC LIMIT 1)`,
		strings.Join(key, ", "), ident(columns[at].name), gotTable(v), end, literal(v.name)))
	if err != nil {
		return nil, err
	}
	out := map[string]finalRow{}
	for _, row := range rows {
		out[row[0]] = finalRow{row[1], row[2]}
	}
	return out, nil
}

// endSQL is the end of the window whose start a column holds, or whose end where
// windows are sessions: it does not follow from their start.
func (q *rewritten) endSQL(start string) (string, error) {
	if q.gap != "" {
		return start + "::timestamptz", nil // it is the end
	}
	if q.core.bucket == nil {
		if len(q.tumbles) != 1 {
			return "", nil
		}
		for _, size := range q.tumbles {
			return fmt.Sprintf("(%s + %s)::timestamptz", start, size), nil
		}
	}
	args := q.core.call.Args
	first, err := exprSQL(args[0])
	if err != nil {
		return "", err
	}
	if q.core.call.Funcname[len(q.core.call.Funcname)-1].GetString_().GetSval() == "date_bin" {
		return fmt.Sprintf("(%s + %s)::timestamptz", start, first), nil
	}
	zone := "'UTC'"
	if len(args) == 3 {
		if zone, err = exprSQL(args[2]); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("pg_temp.ms__end(%s::timestamptz, %s, %s)", start, first, zone), nil
}
