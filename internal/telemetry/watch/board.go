package watch

import (
	"encoding/json"
	"fmt"
)

// Row is a row of the board.
type Row struct {
	Title  string
	Panels []Panel
}

// Panel shows queries over time or, with Stat, the last value.
type Panel struct {
	Title, Unit string // Unit is Grafana's name of it
	Stat        bool
	Queries     []Query
}

// Query is one expression and how its series are named.
type Query struct{ Expr, Legend string }

// one is a panel of one query.
func one(title, unit, expr, legend string) Panel {
	return Panel{Title: title, Unit: unit, Queries: []Query{{expr, legend}}}
}

// stat is a panel of one number.
func stat(title, unit, expr, legend string) Panel {
	p := one(title, unit, expr, legend)
	p.Stat = true
	return p
}

// quantiles shows the median and the slow end of a histogram.
func quantiles(title, metric, by string) Panel {
	p := Panel{Title: title, Unit: "s"}
	for _, q := range []string{"0.5", "0.99"} {
		legend := "p" + q[2:]
		if by != "" {
			legend = "{{" + by + "}} " + legend
		}
		group := "le"
		if by != "" {
			group += ", " + by
		}
		p.Queries = append(p.Queries, Query{
			fmt.Sprintf(`histogram_quantile(%s, sum by (%s) (rate(%s_bucket{pipeline=~"$pipeline"}[$__rate_interval])))`, q, group, metric), legend,
		})
	}
	return p
}

// rate sums the rate of a counter by a label.
func rate(metric, by string) Query {
	return Query{fmt.Sprintf(`sum by (%s) (rate(%s{pipeline=~"$pipeline"}[$__rate_interval]))`, by, metric), "{{" + by + "}}"}
}

// fate is the rate of a fate of records by view.
func fate(name string) Query {
	q := rate("millstream_records_"+name+"_total", "view")
	q.Legend += " " + name
	return q
}

// Rows are the board, from above.
var Rows = []Row{
	{"Now", []Panel{
		stat("Engine", "bool_on_off", `max by (pipeline) (millstream_engine_up{pipeline=~"$pipeline"})`, "{{pipeline}}"),
		stat("Standing by", "short", `sum by (pipeline) (millstream_standby{pipeline=~"$pipeline"})`, "{{pipeline}}"),
		stat("Parts", "bool_on_off", `millstream_part_up{pipeline=~"$pipeline"}`, "{{part}}"),
		stat("Lag", "short", `sum by (pipeline) (millstream_lag_records{pipeline=~"$pipeline"})`, "{{pipeline}}"),
		stat("Behind", "s", `max by (pipeline) (millstream_lag_seconds{pipeline=~"$pipeline"})`, "{{pipeline}}"),
		stat("Since the last commit", "s", `time() - millstream_last_commit_timestamp_seconds{pipeline=~"$pipeline"}`, "{{pipeline}}"),
		stat("Version", "none", `millstream_build_info{pipeline=~"$pipeline"}`, "{{version}}"),
	}},
	{"Records", []Panel{
		{Title: "Records read", Unit: "cps", Queries: []Query{rate("millstream_records_read_total", "topic")}},
		{Title: "Bytes read", Unit: "Bps", Queries: []Query{rate("millstream_read_bytes_total", "topic")}},
		{Title: "Accepted and filtered", Unit: "cps", Queries: []Query{fate("accepted"), fate("filtered")}},
		{Title: "Late, quarantined, skipped", Unit: "cps", Queries: []Query{fate("late"), fate("quarantined"), fate("skipped")}},
		{Title: "Quarantine by cause", Unit: "cps", Queries: []Query{rate("millstream_decode_errors_total", "cause")}},
		{Title: "Posted over HTTP", Unit: "cps", Queries: []Query{rate("millstream_ingest_records_total", "outcome")}},
	}},
	{"Progress", []Panel{
		one("Lag by partition", "short", `millstream_lag_records{pipeline=~"$pipeline"}`, "{{topic}} {{partition}}"),
		one("Behind by partition", "s", `millstream_lag_seconds{pipeline=~"$pipeline"}`, "{{topic}} {{partition}}"),
		one("Watermarks behind the clock", "s", `time() - millstream_watermark_timestamp_seconds{pipeline=~"$pipeline"}`, "{{view}}"),
		one("Partitions' watermarks behind the clock", "s", `time() - millstream_partition_watermark_timestamp_seconds{pipeline=~"$pipeline"}`, "{{topic}} {{partition}}"),
	}},
	{"Commits", []Panel{
		one("Commits", "cps", `sum by (pipeline) (rate(millstream_commits_total{pipeline=~"$pipeline"}[$__rate_interval]))`, "{{pipeline}}"),
		quantiles("Time of a commit", "millstream_commit_duration_seconds", ""),
		one("Time by step", "s", `sum by (step) (rate(millstream_commit_step_duration_seconds_sum{pipeline=~"$pipeline"}[$__rate_interval])) / ignoring (step) group_left () sum (rate(millstream_commits_total{pipeline=~"$pipeline"}[$__rate_interval]))`, "{{step}}"),
		one("Records of a commit", "short", `sum by (pipeline) (rate(millstream_epoch_records_sum{pipeline=~"$pipeline"}[$__rate_interval])) / sum by (pipeline) (rate(millstream_epoch_records_count{pipeline=~"$pipeline"}[$__rate_interval]))`, "{{pipeline}}"),
		{Title: "Rows written", Unit: "cps", Queries: []Query{rate("millstream_rows_written_total", "view")}},
		one("Bytes sent", "Bps", `sum by (pipeline) (rate(millstream_commit_bytes_total{pipeline=~"$pipeline"}[$__rate_interval]))`, "{{pipeline}}"),
		{Title: "Attempts made again", Unit: "cps", Queries: []Query{rate("millstream_commit_retries_total", "cause")}},
	}},
	{"State", []Panel{
		one("Open windows", "short", `millstream_open_windows{pipeline=~"$pipeline"}`, "{{view}}"),
		one("Open groups", "short", `millstream_open_groups{pipeline=~"$pipeline"}`, "{{view}}"),
		one("State in memory", "bytes", `millstream_state_bytes{pipeline=~"$pipeline"}`, "{{view}}"),
		one("Rows of the ledgers", "short", `millstream_ledger_rows{pipeline=~"$pipeline"}`, "{{ledger}}"),
	}},
	{"Tables that views join with", []Panel{
		one("Rows", "short", `millstream_lookup_rows{pipeline=~"$pipeline"}`, "{{table}}"),
		one("Version", "short", `millstream_lookup_version{pipeline=~"$pipeline"}`, "{{table}}"),
		one("Since the last change", "s", `time() - millstream_lookup_changed_timestamp_seconds{pipeline=~"$pipeline"}`, "{{table}}"),
		one("Since the last look", "s", `time() - millstream_lookup_refreshed_timestamp_seconds{pipeline=~"$pipeline"}`, "{{table}}"),
		one("Time of a look", "s", `millstream_lookup_refresh_duration_seconds{pipeline=~"$pipeline"}`, "{{table}}"),
		{Title: "Looks that failed", Unit: "cps", Queries: []Query{rate("millstream_lookup_failures_total", "table")}},
	}},
	{"API and process", []Panel{
		{Title: "Requests", Unit: "reqps", Queries: []Query{rate("millstream_http_requests_total", "route")}},
		{Title: "Requests by code", Unit: "reqps", Queries: []Query{rate("millstream_http_requests_total", "code")}},
		quantiles("Time of a request", "millstream_http_request_duration_seconds", "route"),
		one("Requests being answered", "short", `millstream_http_requests_in_flight{pipeline=~"$pipeline"}`, "{{pipeline}}"),
		{Title: "Sent to the OpenTelemetry collector", Unit: "cps", Queries: []Query{rate("millstream_otlp_exports_total", "outcome")}},
		one("Processor", "percentunit", `rate(process_cpu_seconds_total{job=~"millstream.*"}[$__rate_interval])`, "{{instance}}"),
		{Title: "Memory", Unit: "bytes", Queries: []Query{
			{`process_resident_memory_bytes{job=~"millstream.*"}`, "{{instance}} resident"}, {`go_memstats_heap_inuse_bytes{job=~"millstream.*"}`, "{{instance}} heap"},
		}},
		one("Goroutines", "short", `go_goroutines{job=~"millstream.*"}`, "{{instance}}"),
	}},
}

// The board's grid is 24 wide.
const (
	gridWidth   = 24
	statWidth   = 4
	statHeight  = 4
	panelWidth  = 8
	panelHeight = 8
	// schemaVersion is that of the dashboards that Grafana 10 writes; later
	// versions bring it forward when they load it.
	schemaVersion = 39
)

type object = map[string]any

var datasource = object{"type": "prometheus", "uid": "${datasource}"}

// Board gives the board as Grafana's JSON.
func Board() []byte {
	board := object{
		"uid": "millstream", "title": "Millstream", "description": "Pipelines of Millstream; " + generated,
		"tags": []string{"millstream"}, "schemaVersion": schemaVersion, "version": 1, "editable": true, "graphTooltip": 1, "refresh": "10s", "timezone": "browser",
		"time": object{"from": "now-1h", "to": "now"}, "annotations": object{"list": []any{}}, "links": []any{},
		"templating": object{"list": []any{
			object{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "options": []any{}, "multi": false, "includeAll": false, "hide": 0},
			object{
				"name": "pipeline", "label": "Pipeline", "type": "query", "datasource": datasource, "query": object{"query": "label_values(millstream_build_info, pipeline)", "refId": "pipelines"},
				"refresh": 2, "sort": 1, "multi": true, "includeAll": true, "allValue": ".*", "current": object{"text": "All", "value": "$__all"}, "options": []any{}, "hide": 0,
			},
		}},
		"panels": panels(),
	}
	b, err := json.MarshalIndent(board, "", "  ")
	if err != nil {
		panic(err) // texts and numbers only
	}
	return append(b, '\n')
}

func panels() []any {
	var out []any
	id, y := 0, 0
	for _, r := range Rows {
		id++
		out = append(out, object{"id": id, "type": "row", "title": r.Title, "collapsed": false, "gridPos": grid(0, y, gridWidth, 1), "panels": []any{}})
		y++
		x, height := 0, 0
		for _, p := range r.Panels {
			w, h := panelWidth, panelHeight
			if p.Stat {
				w, h = statWidth, statHeight
			}
			if x+w > gridWidth {
				x, y = 0, y+height
			}
			id++
			out = append(out, p.json(id, grid(x, y, w, h)))
			x, height = x+w, h
		}
		y += height
	}
	return out
}

func grid(x, y, w, h int) object { return object{"x": x, "y": y, "w": w, "h": h} }

func (p Panel) json(id int, pos object) object {
	var targets []any
	for i, q := range p.Queries {
		targets = append(targets, object{"refId": string(rune('A' + i)), "datasource": datasource, "expr": q.Expr, "legendFormat": q.Legend, "range": !p.Stat, "instant": p.Stat, "editorMode": "code"})
	}
	out := object{
		"id": id, "title": p.Title, "gridPos": pos, "datasource": datasource, "targets": targets,
		"fieldConfig": object{"defaults": object{"unit": p.Unit}, "overrides": []any{}},
	}
	if p.Stat {
		out["type"] = "stat"
		mode := "value"
		if p.Unit == "none" || p.Unit == "bool_on_off" {
			mode = "value_and_name"
		}
		out["options"] = object{
			"colorMode": "value", "graphMode": "none", "justifyMode": "auto", "orientation": "auto", "textMode": mode, "wideLayout": true, "showPercentChange": false, "percentChangeColorMode": "standard",
			"reduceOptions": object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
		}
		return out
	}
	out["type"] = "timeseries"
	out["options"] = object{
		"legend":  object{"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []string{}},
		"tooltip": object{"mode": "multi", "sort": "desc"},
	}
	return out
}
