package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/millstream-dev/millstream/internal/pipeline"
)

// ready is the line that programs read with -o json.
type ready struct {
	API       string `json:"api"`
	Dashboard string `json:"dashboard"`
	Kafka     string `json:"kafka"`
	Postgres  string `json:"postgres"`
	Data      string `json:"data"`
	Standby   bool   `json:"standby,omitempty"`
}

// announce prints banner or ready line once the engine fetches and the API
// answers. The channel is closed when that is done or the context ended.
func (a *app) announce(ctx context.Context, p *pipeline.Pipeline, stack *pipeline.Stack) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-p.Engine.Running():
		case <-p.Done():
			return
		case <-ctx.Done():
			return
		}
		addresses := p.Addresses()
		r := ready{
			API: addresses.API, Dashboard: addresses.API + "/", Kafka: addresses.Kafka,
			Postgres: addresses.Postgres, Data: a.dataFolder(stack),
		}
		switch {
		case a.output == "json":
			line, _ := json.Marshal(r) // strings only
			fmt.Fprintf(a.out, "%s\n", line)
		case !a.config.Log.Quiet:
			banner(a.out, p, stack, r, addresses.Admin)
		}
	}()
	return done
}

// announceStandby prints one line, or the ready line, of a process that waits:
// its API answers from now on, and goes on answering when it takes over.
func (a *app) announceStandby(p *pipeline.Pipeline, leader string) {
	addresses := p.Addresses()
	switch {
	case a.output == "json":
		line, _ := json.Marshal(ready{ // strings and a bool
			API: addresses.API, Dashboard: addresses.API + "/", Kafka: addresses.Kafka, Postgres: addresses.Postgres, Standby: true,
		})
		fmt.Fprintf(a.out, "%s\n", line)
	case !a.config.Log.Quiet:
		fmt.Fprintf(a.out, "\n  millstream · %s stands by for %s\n\n  API   %s\n\n", p.Name, leader, addresses.API)
	}
}

// dataFolder is where the local stack's data lives: the folder that was asked
// for, or the database's temporary one (the broker then keeps to memory).
func (a *app) dataFolder(stack *pipeline.Stack) string {
	switch {
	case stack == nil:
		return ""
	case a.config.Local.Data != "":
		if abs, err := filepath.Abs(a.config.Local.Data); err == nil {
			return abs
		}
		return a.config.Local.Data
	}
	return stack.Postgres.Dir()
}

// banner tells where everything is, and three commands to paste next.
func banner(w io.Writer, p *pipeline.Pipeline, stack *pipeline.Stack, r ready, admin string) {
	topic, table := firstTopic(p), firstTable(p)
	fmt.Fprintf(w, "\n  millstream · %s\n\n", p.Name)
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintf(t, "  API\t%s\n  Kafka\t%s\n  PostgreSQL\t%s\n", r.API, r.Kafka, r.Postgres)
	if r.Data != "" {
		fmt.Fprintf(t, "  Data\t%s\n", r.Data)
	}
	if admin != "" {
		fmt.Fprintf(t, "  Metrics\t%s/metrics\n", admin)
	}
	_ = t.Flush()
	fmt.Fprintln(w)
	if table != "" {
		fmt.Fprintf(w, "  curl '%s/v1/tables/%s?limit=5'\n", r.API, table)
	}
	if topic != "" {
		file := ""
		if _, err := os.Stat(p.Path()); err == nil {
			file = " " + p.Path()
		}
		fmt.Fprintf(w, "  millstream produce%s --sample --topic %s --count 1000\n", file, topic)
	}
	if stack != nil {
		fmt.Fprintf(w, "  psql '%s'\n", r.Postgres)
	} else {
		fmt.Fprintf(w, "  millstream verify %s\n", p.Path())
	}
	fmt.Fprintln(w)
}

func firstTopic(p *pipeline.Pipeline) string {
	if len(p.Plan.Topics) == 0 {
		return ""
	}
	return p.Plan.Topics[0].Topic
}

func firstTable(p *pipeline.Pipeline) string {
	if len(p.Plan.Views) == 0 {
		return ""
	}
	return p.Plan.Views[0].Name
}

// isTerminal tells whether w is a terminal that shows progress.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && !strings.EqualFold(os.Getenv("TERM"), "dumb")
}

func newByteBar(w io.Writer, what string) *progressbar.ProgressBar {
	return progressbar.NewOptions64(1, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what),
		progressbar.OptionShowBytes(true), progressbar.OptionClearOnFinish())
}
