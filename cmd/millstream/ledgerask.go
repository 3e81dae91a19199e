package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/millstream-dev/millstream/internal/pipeline"
	"github.com/millstream-dev/millstream/internal/postgres/ledger"
)

const (
	// defaultWait is how long --wait waits where it does not say.
	defaultWait = "30s"
	// maxEditedLine bounds a line of --from: a payload may have 64 MiB, and
	// JSON escapes take some more.
	maxEditedLine = 128 << 20
	// shownAnswers is how many rows are told of one by one, where all go well.
	shownAnswers = 20
)

// replayFlags are the flags of replay.
type replayFlags struct {
	all           bool
	payload, from string
	edit          bool
	wait          time.Duration
}

func (v *ledgerVerb) replayCommand() *cobra.Command {
	var g replayFlags
	cmd := &cobra.Command{
		Use:   "replay [ID …]",
		Short: "Send rows through again: as they are, or mended",
		Long: `Asks for rows to be sent through again, by id or, with --all, all that the flags
choose. The engine takes them up within a second, in a transaction of their own:
each counts once, at its own event time, whatever crashes meanwhile. Where no engine
runs, they wait for it.

The payload goes as it was, or as --payload, --edit or --from give it. What is still
wrong stays in the ledger, with the new fault.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := g.check(v, args); err != nil {
				return err
			}
			return v.with(cmd, args, func(ctx context.Context, conn *pgx.Conn, name string, f ledger.Filter) error {
				return v.replay(ctx, conn, name, f, &g)
			})
		},
	}
	cmd.Flags().BoolVar(&g.all, "all", false, "all open rows that the other flags choose")
	cmd.Flags().StringVar(&g.payload, "payload", "", "a file with the payload to send instead; -: standard input")
	cmd.Flags().BoolVar(&g.edit, "edit", false, "edit the payload in $EDITOR")
	cmd.Flags().StringVar(&g.from, "from", "", "a file of lines {\"id\": …, \"payload\": …}, as export writes them; -: standard input")
	cmd.Flags().DurationVar(&g.wait, "wait", 0, "wait so long for the engine, and tell what became of them")
	cmd.Flags().Lookup("wait").NoOptDefVal = defaultWait
	v.flags(cmd, false)
	return cmd
}

// check sees to it that the flags and ids fit together.
func (g *replayFlags) check(v *ledgerVerb, ids []string) error {
	some := 0
	for _, given := range []bool{len(ids) > 0, g.all, g.from != ""} {
		if given {
			some++
		}
	}
	one := g.payload != "" || g.edit
	switch {
	case some == 0:
		return usageError{fmt.Errorf("which rows?\n→ millstream %s replay ID …, or --all with what chooses them", v.use)}
	case some > 1:
		return usageError{errors.New("ids, --all and --from exclude each other")}
	case one && len(ids) != 1:
		return usageError{errors.New("--payload and --edit are for one row: give its id; for several there is --from")}
	case g.payload != "" && g.edit:
		return usageError{errors.New("--payload and --edit exclude each other")}
	case g.wait < 0:
		return usageError{fmt.Errorf("--wait %s: say how long, such as 30s", g.wait)}
	}
	return nil
}

func (v *ledgerVerb) replay(ctx context.Context, conn *pgx.Conn, name string, f ledger.Filter, g *replayFlags) error {
	there, spark, err := pipeline.EngineThere(ctx, conn, name)
	if err != nil {
		return err
	}
	if spark {
		return usageError{fmt.Errorf("pipeline %q is run by Spark, which does not take up replays\n→ the native engine does", name)}
	}
	edited, err := v.edited(ctx, conn, name, &f, g)
	if err != nil {
		return err
	}
	answers, err := v.name.Replay(ctx, conn, name, f, edited)
	if err != nil {
		return err
	}
	var asked []int64
	for _, a := range answers {
		if a.Answer == ledger.Asked {
			asked = append(asked, a.Request)
		}
	}
	result := &asking{Answers: answers, Engine: there, Requested: len(asked)}
	if g.wait > 0 && len(asked) > 0 {
		waiting, cancel := context.WithTimeout(ctx, g.wait)
		defer cancel()
		if result.Replays, err = ledger.Wait(waiting, conn, name, asked); err != nil {
			return err
		}
	}
	return v.answer(result, g.wait)
}

// edited gives the payloads to send instead, by the row's id.
func (v *ledgerVerb) edited(ctx context.Context, conn *pgx.Conn, name string, f *ledger.Filter, g *replayFlags) (map[int64][]byte, error) {
	switch {
	case g.payload != "":
		payload, err := v.readFile(g.payload)
		return map[int64][]byte{f.IDs[0]: payload}, err
	case g.edit:
		r, err := v.name.Get(ctx, conn, name, f.IDs[0])
		if err != nil {
			return nil, err
		}
		payload, err := edit(ctx, r)
		return map[int64][]byte{f.IDs[0]: payload}, err
	case g.from != "":
		payloads, err := v.readFrom(g.from)
		f.IDs = []int64{}
		for id := range payloads {
			f.IDs = append(f.IDs, id)
		}
		return payloads, err
	}
	return nil, nil
}

func (v *ledgerVerb) readFile(path string) ([]byte, error) {
	var payload []byte
	var err error
	if path == "-" {
		payload, err = io.ReadAll(v.in)
	} else {
		payload, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, usageError{err}
	}
	return []byte(strings.TrimRight(string(payload), "\r\n")), nil
}

// readFrom reads lines as export writes them.
func (v *ledgerVerb) readFrom(path string) (map[int64][]byte, error) {
	in := v.in
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, usageError{err}
		}
		defer file.Close()
		in = file
	}
	out := map[int64][]byte{}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxEditedLine)
	for n := 1; lines.Scan(); n++ {
		if len(strings.TrimSpace(lines.Text())) == 0 {
			continue
		}
		var row struct {
			ID      int64         `json:"id"`
			Payload *ledger.Bytes `json:"payload"`
		}
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil || row.ID < 1 || row.Payload == nil || *row.Payload == nil {
			return nil, usageError{fmt.Errorf("%s line %d is not {\"id\": …, \"payload\": …}\n→ `millstream %s export` writes such lines", path, n, v.use)}
		}
		if _, twice := out[row.ID]; twice {
			return nil, usageError{fmt.Errorf("%s line %d: row %d is there twice", path, n, row.ID)}
		}
		out[row.ID] = *row.Payload
	}
	if err := lines.Err(); err != nil {
		return nil, usageError{fmt.Errorf("%s: %w", path, err)}
	}
	return out, nil
}

// edit has the payload edited.
func edit(ctx context.Context, r *ledger.Row) ([]byte, error) {
	editor := strings.Fields(os.Getenv("EDITOR"))
	if len(editor) == 0 {
		return nil, usageError{errors.New("EDITOR says no editor\n→ EDITOR=nano, or --payload FILE")}
	}
	if r.Truncated() {
		return nil, usageError{fmt.Errorf("the ledger has the first %d of the payload's %d bytes\n→ give it whole: --payload FILE", len(r.Payload), r.PayloadSize)}
	}
	file, err := os.CreateTemp("", "millstream-*.json")
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name())
	_, err = file.Write(append(append([]byte{}, r.Payload...), '\n'))
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, editor[0], append(editor[1:], file.Name())...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w", editor[0], err)
	}
	text, err := os.ReadFile(file.Name())
	if err != nil {
		return nil, err
	}
	payload := strings.TrimRight(string(text), "\r\n")
	if payload == strings.TrimRight(string(r.Payload), "\r\n") {
		return nil, usageError{errors.New("nothing was edited, so nothing is sent\n→ without --edit it goes as it is")}
	}
	return []byte(payload), nil
}

// asking is what came of a replay or drop.
type asking struct {
	Answers   []ledger.Answer  `json:"rows"`
	Requested int              `json:"requested"`
	Engine    bool             `json:"engine"`            // one is connected
	Replays   []ledger.Request `json:"replays,omitempty"` // with --wait, as they stand
}

// answer tells what came of it: it is an error if nothing could be done for a
// row, or what was waited for has not come out well.
func (v *ledgerVerb) answer(r *asking, wait time.Duration) error {
	if v.output == "json" {
		if err := v.printJSON(r); err != nil {
			return err
		}
	} else {
		v.printAnswers(r, wait)
	}
	failed := 0
	for _, a := range r.Answers {
		if a.Answer == ledger.NotPossible {
			failed++
		}
	}
	refused, waiting := 0, 0
	for _, q := range r.Replays {
		switch q.State {
		case "refused":
			refused++
		case "requested":
			waiting++
		}
	}
	switch {
	case failed > 0:
		return fmt.Errorf("%d of %d rows: not possible", failed, len(r.Answers))
	case refused > 0:
		return fmt.Errorf("%d of %d replays were refused: their rows stay as they are", refused, len(r.Replays))
	case waiting > 0:
		return &pipeline.NotReadyError{What: "the engine", Err: fmt.Errorf("%d replays still wait after %s", waiting, wait)}
	}
	return nil
}

func (v *ledgerVerb) printAnswers(r *asking, wait time.Duration) {
	if len(r.Answers) == 0 {
		fmt.Fprintln(v.err, "no such rows: nothing is asked for")
		return
	}
	replays := map[int64]*ledger.Request{}
	for i := range r.Replays {
		replays[r.Replays[i].ID] = &r.Replays[i]
	}
	for i, a := range r.Answers {
		q := replays[a.Request]
		fine := a.Answer == ledger.Done || a.Answer == ledger.Asked && (q == nil || q.State == "applied")
		if i >= shownAnswers && fine {
			continue
		}
		switch {
		case q != nil && a.Answer == ledger.Asked:
			fmt.Fprintf(v.out, "%d: replay %s\n", a.ID, said(q))
			for _, f := range q.Fates() {
				fmt.Fprintf(v.out, "   %s\n", told(f))
			}
		case a.Answer == ledger.Asked:
			fmt.Fprintf(v.out, "%d: replay %d is asked for\n", a.ID, a.Request)
		case a.Answer == ledger.Done:
			fmt.Fprintf(v.out, "%d: dropped\n", a.ID)
		case a.Answer == ledger.Already:
			fmt.Fprintf(v.out, "%d: nothing to do: %s\n", a.ID, a.Detail)
		default:
			fmt.Fprintf(v.out, "%d: %s: %s\n", a.ID, a.Answer, a.Detail)
		}
	}
	if n := len(r.Answers); n > shownAnswers {
		fmt.Fprintf(v.out, "%d rows in all, %d replays asked for\n", n, r.Requested)
	}
	if r.Requested > 0 && !r.Engine && wait == 0 {
		fmt.Fprintln(v.err, "no engine runs: it takes them up when it is started")
	}
}

func (v *ledgerVerb) dropCommand() *cobra.Command {
	var all bool
	var reason string
	cmd := &cobra.Command{
		Use:   "drop [ID …]",
		Short: "Put rows aside for good, with a reason",
		Long: `Marks rows as dropped, by id or, with --all, all that the flags choose. They stay in
the ledger, since counts are compared with it, and no longer appear among the open
ones. A replay by its id takes a dropped row up again.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 0 && !all:
				return usageError{fmt.Errorf("which rows?\n→ millstream %s drop ID … --reason TEXT, or --all with what chooses them", v.use)}
			case len(args) > 0 && all:
				return usageError{errors.New("ids and --all exclude each other")}
			case strings.TrimSpace(reason) == "":
				return usageError{errors.New("why? Whoever looks for the rows later wants to know\n→ --reason TEXT")}
			}
			return v.with(cmd, args, func(ctx context.Context, conn *pgx.Conn, name string, f ledger.Filter) error {
				answers, err := v.name.Drop(ctx, conn, name, f, reason)
				if err != nil {
					return err
				}
				return v.answer(&asking{Answers: answers}, 0)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "all open rows that the other flags choose")
	cmd.Flags().StringVar(&reason, "reason", "", "why; it is kept with them")
	v.flags(cmd, false)
	return cmd
}
