package plan

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/codec"
	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/diag"
)

func (r *topicReader) readColumnOptions(c *TopicColumn, def *pg_query.ColumnDef, bad bool) {
	c.Path = []codec.PathStep{{Member: true, Name: c.Name}}
	set := &optionSet{
		statement: r.statement, what: fmt.Sprintf("column %q", c.Name), unknown: codeOption, invalid: codeOptionValue,
		known: map[string]func(option) *diag.Diagnostic{
			"path": func(o option) *diag.Diagnostic {
				steps, err := parsePath(o.value)
				if err != nil {
					return problem(codePath, o.pos, "write it as in '$.user.id', '$.items[0]' or '$.\"odd name\"'",
						"path %q of column %q can't be read: %v", o.value, c.Name, err)
				}
				c.Path = steps
				return nil
			},
			"epoch": func(o option) *diag.Diagnostic {
				word, d := o.choice("s", "ms", "us", "ns")
				if d != nil {
					return d
				}
				if !bad && c.Type.Kind != column.Timestamptz {
					return o.wrong("declare the column as timestamptz", fmt.Sprintf("the column is %s", c.Type))
				}
				c.Epoch = map[string]codec.Epoch{
					"s": codec.EpochSeconds, "ms": codec.EpochMillis, "us": codec.EpochMicros, "ns": codec.EpochNanos,
				}[word]
				return nil
			},
		},
	}
	r.report(set.read(def.GetFdwoptions())...)
	if len(def.GetFdwoptions()) > 0 && len(r.generated) > 0 && r.generated[len(r.generated)-1].index == len(r.topic.Columns) {
		r.report(problem(codeGenerated, r.statement.Position(def.GetLocation()), "put the options at the column that it is computed from",
			"generated column %q can't have OPTIONS: it is not read from the record", c.Name))
	}
}

// kafkaName is what Kafka lets a topic be called.
var kafkaName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

func (r *topicReader) readOptions(list []*pg_query.Node) {
	t := r.topic
	duration := func(to *time.Duration) func(option) *diag.Diagnostic {
		return func(o option) (d *diag.Diagnostic) {
			*to, d = o.duration()
			return d
		}
	}
	set := &optionSet{
		statement: r.statement, what: fmt.Sprintf("topic %q", t.Name), unknown: codeOption, invalid: codeOptionValue,
		known: map[string]func(option) *diag.Diagnostic{
			"topic": func(o option) *diag.Diagnostic {
				if !kafkaName.MatchString(o.value) || o.value == "." || o.value == ".." {
					return o.wrong("", "Kafka's names have 1 to 249 letters, digits, dots, dashes and underscores")
				}
				t.Topic = o.value
				return nil
			},
			"format":       r.readFormat,
			"event_time":   r.readEventTime,
			"watermark":    duration(&t.Watermark),
			"idle_after":   duration(&t.IdleAfter),
			"future_limit": duration(&t.Future),
			"start":        r.readStart,
			"on_error": func(o option) *diag.Diagnostic {
				word, d := o.choice("quarantine", "stop")
				t.StopOnBad = word == "stop"
				return d
			},
			"partitions": func(o option) *diag.Diagnostic {
				n, d := o.count(maxPartitions)
				t.Partitions = int(n)
				return d
			},
		},
	}
	r.report(set.read(list)...)
	if !kafkaName.MatchString(t.Topic) {
		r.report(problem(codeOptionValue, r.pos, "add OPTIONS (topic '…')",
			"%q can't be the name of a topic in Kafka: those have letters, digits, dots, dashes and underscores", t.Topic))
	}
}

// formats that are to come.
var laterFormats = []string{"avro", "protobuf", "csv", "text", "debezium-json", "cloudevents"}

func (r *topicReader) readFormat(o option) *diag.Diagnostic {
	switch value := strings.ToLower(o.value); {
	case value == "json":
		return nil
	case slices.Contains(laterFormats, value):
		return problem(codeFormat, o.pos, "what is supported: format 'json'", "format %q is not supported yet", value)
	default:
		return problem(codeFormat, o.pos, "what is supported: format 'json'", "there is no format %q", o.value)
	}
}

func (r *topicReader) readEventTime(o option) *diag.Diagnostic {
	t := r.topic
	if o.value == MetaColumns[MetaTimestamp].Name {
		return nil // the default, said aloud
	}
	i := slices.IndexFunc(t.Columns, func(c TopicColumn) bool { return c.Name == o.value })
	if i < 0 {
		return problem(codeEventTime, o.pos, suggest(o.value, t.timeColumns()),
			"event_time names %q, which is no column of topic %q", o.value, t.Name)
	}
	if k := t.Columns[i].Type.Kind; !r.scope.bad[i] && k != column.Timestamptz && k != column.Timestamp {
		hint := "declare it as timestamptz"
		if k.IsNumber() {
			hint = "declare it as timestamptz OPTIONS (epoch 'ms') if its numbers count from 1970"
		}
		return problem(codeEventTime, o.pos, hint,
			"event_time names column %q, which is %s and not a timestamptz or timestamp", o.value, t.Columns[i].Type)
	}
	t.EventTime = i
	return nil
}

// timeColumns are the columns that can be the event time.
func (t *Topic) timeColumns() []string {
	var names []string
	for _, c := range t.Columns {
		if c.Type.Kind == column.Timestamptz || c.Type.Kind == column.Timestamp {
			names = append(names, c.Name)
		}
	}
	return names
}

func (r *topicReader) readStart(o option) *diag.Diagnostic {
	switch strings.ToLower(o.value) {
	case "earliest":
		return nil
	case "latest":
		r.topic.Start.Latest = true
		return nil
	}
	const hint = "write 'earliest', 'latest', or a time such as '2026-03-01 12:00:00+00'"
	if datum.Reserved([]byte(o.value), column.Timestamptz) {
		return o.wrong(hint, "it would be another time at each start")
	}
	v := column.NewVector(column.Of(column.Timestamptz), 1)
	if err := datum.Input(v, 0, []byte(o.value)); err != nil {
		return o.wrong(hint, err.Message)
	}
	if v.Int[0] == column.Infinity || v.Int[0] == column.NegativeInfinity {
		return o.wrong(hint, "it is no time")
	}
	r.topic.Start.At = time.UnixMicro(v.Int[0] - column.UnixEpochMicros).UTC()
	return nil
}
