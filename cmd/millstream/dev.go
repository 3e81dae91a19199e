package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/spf13/cobra"

	"github.com/millstream-dev/millstream/internal/pipeline"
)

const (
	// devFolder keeps dev's data, beside the pipeline file.
	devFolder = ".millstream"
	// saveQuiet is how long a file must be left alone before it is read:
	// editors write in several steps.
	saveQuiet = 100 * time.Millisecond
)

func (a *app) devCommand() *cobra.Command {
	var noOpen bool
	cmd := &cobra.Command{
		Use:   "dev FILE",
		Short: "Run on the local stack, and apply the file again each time it is saved",
		Long: `Like run --local, with the data kept in .millstream/ beside the file. Each time the
file is saved it is checked and applied: a changed view is built anew from the
log. While the file has errors, the last good version goes on running.`,
		Args: fileArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.load(cmd); err != nil {
				return err
			}
			a.config.Local.Enabled = true
			if a.config.Local.Data == "" {
				a.config.Local.Data = filepath.Join(filepath.Dir(args[0]), devFolder)
			}
			return a.dev(cmd.Context(), args[0])
		},
	}
	settingsFlags(cmd)
	a.outputFlag(cmd)
	noOpenFlag(cmd, &noOpen)
	return cmd
}

func (a *app) dev(ctx context.Context, path string) (err error) {
	saved, stopWatching, err := watch(path)
	if err != nil {
		return err
	}
	defer stopWatching()
	stack, err := a.stack(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stack.Close()) }()
	d := &devLoop{app: a, path: path, stack: stack, saved: saved}
	return d.run(ctx)
}

// devLoop runs the last good version of a file until a better one is saved.
type devLoop struct {
	app   *app
	path  string
	stack *pipeline.Stack
	saved <-chan struct{}
	good  *pipeline.Definition // the last one that ran
	// anyPort: nobody has said where the API is to answer.
	anyPort bool
}

func (d *devLoop) run(ctx context.Context) error {
	next, err := d.load()
	if err != nil {
		d.app.report(err)
		fmt.Fprintf(d.app.err, "  waiting for %s to be saved\n", d.path)
	}
	for ctx.Err() == nil {
		if next == nil {
			if next = d.await(ctx); next == nil {
				continue
			}
		}
		if next, err = d.serve(ctx, next); err != nil {
			return err
		}
	}
	return nil
}

func (d *devLoop) load() (*pipeline.Definition, error) {
	return d.app.definition(d.path)
}

// await waits for a version that can be run; nil when ctx has ended or the
// saved one can't.
func (d *devLoop) await(ctx context.Context) *pipeline.Definition {
	select {
	case <-ctx.Done():
		return nil
	case <-d.saved:
	}
	def, err := d.load()
	if err != nil {
		d.app.report(err)
		return nil
	}
	return def
}

// open opens a version. While none answered, another program may have got the
// port: where nobody asked for that one, the next free one does.
func (d *devLoop) open(ctx context.Context, def *pipeline.Definition) (*pipeline.Pipeline, error) {
	o := pipeline.Options{Definition: def, Config: &d.app.config.Config, Stack: d.stack, Logger: d.app.log, Rebuild: true}
	p, err := pipeline.Open(ctx, o)
	if d.anyPort && d.good != nil && errors.Is(err, syscall.EADDRINUSE) {
		d.app.config.Serve.Listen = ""
		if p, err = pipeline.Open(ctx, o); err == nil {
			d.app.config.Serve.Listen = p.Server.Addr()
			fmt.Fprintf(d.app.err, "! another program has taken the API's port: it now answers at %s\n", p.Addresses().API)
		}
	}
	return p, err
}

// serve runs a version until another is saved, which it gives. A version
// that can't be deployed gives way to the last good one.
func (d *devLoop) serve(ctx context.Context, def *pipeline.Definition) (*pipeline.Definition, error) {
	began := time.Now()
	p, err := d.open(ctx, def)
	if err != nil {
		if ctx.Err() != nil {
			return nil, nil
		}
		d.app.report(err)
		if d.good == nil || d.good == def {
			fmt.Fprintf(d.app.err, "  waiting for %s to be saved\n", d.path)
			return nil, nil
		}
		fmt.Fprintln(d.app.err, "  the version before goes on")
		return d.good, nil
	}
	defer p.Close()
	remove := d.app.note(p)
	defer remove()
	runCtx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- p.Run(runCtx) }()
	if d.good == nil {
		// The address stays when the file is applied again.
		d.anyPort, d.app.config.Serve.Listen = d.app.config.Serve.Listen == "", p.Server.Addr()
		<-d.app.announce(ctx, p, d.stack)
	} else {
		fmt.Fprintf(d.app.err, "✓ applied %s in %d ms\n", d.path, time.Since(began).Milliseconds())
	}
	d.good = def
	for {
		select {
		case err := <-ended:
			return nil, err
		case <-d.saved:
		}
		next, err := d.load()
		if err != nil {
			d.app.report(err)
			continue
		}
		if next.Plan.Text == def.Plan.Text {
			continue
		}
		stop()
		return next, <-ended
	}
}

// watch tells when a file, or a file of a folder, was saved.
func watch(path string) (<-chan struct{}, func(), error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, nil, fmt.Errorf("watch %s: %w", path, err)
	}
	// The folder is watched, since editors replace files.
	for _, dir := range []string{path, filepath.Dir(path)} {
		if err = w.Add(dir); err != nil {
			_ = w.Close()
			return nil, nil, fmt.Errorf("watch %s: %w", dir, err)
		}
	}
	saved := make(chan struct{}, 1)
	go func() {
		quiet := time.NewTimer(0)
		<-quiet.C
		defer quiet.Stop()
		for {
			select {
			case e, ok := <-w.Events:
				if !ok {
					return
				}
				if filepath.Ext(e.Name) == ".sql" && !e.Has(fsnotify.Chmod) {
					quiet.Reset(saveQuiet)
				}
			case <-quiet.C:
				select {
				case saved <- struct{}{}:
				default:
				}
			case _, ok := <-w.Errors: // events that were lost: the next save tells again
				if !ok {
					return
				}
			}
		}
	}()
	return saved, func() { _ = w.Close() }, nil
}
