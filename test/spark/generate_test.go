package spark

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// The generated log and views: every type, filters, windows of all spellings,
// aggregates, HAVING, both ways to emit, and rows that fail.

const eventsSQL = `
CREATE FOREIGN TABLE events (
    at     timestamptz      NOT NULL,
    id     bigint           NOT NULL,
    small  smallint,
    n      integer,
    big    bigint,
    f      double precision,
    r      real,
    price  numeric(8, 2),
    name   text,
    code   varchar(4),
    flag   boolean,
    day    date,
    ref    uuid,
    doc    jsonb,
    clock  timestamp
) SERVER kafka OPTIONS (topic 'events', event_time 'at', watermark '10 minutes');

CREATE FOREIGN TABLE others (
    happened timestamptz NOT NULL,
    n        integer,
    name     text
) SERVER kafka OPTIONS (topic 'others', event_time 'happened', watermark '10 minutes');
`

type generator struct{ *rand.Rand }

func (g generator) pick(of ...string) string { return of[g.IntN(len(of))] }

// values makes a log in order within the delay; the last records of each
// partition close all windows but the last.
func (g generator) values(n, partitions int) []string {
	var out []string
	for i := range n {
		out = append(out, g.value(i, i*20+g.IntN(300)-150))
	}
	for i := range partitions {
		out = append(out, fmt.Sprintf(`{"at":"2026-03-20T00:00:00Z","id":%d}`, n+i))
	}
	return out
}

// value is an event at a second of the log, one in twelve of them bad.
func (g generator) value(id, second int) string {
	second += 600
	at := fmt.Sprintf("2026-03-%02dT%02d:%02d:%02d.%03dZ", 8+second/86400, second/3600%24, second/60%60, second%60, g.IntN(1000))
	switch g.IntN(60) {
	case 0:
		return ""
	case 1:
		return `{"at":"` + at + `"`
	case 2:
		return fmt.Sprintf(`{"at":%q,"id":"x"}`, at)
	case 3:
		return fmt.Sprintf(`{"at":%q,"id":%d,"price":12345678}`, at, id)
	case 4:
		return fmt.Sprintf(`{"id":%d}`, id)
	}
	fields := []string{fmt.Sprintf(`"at":%q`, at), fmt.Sprintf(`"id":%d`, id)}
	add := func(name, value string) {
		if g.IntN(6) > 0 {
			fields = append(fields, fmt.Sprintf("%q:%s", name, value))
		}
	}
	add("small", g.pick("1", "-3", "32767", "null", `"7"`))
	add("n", fmt.Sprint(g.IntN(200)-20))
	add("big", g.pick("9007199254740993", "-5", "0", "123456789012"))
	add("f", g.pick("0.5", "1e3", "12.25", `"3.75"`, "100", "7e-2"))
	add("r", g.pick("0.5", "2.5", "16777216"))
	add("price", g.pick("0", "19.99", `"5.005"`, "-3.10", "1e2"))
	add("name", g.pick(`"anna"`, `"Bob"`, `"caf\u00e9"`, `""`, `"日本"`))
	add("code", g.pick(`"AB"`, `"abcd"`, `"a   "`))
	add("flag", g.pick("true", "false", `"yes"`, `"f"`))
	add("day", g.pick(`"2026-03-01"`, `"Mar 2 2026"`, `"20260303"`))
	add("ref", g.pick(`"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"`, `"{A0EEBC999C0B4EF8BB6D6BB9BD380A12}"`))
	add("doc", g.pick(`{"b":1,"a":[1.0,2]}`, `[]`, `"x"`, `1.50`, `{"a":{"k":2}}`))
	add("clock", g.pick(`"2026-03-01 23:59:59.5"`, `"2026-03-29T02:30:00"`, `"Mar 2 2026 07:08"`))
	return "{" + strings.Join(fields, ",") + "}"
}

// others makes the other topic's log, in step with the first.
func (g generator) others(n, partitions int) []string {
	var out []string
	for i := range n {
		second := 600 + i*40 + g.IntN(200)
		out = append(out, fmt.Sprintf(`{"happened":"2026-03-%02dT%02d:%02d:%02dZ","n":%s,"name":%s}`, 8+second/86400, second/3600%24, second/60%60, second%60,
			g.pick("1", "60", "-7", "null", `"x"`), g.pick(`"anna"`, `"Zoë"`, "null")))
	}
	for range partitions {
		out = append(out, `{"happened":"2026-03-20T00:00:00Z"}`)
	}
	return out
}

// union is both topics as one.
const union = "WITH u AS (SELECT at, n, name, price, flag FROM events UNION ALL SELECT happened, n, name, (n / 4.0)::numeric(8, 2), n > 0 FROM others)"

// views makes n views. What a draw gives may be refused by one engine (a key
// twice, a type that can't be a key): then it is drawn again.
func (d *deck) views(n int) string {
	var b strings.Builder
	b.WriteString(eventsSQL)
	for i := range n {
		for {
			if view := d.view(i, fmt.Sprintf("v%d", i)); d.check(view) {
				b.WriteString(view)
				break
			}
		}
	}
	return b.String()
}

func (d *deck) view(i int, name string) string {
	switch i % 6 {
	case 3:
		if i%12 == 3 {
			return fmt.Sprintf("\nCREATE MATERIALIZED VIEW %s AS %s SELECT window_start, name, count(*) AS c, sum(n) AS s, %s AS x FROM tumble(u, at, INTERVAL '%s') GROUP BY 1, 2;",
				name, union, d.pick("avg(price)", "max(price)", "bool_or(flag)", "min(n) + max(n)"), d.pick("5 minutes", "1 hour"))
		}
	case 4:
		return fmt.Sprintf("\nCREATE MATERIALIZED VIEW %s AS SELECT id, %s FROM events%s;", name, d.columns(5, rowValues, rowProbe), d.where())
	case 5:
		return fmt.Sprintf("\nCREATE MATERIALIZED VIEW %s WITH (key = 'k') AS SELECT %s AS k, id, %s AS y, %s FROM events%s;", name, d.key(), d.scalar(), d.columns(3, rowValues, rowProbe), d.where())
	}
	return d.grouped(name)
}

// columns deals n functions.
func (d *deck) columns(n int, values map[string][]string, probe func(string) string) string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s AS x%d", d.deal(values, probe), i)
	}
	return strings.Join(out, ", ")
}

func (d *deck) grouped(name string) string {
	var aggregates []string
	for j := range 2 + d.IntN(4) {
		aggregates = append(aggregates, fmt.Sprintf("%s AS a%d", d.aggregate(), j))
	}
	if d.IntN(3) > 0 {
		aggregates = append(aggregates, d.columns(2, groupValues, groupProbe))
	}
	having := ""
	if d.IntN(4) == 0 {
		having = d.pick(" HAVING count(*) > 2", " HAVING max(n) IS NOT NULL", " HAVING sum(n) > 10")
	}
	key := d.key()
	if d.IntN(8) == 0 {
		return fmt.Sprintf("\nCREATE MATERIALIZED VIEW %s WITH (max_groups = 100000) AS SELECT %s AS k, %s FROM events%s GROUP BY 1;", name, key, strings.Join(aggregates, ", "), d.where())
	}
	emit := ""
	if d.IntN(3) == 0 {
		emit = " WITH (emit = 'final')"
	}
	window, from := "window_start AS w", fmt.Sprintf("tumble(events, at, INTERVAL '%s')", d.pick("5 minutes", "1 hour", "7 seconds", "1 day"))
	if d.IntN(3) == 0 {
		from = "events"
		window = d.pick("date_trunc('hour', at)", "date_trunc('day', at, 'America/New_York')", "date_trunc('week', at, 'Europe/Paris')",
			"date_bin('15 minutes', at, '2026-01-01 00:05:00+00')", "date_trunc('month', at)") + " AS w"
	}
	return fmt.Sprintf("\nCREATE MATERIALIZED VIEW %s%s AS SELECT %s, %s AS k, %s FROM %s%s GROUP BY 1, 2%s;",
		name, emit, window, key, strings.Join(aggregates, ", "), from, d.where(), having)
}

func (g generator) key() string {
	return g.pick("name", "flag", "code", "small", "n % 5", "upper(name)", "day", "ref", "f", "price", "big", "coalesce(name, code, '?')", "doc -> 'a'",
		"CASE WHEN n > 50 THEN 'high' WHEN n > 0 THEN 'low' END")
}

func (g generator) where() string {
	if g.IntN(2) == 0 {
		return ""
	}
	return " WHERE " + g.pick("n > 0", "name LIKE 'a%'", "flag IS NOT FALSE", "price BETWEEN 0 AND 50", "length(name) > 2 OR n < 0", "small IN (1, 7)", "100 / n > 1", "day < '2026-03-03'")
}

func (g generator) scalar() string {
	return g.pick("n + small", "n * 1000000 * n", "price * 2", "f / nullif(n, 0)", "100 / n", "name || '-' || code", "lower(name)", "substring(name from 2 for 2)", "doc ->> 'b'",
		"doc", "at + INTERVAL '1 month'", "extract(hour FROM at)", "date_trunc('day', at, 'Asia/Tokyo')", "f::integer", "price::text", "ref", "day - 1", "r", "at::date", "round(price, 1)", "_partition", "_offset % 7")
}

func (g generator) aggregate() string {
	base := g.pick("count(*)", "count(n)", "sum(n)", "sum(small)", "sum(big)", "sum(price)", "sum(f)", "sum(r)", "avg(n)", "avg(big)", "avg(price)", "avg(f)", "min(n)", "max(price)",
		"min(name)", "max(day)", "min(at)", "max(f)", "min(big)", "bool_and(flag)", "bool_or(n > 100)")
	switch g.IntN(6) {
	case 0:
		return base + " FILTER (WHERE " + g.pick("n > 10", "flag", "name IS NOT NULL") + ")"
	case 1:
		// As a text, the last digits of a sum of floats are all that a comparison
		// sees; they depend on the order of rows.
		if !strings.Contains(base, "(f)") && !strings.Contains(base, "(r)") {
			return "coalesce(" + base + "::text, 'none')"
		}
	}
	return base
}
