package spark

import (
	"fmt"
	"strconv"
	"time"

	"github.com/millstream-dev/millstream/internal/plan"
)

// Job is what the PySpark application runs. It holds no secrets.
type Job struct {
	Version  int     `json:"version"` // of this description
	Pipeline string  `json:"pipeline"`
	Schema   string  `json:"schema"`
	Hash     string  `json:"hash"` // of the definition
	File     string  `json:"file"` // the definition's name, for messages
	SQL      string  `json:"definition"`
	Topics   []Topic `json:"topics"`
	Queries  []Query `json:"queries"`
}

// jobVersion is the description's: the application refuses others.
const jobVersion = 1

// Topic is a foreign table: how Spark reads it, and its columns' types.
type Topic struct {
	Table   string            `json:"table"`
	Server  string            `json:"server"`
	Options map[string]string `json:"options"` // of Spark's Kafka source
	Columns []Column          `json:"columns"`
}

// Column is a column and its type in PostgreSQL.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// Query is one streaming query: a view, or a topic's ledger of bad rows.
type Query struct {
	Name   string  `json:"name"` // "view v", "ledger t": its checkpoint and its commits go by it
	Kind   string  `json:"kind"` // view, ledger
	View   string  `json:"view,omitempty"`
	Mode   string  `json:"mode,omitempty"` // append, latest, grouped
	Inputs []Input `json:"inputs"`
	// Columns are taken from what the executors' rows hold: name and Spark SQL.
	Columns []Cell `json:"columns"`
	// SQL is the aggregation over the table `rows`, empty where there is none.
	SQL        string   `json:"sql,omitempty"`
	OutputMode string   `json:"output_mode"` // Spark's
	Windowed   bool     `json:"windowed"`
	Stage      []string `json:"stage"` // Spark SQL: the cells that tasks stage, all text
	// Merge are PostgreSQL's statements, in order, that bring staged rows into
	// the tables. The driver tells them which rows by session settings.
	Merge []string `json:"merge"`
	// Failed, where outputs can fail, is run for a group that does not
	// evaluate, and Healed for those that do.
	Failed string `json:"failed,omitempty"`
	Healed string `json:"healed,omitempty"`
	// Key are the table's key columns, for people.
	Key       []string `json:"key,omitempty"`
	MaxGroups int64    `json:"max_groups,omitempty"`
	Table     string   `json:"table,omitempty"`
}

// Cell is a named Spark SQL expression.
type Cell struct {
	Name string `json:"name"`
	SQL  string `json:"sql"`
}

// Input is one branch of a query's union: a topic.
type Input struct {
	Topic     int   `json:"topic"`  // index into Job.Topics
	Source    int   `json:"source"` // the branch of the UNION ALL
	Watermark int64 `json:"watermark_ms"`
}

// Options say what a description is made for.
type Options struct {
	Name, Schema, File string
}

// Describe compiles a plan for Spark. What can't run there is an error; see
// Portability for all of it.
func Describe(p *plan.Pipeline, o Options) (*Job, error) {
	if err := refusals(p); err != nil {
		return nil, err
	}
	job := &Job{Version: jobVersion, Pipeline: o.Name, Schema: o.Schema, Hash: p.Hash, File: o.File, SQL: p.Text}
	index := map[*plan.Topic]int{}
	for i, t := range p.Topics {
		index[t] = i
		job.Topics = append(job.Topics, describeTopic(t))
	}
	for _, v := range p.Views {
		job.Queries = append(job.Queries, describeView(o.Schema, v, index))
	}
	for i, t := range p.Topics {
		if read(p, t) {
			job.Queries = append(job.Queries, describeLedger(t, i))
		}
	}
	return job, nil
}

// read tells whether a view reads a topic.
func read(p *plan.Pipeline, t *plan.Topic) bool {
	for _, v := range p.Views {
		for _, b := range v.Branches {
			if b.Topic == t {
				return true
			}
		}
	}
	return false
}

func describeTopic(t *plan.Topic) Topic {
	out := Topic{Table: t.Name, Server: t.Server, Options: map[string]string{
		"subscribe": t.Topic, "startingOffsets": "earliest", "failOnDataLoss": "true", "includeHeaders": "true",
		"kafka.isolation.level": "read_committed",
	}}
	switch {
	case t.Start.Latest:
		out.Options["startingOffsets"] = "latest"
	case !t.Start.At.IsZero():
		delete(out.Options, "startingOffsets")
		out.Options["startingTimestamp"] = strconv.FormatInt(t.Start.At.UnixMilli(), 10)
		out.Options["startingOffsetsByTimestampStrategy"] = "latest"
	}
	for _, c := range t.Columns {
		out.Columns = append(out.Columns, Column{c.Name, c.Type.String()})
	}
	return out
}

// watermark is a topic's delay as Spark takes it, in whole milliseconds: what
// is finer is rounded up, since a row that is late must be late on both
// engines.
func watermark(t *plan.Topic) int64 {
	return int64((t.Watermark + time.Millisecond - 1) / time.Millisecond)
}

func describeLedger(t *plan.Topic, topic int) Query {
	return Query{
		Name: "ledger " + t.Name, Kind: "ledger", Inputs: []Input{{Topic: topic, Watermark: watermark(t)}},
		OutputMode: "append", Columns: []Cell{}, Stage: []string{"refused"}, Merge: []string{ledgerSQL()},
	}
}

// ViewQuery gives the name of a view's query.
func ViewQuery(v *plan.View) string { return "view " + v.Name }

func describeView(schema string, v *plan.View, index map[*plan.Topic]int) Query {
	q := Query{Name: ViewQuery(v), Kind: "view", View: v.Name, OutputMode: "append", Windowed: v.Window != nil}
	for _, b := range v.Branches {
		q.Inputs = append(q.Inputs, Input{Topic: index[b.Topic], Source: b.Source, Watermark: watermark(b.Topic)})
	}
	for _, k := range v.Key {
		q.Key = append(q.Key, v.Columns[k].Name)
	}
	switch v.Mode {
	case plan.Append:
		q.Mode = "append"
		describeRows(&q, v, false)
	case plan.Latest:
		q.Mode = "latest"
		describeRows(&q, v, true)
	case plan.Grouped:
		q.Mode = "grouped"
		if q.OutputMode = "update"; v.Final {
			q.OutputMode = "append"
		}
		if v.Window == nil {
			q.MaxGroups = v.MaxGroups
		}
		describeGroups(&q, v)
	}
	mergeSQL(&q, schema, v)
	return q
}

// describeRows is for views of one row per event, or per key.
func describeRows(q *Query, v *plan.View, latest bool) {
	q.Columns = []Cell{{"event_time", eventTimeSQL}, {"kept", keptSQL}}
	origin := []string{"CAST(_source AS STRING)", "CAST(_partition AS STRING)", "CAST(_offset AS STRING)"}
	if !latest {
		q.Stage = append(q.Stage, origin...)
	}
	for i := range v.Columns {
		name := fmt.Sprintf("o%d", i)
		q.Columns = append(q.Columns, Cell{name, cellSQL(rowsFirst + i)})
		q.Stage = append(q.Stage, name)
	}
	if latest {
		q.Stage = append(q.Stage, "CAST(unix_micros(event_time) - 946684800000000 AS STRING)")
		q.Stage = append(q.Stage, origin...)
	}
}
