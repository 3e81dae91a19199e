package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/millstream-dev/millstream/internal/postgres/ledger"
)

func (v *ledgerVerb) showCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show one row with its payload, the fault marked between ⟦ and ⟧",
		Args:  usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return v.with(cmd, args, func(ctx context.Context, conn *pgx.Conn, name string, f ledger.Filter) error {
				r, err := v.name.Get(ctx, conn, name, f.IDs[0])
				switch {
				case errors.Is(err, ledger.ErrNone):
					return usageError{fmt.Errorf("no row %d\n→ `millstream %s` lists them; a rebuild gives rows new numbers", f.IDs[0], v.use)}
				case err != nil:
					return err
				}
				if v.output == "json" {
					return v.printJSON(r)
				}
				v.show(r)
				return nil
			})
		},
	}
	v.flags(cmd, false)
	return cmd
}

func (v *ledgerVerb) show(r *ledger.Row) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(v.out, "%-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("row", "%d, %s", r.ID, r.State)
	line("record", "table %s, topic %s partition %d offset %d, written %s", r.Table, r.Topic, r.Partition, r.Offset, at(r.Timestamp))
	line("refused", "%s by commit %d", at(r.RefusedAt), r.Commit)
	if r.ReplayOf != 0 {
		line("", "when replay %d brought it here again", r.ReplayOf)
	}
	if v.name == ledger.Late {
		line("window", "%s to %s of view %s", at(*r.WindowStart), at(*r.WindowEnd), r.View)
		line("late", "by %s: its event time is %s (cause %s)", length(r.LateSeconds), at(*r.EventTime), r.Cause)
		if r.Accepted {
			line("", "other windows of the view have taken it")
		}
	} else {
		line("by", "%s", r.Statement)
		line("cause", "%s%s", r.Cause, bracket(r.SQLState))
		line("fault", "%s", fault(r.Column, r.Path, r.ExpectedType, r.Message))
	}
	if r.Key != nil {
		line("key", "%s", printable(r.Key))
	}
	if r.Headers != nil {
		line("headers", "%s", r.Headers)
	}
	v.payload("payload", r.Payload, r.PayloadSize, r.Position)
	if q := r.Request; q != nil {
		v.showRequest(q)
	}
	v.next(r)
}

func bracket(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

func fault(column, path, expected, message string) string {
	var parts []string
	if column != "" {
		parts = append(parts, "column "+column)
	}
	if path != "" {
		parts = append(parts, "at "+path)
	}
	if expected != "" {
		parts = append(parts, "as "+expected)
	}
	if len(parts) == 0 {
		return message
	}
	return strings.Join(parts, " ") + ": " + message
}

// payload shows a payload, with the fault marked if its place is known.
func (v *ledgerVerb) payload(name string, payload []byte, size int64, position *int32) {
	text := "none"
	switch {
	case payload != nil && !utf8.Valid(payload):
		text = fmt.Sprintf("%q", payload)
	case payload != nil:
		text, _ = ledger.Mark(payload, position)
	}
	fmt.Fprintf(v.out, "%-10s %s\n", name, text)
	if size > int64(len(payload)) {
		fmt.Fprintf(v.out, "%-10s the first %d of %d bytes\n", "", len(payload), size)
	}
}

// showRequest tells what was asked last, and what became of it.
func (v *ledgerVerb) showRequest(q *ledger.Request) {
	line := func(format string, args ...any) { fmt.Fprintf(v.out, "%-10s %s\n", "", fmt.Sprintf(format, args...)) }
	what := "replay"
	if q.State == "dropped" {
		what = "drop"
	}
	fmt.Fprintf(v.out, "%-10s %s, asked for by %s at %s\n", what, said(q), q.RequestedBy, at(q.RequestedAt))
	var f ledger.Fault
	if json.Unmarshal(q.Fault, &f) == nil && f.Message != "" && q.Edited {
		line("fault: %s", fault(f.Column, f.Path, f.Expected, f.Message))
		v.payload("edited", q.Payload, 0, f.Position)
	} else if q.Edited {
		v.payload("edited", q.Payload, 0, nil)
	}
	for _, f := range q.Fates() {
		line("%s", told(f))
	}
}

// said tells in a few words what became of a request.
func said(q *ledger.Request) string {
	switch q.State {
	case "requested":
		return fmt.Sprintf("%d waits for the engine", q.ID)
	case "applied":
		return fmt.Sprintf("%d was applied by commit %d", q.ID, *q.Commit)
	case "refused":
		return fmt.Sprintf("%d was refused: %s", q.ID, q.Reason)
	case "void":
		return fmt.Sprintf("%d is void: %s", q.ID, q.Reason)
	}
	return fmt.Sprintf("%d: %s", q.ID, q.Reason)
}

// told tells what became of a record in a view.
func told(f ledger.Fate) string {
	switch f.Fate {
	case "accepted":
		text := "counts in view " + f.View
		for i, w := range f.Windows {
			text += map[bool]string{true: ", window ", false: " and "}[i == 0] + w.Start
			if w.Corrected {
				text += " (corrected)"
			}
		}
		if f.Reason != "" {
			text += "; late for others: " + f.Reason
		}
		return text
	case "filtered":
		return "is filtered by view " + f.View
	case "late":
		return "is late for view " + f.View + ": " + f.Reason
	}
	return "is in quarantine for view " + f.View + ": " + f.Reason
}

// next says what can be done.
func (v *ledgerVerb) next(r *ledger.Row) {
	if r.State != ledger.Open {
		return
	}
	edit := ""
	if v.name == ledger.Quarantine && r.Cause != "future" {
		edit = " --edit"
	}
	fmt.Fprintf(v.out, "→ millstream %s replay %d%s\n", v.use, r.ID, edit)
}
