package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/millstream-dev/millstream/internal/pipeline"
	"github.com/millstream-dev/millstream/internal/postgres/ledger"
)

// ledgerVerb is one of the verbs quarantine and late.
type ledgerVerb struct {
	*app
	name   ledger.Name
	use    string
	filter ledgerFlags
}

// ledgerFlags are the flags that choose rows.
type ledgerFlags struct {
	cause, table, view, column, state string
	partition                         int32
	since, until                      string
	limit                             int
}

func (a *app) quarantineCommand() *cobra.Command {
	v := &ledgerVerb{app: a, name: ledger.Quarantine, use: "quarantine"}
	return v.command("Show the records that could not be taken, mend them, and send them through again", `Records that could not be decoded, stored or evaluated are in quarantine, with what
was wrong. Nothing is lost: mended, they count as if they had come right at once.

  millstream quarantine                                   the newest that are open
  millstream quarantine causes                            grouped by cause
  millstream quarantine show 17                           one, with the fault marked
  millstream quarantine replay 17 --edit                  mend its payload, and send it through again
  millstream quarantine replay --all --cause future       all of a cause, as they are
  millstream quarantine drop 18 --reason 'a test record'`)
}

func (a *app) lateCommand() *cobra.Command {
	v := &ledgerVerb{app: a, name: ledger.Late, use: "late"}
	return v.command("Show the rows that came after their window had closed, and merge them into it", `A row that comes after its window has closed is kept with the watermark that refused
it, one entry for each window. It can be merged into its window for as long as the
view's option correctable says, a day unless given.

  millstream late                                         the newest that are open
  millstream late causes                                  grouped by view, with how late they were
  millstream late replay --all --view sales --wait        merge all of a view
  millstream late drop --all --until 2026-01-01 --reason 'last year'`)
}

func (v *ledgerVerb) command(short, long string) *cobra.Command {
	cmd := &cobra.Command{Use: v.use, Short: short, Long: long, Args: usage(cobra.NoArgs), RunE: func(cmd *cobra.Command, _ []string) error {
		return v.with(cmd, nil, v.list)
	}}
	v.flags(cmd, true)
	list := &cobra.Command{Use: "list", Short: "List rows, newest first", Args: usage(cobra.NoArgs), RunE: cmd.RunE}
	v.flags(list, true)
	causes := &cobra.Command{Use: "causes", Short: "Count rows by cause, the most frequent first", Args: usage(cobra.NoArgs), RunE: func(cmd *cobra.Command, _ []string) error {
		return v.with(cmd, nil, v.causes)
	}}
	v.flags(causes, false)
	count := &cobra.Command{Use: "count", Short: "Count rows", Args: usage(cobra.NoArgs), RunE: func(cmd *cobra.Command, _ []string) error {
		return v.with(cmd, nil, func(ctx context.Context, conn *pgx.Conn, name string, f ledger.Filter) error {
			n, err := v.name.Count(ctx, conn, name, f)
			if err != nil {
				return err
			}
			if v.output == "json" {
				return v.printJSON(map[string]int64{"rows": n})
			}
			_, err = fmt.Fprintln(v.out, n)
			return err
		})
	}}
	v.flags(count, false)
	cmd.AddCommand(list, causes, count, v.showCommand(), v.exportCommand(), v.replayCommand(), v.dropCommand())
	return cmd
}

// flags adds what all of the verbs take.
func (v *ledgerVerb) flags(cmd *cobra.Command, limit bool) {
	f := cmd.Flags()
	f.StringVar(&v.filter.cause, "cause", "", "only rows of this cause")
	f.StringVar(&v.filter.table, "table", "", "only rows of this foreign table")
	f.StringVar(&v.filter.view, "view", "", "only rows that this view refused")
	if v.name == ledger.Quarantine {
		f.StringVar(&v.filter.column, "column", "", "only rows with the fault in this column or JSON path")
	}
	f.Int32Var(&v.filter.partition, "partition", -1, "only rows of this partition")
	f.StringVar(&v.filter.since, "since", "", "only rows refused at or after this time, or so long ago (2h, 3d)")
	f.StringVar(&v.filter.until, "until", "", "only rows refused before this time, or so long ago")
	f.StringVar(&v.filter.state, "state", ledger.Open, "open, requested, replayed, dropped or all")
	if limit {
		f.IntVarP(&v.filter.limit, "count", "n", 20, "rows at most; 0: all")
	}
	settingsFlags(cmd, "database.url", "name", "log.level", "log.format")
	v.outputFlag(cmd)
}

// choice is the rows that the flags and ids choose.
func (v *ledgerVerb) choice(ids []string) (ledger.Filter, error) {
	g := v.filter
	f := ledger.Filter{Cause: g.cause, Table: g.table, View: g.view, Column: g.column, State: g.state, Limit: g.limit}
	switch g.state {
	case ledger.Open, ledger.Requested, ledger.Replayed, ledger.Dropped, "all":
	default:
		return f, usageError{fmt.Errorf("--state %s: a row is open, requested, replayed or dropped; or all", g.state)}
	}
	if g.partition >= 0 {
		f.Partition = &g.partition
	}
	var err error
	if f.Since, err = momentOf("--since", g.since); err != nil {
		return f, err
	}
	if f.Until, err = momentOf("--until", g.until); err != nil {
		return f, err
	}
	for _, text := range ids {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil || id < 1 {
			return f, usageError{fmt.Errorf("%q is no row's id\n→ `millstream %s` lists them", text, v.use)}
		}
		f.IDs = append(f.IDs, id)
	}
	return f, nil
}

// momentOf reads a time, or how long ago it was.
func momentOf(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, err := instantOf(text); err == nil {
		return at, nil
	}
	number, days := strings.CutSuffix(text, "d")
	if days {
		number += "h"
	}
	ago, err := time.ParseDuration(number)
	if err != nil || ago < 0 || ago > maxKeyLife/24 {
		return time.Time{}, usageError{fmt.Errorf("%s %s: say a time, such as 2026-01-31T12:00:00Z, or how long ago, such as 90m or 3d", flag, text)}
	}
	if days {
		ago *= 24
	}
	return time.Now().Add(-ago), nil
}

// with opens the ledgers of the configured database, or of the local stack that
// runs.
func (v *ledgerVerb) with(cmd *cobra.Command, ids []string, do func(ctx context.Context, conn *pgx.Conn, name string, f ledger.Filter) error) error {
	if err := v.load(cmd); err != nil {
		return err
	}
	f, err := v.choice(ids)
	if err != nil {
		return err
	}
	if err := v.useRunning(v.config.Name); err != nil {
		return err
	}
	ctx := cmd.Context()
	conn, name, err := pipeline.OpenLedgers(ctx, &v.config.Config, v.config.Name)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return do(ctx, conn, name, f)
}

func (v *ledgerVerb) list(ctx context.Context, conn *pgx.Conn, name string, f ledger.Filter) error {
	rows, err := v.name.List(ctx, conn, name, f)
	if err != nil {
		return err
	}
	if v.output == "json" {
		return v.printJSON(rows)
	}
	if len(rows) == 0 {
		fmt.Fprintf(v.err, "no %s rows%s\n", v.adjective(f.State), v.nothing(f))
		return nil
	}
	w := tabwriter.NewWriter(v.out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "ID\tSTATE\tRECORD\tCAUSE\tWHAT")
	for _, r := range rows {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", r.ID, r.State, place(r), r.Cause, v.what(r))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if f.Limit > 0 && len(rows) == f.Limit {
		n, err := v.name.Count(ctx, conn, name, f)
		if err != nil {
			return err
		}
		if n > int64(f.Limit) {
			fmt.Fprintf(v.err, "the newest %d of %d; -n 0 lists all, `millstream %s causes` groups them\n", f.Limit, n, v.use)
		}
	}
	return nil
}

func (v *ledgerVerb) adjective(state string) string {
	adjective := map[ledger.Name]string{ledger.Quarantine: "quarantined", ledger.Late: "late"}[v.name]
	if state == "all" {
		return adjective
	}
	return state + " " + adjective
}

// nothing says that there may be others.
func (v *ledgerVerb) nothing(f ledger.Filter) string {
	if f.State == "all" {
		return ""
	}
	return "; --state all shows those that were replayed or dropped, too"
}

func place(r *ledger.Row) string { return fmt.Sprintf("%s %d:%d", r.Table, r.Partition, r.Offset) }

// what tells in a line what is wrong with a row.
func (v *ledgerVerb) what(r *ledger.Row) string {
	if v.name == ledger.Late {
		return fmt.Sprintf("%s window %s to %s, %s late", r.View, at(*r.WindowStart), at(*r.WindowEnd), length(r.LateSeconds))
	}
	where := ""
	switch {
	case r.Path != "":
		where = r.Path + ": "
	case r.Column != "":
		where = r.Column + ": "
	}
	if r.View != "" {
		where = "view " + r.View + ": " + where
	}
	return where + clip(r.Message, 100)
}

func at(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.999999Z07:00") }

func length(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Round(time.Millisecond).String()
}

// clip bounds what a line shows.
func clip(s string, limit int) string {
	s = strings.ReplaceAll(s, "\n", " ")
	if r := []rune(s); len(r) > limit {
		return string(r[:limit-1]) + "…"
	}
	return s
}

func (v *ledgerVerb) causes(ctx context.Context, conn *pgx.Conn, name string, f ledger.Filter) error {
	causes, err := v.name.Causes(ctx, conn, name, f)
	if err != nil {
		return err
	}
	if v.output == "json" {
		return v.printJSON(causes)
	}
	if len(causes) == 0 {
		fmt.Fprintf(v.err, "no %s rows%s\n", v.adjective(f.State), v.nothing(f))
		return nil
	}
	w := tabwriter.NewWriter(v.out, 0, 0, 3, ' ', 0)
	if v.name == ledger.Late {
		fmt.Fprintln(w, "ROWS\tVIEW\tTABLE\tCAUSE\tHALF AT MOST\tWORST\tNEWEST")
		for _, c := range causes {
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%d\n", c.Rows, c.View, c.Table, c.Cause, length(c.MedianSeconds), length(c.MostSeconds), c.NewestID)
		}
		return w.Flush()
	}
	fmt.Fprintln(w, "ROWS\tTABLE\tVIEW\tCAUSE\tCOLUMN\tSQLSTATE\tNEWEST\tITS MESSAGE")
	dash := func(s string) string {
		if s == "" {
			return "-"
		}
		return s
	}
	for _, c := range causes {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", c.Rows, c.Table, dash(c.View), c.Cause, dash(c.Column), dash(c.SQLState), c.NewestID, clip(c.Message, 80))
	}
	return w.Flush()
}

func (v *ledgerVerb) exportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export [FILE]",
		Short: "Write rows as NDJSON, to be mended and given to replay --from",
		Long: `Writes the rows that the flags choose, newest first, one JSON object a line, to FILE
or standard output. Mended lines go back with ` + "`millstream " + v.use + " replay --from FILE`" + `.`,
		Args: usage(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return v.with(cmd, nil, func(ctx context.Context, conn *pgx.Conn, name string, f ledger.Filter) error {
				if len(args) == 0 {
					_, err := v.export(ctx, conn, name, f, v.out)
					return err
				}
				file, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
				if err != nil {
					return usageError{err}
				}
				n, err := v.export(ctx, conn, name, f, file)
				if err = errors.Join(err, file.Close()); err == nil {
					fmt.Fprintf(v.err, "%d rows are in %s\n", n, args[0])
				}
				return err
			})
		},
	}
	v.flags(cmd, false)
	return cmd
}

func (v *ledgerVerb) export(ctx context.Context, conn *pgx.Conn, name string, f ledger.Filter, out io.Writer) (n int, err error) {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	err = v.name.Each(ctx, conn, name, f, func(r *ledger.Row) error {
		n++
		return e.Encode(r)
	})
	return n, err
}
