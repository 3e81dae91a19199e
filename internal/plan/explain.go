package plan

import (
	"fmt"
	"strings"

	"github.com/millstream-dev/millstream/internal/column"
)

// Explain writes a plan for people.
func Explain(p *Pipeline) string {
	var b strings.Builder
	d := Describe(p)
	for _, t := range d.Topics {
		explainTopic(&b, t)
	}
	for i, v := range d.Views {
		explainView(&b, v, p.Views[i])
	}
	if len(d.Statements) > 0 {
		b.WriteString("PostgreSQL runs, in this order\n")
	}
	for _, s := range d.Statements {
		fmt.Fprintf(&b, "  %-6s %s\n", map[string]string{"view": "keep", "again when changed": "renew", "once": "once"}[s.Runs], s.Object)
	}
	return b.String()
}

func line(b *strings.Builder, label, text string) {
	if text != "" {
		fmt.Fprintf(b, "  %-11s%s\n", label, text)
	}
}

func explainTopic(b *strings.Builder, t TopicDescription) {
	fmt.Fprintf(b, "topic %s\n", t.Name)
	from := fmt.Sprintf("%s on %s, %s, from %s", t.Topic, t.Server, t.Format, t.Start)
	if t.Partitions > 0 {
		from += fmt.Sprintf(", made with %d partitions", t.Partitions)
	}
	if t.OnError == "stop" {
		from += ", stops at a bad record"
	}
	line(b, "reads", from)
	line(b, "time", fmt.Sprintf("%s, watermark %s behind, idle after %s, future limit %s", t.EventTime, t.Watermark, t.IdleAfter, t.FutureLimit))
	for i, c := range t.Columns {
		label := ""
		if i == 0 {
			label = "columns"
		}
		text := c.Name + " " + c.Type
		if c.NotNull {
			text += " NOT NULL"
		}
		switch {
		case c.Generated != "":
			text += " = " + c.Generated
		case c.Path != PathText(nil)+"."+c.Name:
			text += " from " + c.Path
		}
		if c.Epoch != "" {
			text += ", epoch " + c.Epoch
		}
		fmt.Fprintf(b, "  %-11s%s\n", label, text)
	}
	line(b, "decoded", strings.Join(t.Decoded, ", "))
	line(b, "comment", t.Comment)
	b.WriteByte('\n')
}

func explainView(b *strings.Builder, v ViewDescription, view *View) {
	fmt.Fprintf(b, "materialized view %s\n", v.Name)
	line(b, "holds", v.Mode+", emit "+v.Emit)
	line(b, "key", strings.Join(v.Key, ", "))
	for i, c := range v.Columns {
		label := ""
		if i == 0 {
			label = "columns"
		}
		text := c.Name + " " + c.Type
		if c.Value != "" && c.Value != c.Name && c.Value != quoteName(c.Name) {
			text += " = " + c.Value
		}
		fmt.Fprintf(b, "  %-11s%s\n", label, text)
	}
	for _, in := range v.Inputs {
		line(b, "input", in.Topic)
		line(b, "  filter", in.Filter)
		for _, j := range in.Joins {
			explainJoin(b, j)
		}
		line(b, "  time", in.WindowTime)
		line(b, "  group by", strings.Join(in.GroupBy, ", "))
		line(b, "  outputs", strings.Join(in.Outputs, ", "))
	}
	if v.Window != "" {
		line(b, "window", fmt.Sprintf("%s (%s)", v.Window, typeWord(view.Window.Type)))
	}
	line(b, "aggregates", strings.Join(v.Aggregates, ", "))
	line(b, "having", v.Having)
	line(b, "watermark", v.Watermark)
	line(b, "retention", v.Retention)
	line(b, "ttl", v.TTL)
	line(b, "kept", v.Correctable)
	line(b, "state", v.State)
	line(b, "comment", v.Comment)
	b.WriteByte('\n')
}

func typeWord(t column.Type) string {
	if t.Kind == column.Timestamptz {
		return "timestamptz"
	}
	return t.Kind.Name()
}
