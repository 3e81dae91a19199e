package oracle

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Decoding happens in PostgreSQL: json_to_record for the columns, -> for
// their paths. All records are decoded by one statement; only where it fails
// are they taken apart.

// decodeFunctions turn numbers since 1970 into times, and hold NOT NULL.
const decodeFunctions = `
CREATE FUNCTION pg_temp.ms__epoch(v json, factor numeric) RETURNS timestamptz LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	n numeric;
BEGIN
	IF v IS NULL OR json_typeof(v) = 'null' THEN
		RETURN NULL;
	END IF;
	IF json_typeof(v) NOT IN ('number', 'string') THEN
		RAISE EXCEPTION 'no number since 1970' USING ERRCODE = '22P02';
	END IF;
	n := (v #>> '{}')::numeric;
	IF n IN ('NaN', 'Infinity', '-Infinity') THEN
		RAISE EXCEPTION 'no number since 1970' USING ERRCODE = '22P02';
	END IF;
	IF abs(n) > 1e40 OR abs(round(n * factor)) > 1e19 THEN
		RAISE EXCEPTION 'timestamp out of range' USING ERRCODE = '22008';
	END IF;
	n := round(n * factor);
	RETURN timestamptz '1970-01-01 00:00:00+00' + div(n, 86400000000)::integer * interval '1 day'
		+ mod(n, 86400000000)::double precision * interval '1 microsecond';
END $$;
CREATE TEMP TABLE ms__notnull (v text NOT NULL);
`

var epochFactors = map[string]string{"s": "1000000", "ms": "1000", "us": "1", "ns": "0.001"}

func (t *topic) raw() string  { return fmt.Sprintf("ms__raw_%d", t.index) }
func (t *topic) rows() string { return fmt.Sprintf("ms__rows_%d", t.index) }

// bad holds the records that are in quarantine for all views.
func (t *topic) bad() string { return fmt.Sprintf("ms__bad_%d", t.index) }

// arrays tells that the documents must be arrays: every path begins with an
// index.
func (t *topic) arrays() bool {
	some := false
	for _, c := range t.columns {
		if c.generated != "" {
			continue
		}
		if len(c.path) == 0 || c.path[0].member {
			return false
		}
		some = true
	}
	return some
}

const document = "convert_from(r.ms__value, 'UTF8')::json"

// value is the lateral item that reads column i of document doc, and the
// expression of its value.
func (c topicColumn) value(i int, doc string) (from, expr string) {
	at := doc
	steps := c.path
	if steps == nil {
		steps = []pathStep{{member: true, name: c.name}}
	}
	for _, p := range steps {
		if p.member {
			at += " -> " + literal(p.name)
		} else {
			at += fmt.Sprintf(" -> (%d)", p.index)
		}
	}
	if c.epoch != "" {
		return "", fmt.Sprintf("pg_temp.ms__epoch(%s, %s)", at, epochFactors[c.epoch])
	}
	from = fmt.Sprintf("LATERAL json_to_record(json_build_object('v', %s)) AS x%d (v %s)", at, i, c.sqlType)
	return from, collated(fmt.Sprintf("x%d.v", i), c.sqlType)
}

func collated(expr, sqlType string) string {
	if isTextSQL(sqlType) {
		return expr + ` COLLATE "C"`
	}
	return expr
}

func isTextSQL(t string) bool {
	return t == "text" || strings.HasPrefix(t, "varchar") || strings.HasPrefix(t, "character varying")
}

// documentItem is the lateral item that fails where the document itself is
// bad, with the columns that need no path.
func (t *topic) documentItem(doc string) string {
	if t.arrays() {
		return fmt.Sprintf("LATERAL (SELECT count(*) AS n FROM json_array_elements_text(%s)) AS x", doc)
	}
	columns := []string{"ms__none text"}
	for _, c := range t.columns {
		if c.path == nil && c.epoch == "" && c.generated == "" {
			columns = append(columns, ident(c.name)+" "+c.sqlType)
		}
	}
	return fmt.Sprintf("LATERAL json_to_record(%s) AS x (%s)", doc, strings.Join(columns, ", "))
}

// decodedSQL selects the hidden columns, the columns read and the generated
// ones of the records that from gives as r.
func (t *topic) decodedSQL(from string) string {
	items := []string{from, "LATERAL (SELECT " + document + " AS doc OFFSET 0) AS d", t.documentItem("d.doc")}
	targets := []string{"r.*"}
	for i, c := range t.columns {
		switch {
		case c.generated != "":
		case c.path == nil && c.epoch == "" && !t.arrays():
			targets = append(targets, collated("x."+ident(c.name), c.sqlType)+" AS "+ident(c.name))
		default:
			item, expr := c.value(i, "d.doc")
			if item != "" {
				items = append(items, item)
			}
			targets = append(targets, expr+" AS "+ident(c.name))
		}
	}
	inner := fmt.Sprintf("SELECT %s FROM %s", strings.Join(targets, ", "), strings.Join(items, ", "))
	targets = []string{"e.*"}
	for _, c := range t.columns {
		if c.generated != "" {
			targets = append(targets, fmt.Sprintf("(%s) AS %s", c.generated, ident(c.name)))
		}
	}
	return fmt.Sprintf("SELECT %s FROM (%s) AS e", strings.Join(targets, ", "), inner)
}

// insertSQL decodes the records of the numbers $1 to $2 that are not in
// quarantine.
func (t *topic) insertSQL() string {
	from := fmt.Sprintf(`(SELECT * FROM %s AS r WHERE r.ms__rn BETWEEN $1 AND $2 AND r.ms__value IS NOT NULL
		AND NOT EXISTS (SELECT 1 FROM %s AS b WHERE b.ms__rn = r.ms__rn) OFFSET 0) AS r`, t.raw(), t.bad())
	at := "f.ms__t"
	if t.eventTime != "" {
		at = "f." + ident(t.eventTime) + "::timestamptz"
	}
	targets := []string{"f.ms__rn", "f.ms__p", "f.ms__o", "f.ms__t", "f.ms__key", "f.ms__headers", at}
	for _, c := range t.columns {
		targets = append(targets, "f."+ident(c.name))
	}
	return fmt.Sprintf("INSERT INTO %s SELECT %s FROM (%s) AS f", t.rows(), strings.Join(targets, ", "), t.decodedSQL(from))
}

func (t *topic) tableSQL() string {
	columns := []string{"ms__rn bigint", "ms__p integer", "ms__o bigint", "ms__t timestamptz", "ms__key text", "ms__headers text", "ms__et timestamptz"}
	for _, c := range t.columns {
		def := ident(c.name) + " " + c.sqlType
		if isTextSQL(c.sqlType) {
			def += ` COLLATE "C"`
		}
		if c.notNull {
			def += " NOT NULL"
		}
		columns = append(columns, def)
	}
	return fmt.Sprintf("CREATE TEMP TABLE %s (%s)", t.rows(), strings.Join(columns, ", "))
}

// singleSQL are the steps of decoding record $1 in the order in which they
// count: the document, the columns' inputs, NOT NULL, generated columns.
func (t *topic) singleSQL() []string {
	from := fmt.Sprintf("(SELECT * FROM %s AS r WHERE r.ms__rn = $1 OFFSET 0) AS r", t.raw())
	out := []string{fmt.Sprintf("SELECT %s::text FROM %s", document, from)}
	plain := &topic{index: t.index}
	for _, c := range t.columns {
		if c.generated == "" && c.path != nil && !c.path[0].member {
			plain.columns = append(plain.columns, c)
		}
	}
	if !t.arrays() {
		plain.columns = nil
	}
	out = append(out, fmt.Sprintf("SELECT x.* FROM %s, %s", from, plain.documentItem(document)))
	var notNull, generated []string
	for i, c := range t.columns {
		if c.generated != "" {
			check := fmt.Sprintf("(SELECT %s FROM (%s) AS g)", ident(c.name), t.decodedSQL(from))
			generated = append(generated, "SELECT "+check)
			if c.notNull {
				generated = append(generated, fmt.Sprintf("INSERT INTO ms__notnull SELECT %s::text", check))
			}
			continue
		}
		item, expr := c.value(i, document)
		items := from
		if item != "" {
			items += ", " + item
		}
		out = append(out, fmt.Sprintf("SELECT %s FROM %s", expr, items))
		if c.notNull {
			notNull = append(notNull, fmt.Sprintf("INSERT INTO ms__notnull SELECT (%s)::text FROM %s", expr, items))
		}
	}
	return slices.Concat(out, notNull, generated)
}

// decode fills ms__rows_<i>, and reports records that PostgreSQL refuses and
// the engine did not.
func (r *run) decode(ctx context.Context, t *topic) error {
	s := r.session
	err := s.exec(ctx, t.tableSQL()+";"+fmt.Sprintf(`
		CREATE TEMP TABLE %s AS SELECT DISTINCT r.ms__rn FROM ms__quarantine AS q JOIN %s AS r ON r.ms__p = q.partition AND r.ms__o = q."offset"
			WHERE q.foreign_table = %s AND q.view_name IS NULL;
		CREATE UNIQUE INDEX ON %[1]s (ms__rn); ANALYZE %[1]s`, t.bad(), t.raw(), literal(t.table)))
	if err != nil {
		return err
	}
	failures, err := s.bisect(ctx, s.statement(t.insertSQL()), 1, r.loaded[t.index].records)
	if err != nil {
		return fmt.Errorf("decode %s: %w", t.table, err)
	}
	for _, f := range failures {
		place, err := r.place(ctx, t, f.number)
		if err != nil {
			return err
		}
		r.differ("", place, "record was not refused", fmt.Sprintf("PostgreSQL says %s (%s)", f.message, f.code))
	}
	if err := s.exec(ctx, fmt.Sprintf("CREATE UNIQUE INDEX ON %s (ms__rn); CREATE UNIQUE INDEX ON %[1]s (ms__p, ms__o); ANALYZE %[1]s", t.rows())); err != nil {
		return err
	}
	return r.differences(ctx, "", "record was not refused", fmt.Sprintf(`
		SELECT %s, 'its event time is ' || coalesce(ms__et::text, 'NULL') FROM %s WHERE ms__et IS NULL OR NOT isfinite(ms__et) ORDER BY ms__rn`,
		t.placeSQL("ms__p", "ms__o"), t.rows()))
}

// placeSQL is the text that names a record.
func (t *topic) placeSQL(partition, offset string) string {
	return fmt.Sprintf("%s || %s || ' offset ' || %s", literal(t.table+" partition "), partition, offset)
}

func (r *run) place(ctx context.Context, t *topic, number int64) (string, error) {
	if number > replayedFrom {
		return r.replayPlace(ctx, number), nil
	}
	rows, err := r.session.rows(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE ms__rn = %d", t.placeSQL("ms__p", "ms__o"), t.raw(), number))
	if err != nil || len(rows) == 0 {
		return fmt.Sprintf("%s record %d", t.table, number), err
	}
	return rows[0][0], nil
}

// watermarks makes ms__wm_<i>: each decoded record with its partition's own
// watermark up to it, and the commit that holds it. Records and the begins of
// commits are sorted together: a join on ranges would take far longer.
func (r *run) watermarks(ctx context.Context, t *topic) error {
	return r.session.exec(ctx, fmt.Sprintf(`
		CREATE TEMP TABLE ms__wm_%d AS
			SELECT ms__p, ms__o, ms__et, wm, cseq FROM (
				SELECT ms__p, ms__o, ms__et, seq, max(ms__et) OVER w - interval %s AS wm, max(seq) OVER w AS cseq FROM (
					SELECT ms__p, ms__o, ms__et, NULL::bigint AS seq FROM %s WHERE isfinite(ms__et)
					UNION ALL
					SELECT partition, offset_from, NULL, seq FROM ms__parts WHERE foreign_table = %s AND offset_to > offset_from
				) AS u WINDOW w AS (PARTITION BY ms__p ORDER BY ms__o, seq NULLS LAST)
			) AS x WHERE seq IS NULL;
		CREATE UNIQUE INDEX ON ms__wm_%[1]d (ms__p, ms__o); ANALYZE ms__wm_%[1]d`, t.index, literal(t.delay), t.rows(), literal(t.table)))
}
