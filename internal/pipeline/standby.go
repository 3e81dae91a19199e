package pipeline

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/millstream-dev/millstream/internal/config"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/postgres"
	"github.com/millstream-dev/millstream/internal/serve"
	"github.com/millstream-dev/millstream/internal/version"
)

// ErrStoodBy is what Open gives when it is told to end while it stands by:
// nothing was left undone.
var ErrStoodBy = errors.New("told to end while standing by")

// role tells which part a process plays. It is read by requests while Open and
// Run write it.
type role struct {
	leads  atomic.Bool // engine and store are there, and stay
	leader atomic.Pointer[seenLeader]
}

// seenLeader is what a standby has last seen.
type seenLeader struct {
	who postgres.Leader
	err error // why it could not look
}

// standBy waits until no other process runs the pipeline. Meanwhile the API
// answers: for itself what is about itself, and passes on the rest.
//
// Nothing is written before the lease is held: a definition that could not be
// deployed is refused now, while somebody is there to read it.
func (p *Pipeline) standBy(ctx context.Context, cluster string) error {
	if err := p.DB.Matches(ctx, p.Plan, cluster); err != nil {
		return err
	}
	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	p.Metrics.Standby(true)
	defer p.Metrics.Standby(false)
	go p.watchParts(watching)
	p.startServing(ctx)
	ended := make(chan struct{})
	began := time.Now()
	waiting, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if p.Server != nil {
		go func() { // ends with the server, at the latest by Close
			select {
			case err := <-p.served:
				p.served <- err
				cancel(fmt.Errorf("the API has stopped: %w", err))
			case <-ended:
			}
		}()
		defer close(ended)
	}
	err := p.lease.Await(waiting, p.sawLeader)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return ErrStoodBy
	default:
		return err
	}
	if seen := p.role.leader.Load(); seen != nil {
		p.opts.Logger.Warn("this process takes the pipeline over: nobody else holds its lease",
			"pipeline", p.Name, "after", seen.who.String(), "stood_by", time.Since(began).Round(time.Millisecond).String())
	}
	return nil
}

// takeOverPause is between attempts to take over while the database is away.
const takeOverPause = 200 * time.Millisecond

// takeOver makes the engine ready, the lease being held. What has ended the
// leader may have taken the database's connections with it, so this process
// does not end for the lack of them: there may be nobody else left.
func (p *Pipeline) takeOver(ctx context.Context, cluster string) error {
	for {
		err := p.openEngine(ctx, cluster)
		if err == nil || postgres.Classify(err) != postgres.TryAgain {
			return err
		}
		if ctx.Err() != nil {
			return ErrStoodBy
		}
		p.opts.Logger.Warn("can't take the pipeline over yet; it is tried again", "pipeline", p.Name, "error", err)
		select {
		case <-time.After(takeOverPause):
		case err := <-p.lease.Lost():
			return err
		case <-ctx.Done():
			return ErrStoodBy
		}
	}
}

// sawLeader takes what a look at the lease has shown.
func (p *Pipeline) sawLeader(who postgres.Leader, err error) {
	first := p.role.leader.Swap(&seenLeader{who, err}) == nil
	if p.Server != nil {
		p.Server.StandBy(who.API)
	}
	if !first {
		return
	}
	p.opts.Logger.Info("standing by", "pipeline", p.Name, "for", who.String(), "api", who.API)
	if p.opts.OnStandby != nil {
		p.opts.OnStandby(p, who.String())
	}
}

// standingBy tells whom the process waits for; ok is false for one that leads,
// or is about to.
func (p *Pipeline) standingBy() (seen seenLeader, ok bool) {
	if p.role.leads.Load() {
		return seen, false
	}
	if s := p.role.leader.Load(); s != nil {
		seen = *s
	}
	return seen, true
}

// standbyStatus is what GET /v1/pipeline gives of a process that stands by.
func (p *Pipeline) standbyStatus(seen seenLeader) serve.PipelineStatus {
	out := serve.PipelineStatus{
		Name: p.Name, Version: version.Version, State: "standby", StartedAt: p.monitor.started, Generation: seen.who.Generation,
		Reason:  "waits for the lease of " + seen.who.String(),
		Commits: []serve.CommitStatus{}, Topics: []serve.TopicStatus{}, Views: []serve.ViewStatus{},
	}
	if seen.err != nil {
		out.Reason = "can't ask for the lease: " + seen.err.Error()
	}
	return out
}

// standbyHealth is well as long as the process could take over.
func (p *Pipeline) standbyHealth(seen seenLeader) serve.Check {
	if seen.err != nil {
		return serve.Check{Part: "standby", Reason: "can't ask for the lease: " + seen.err.Error()}
	}
	return serve.Check{Part: "standby", OK: true, Reason: "stands by for " + seen.who.String()}
}

// advertise tells those who stand by where this process' API answers. Without
// it they answer by themselves what needs no engine, so a failure is no reason
// to end.
func (p *Pipeline) advertise(ctx context.Context) {
	api := p.opts.Config.Serve.Advertise
	if api == "" && p.Server != nil {
		if host, _, err := net.SplitHostPort(p.Server.Addr()); err == nil && !net.ParseIP(host).IsUnspecified() {
			api = p.Addresses().API
		}
	}
	if err := p.lease.Advertise(ctx, api); err != nil && ctx.Err() == nil {
		p.opts.Logger.Warn("processes that stand by won't find this one's API", "error", err)
	}
}

// runEngine runs the engine while the lease is held, and gives it back at once
// when the engine has ended, so that who stands by need not wait for the rest.
func (p *Pipeline) runEngine(ctx context.Context) error {
	running, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan struct{})
	deposed := make(chan error, 1)
	go func() {
		select {
		case err := <-p.lease.Lost():
			deposed <- err
			cancel(fmt.Errorf("%w: %w", err, engine.ErrAbandon))
		case <-ended:
		}
	}()
	err := p.Engine.Run(running)
	close(ended)
	p.store.Close()
	p.lease.Release()
	select {
	case err := <-deposed:
		return err
	default:
		return err
	}
}

// startServing lets the API answer, once.
func (p *Pipeline) startServing(ctx context.Context) {
	if p.Server == nil || p.served != nil {
		return
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	p.served, p.stopServing = make(chan error, 1), stop
	go func() { p.served <- p.serve(serving) }()
}

// checkStandby refuses settings that make no sense for a process that waits.
func checkStandby(o *Options) error {
	switch {
	case !o.Standby:
	case o.Stack != nil:
		return &diag.Diagnostic{Code: config.CodeSetting, Message: "--standby waits at a database that several processes share, and --local brings one of its own",
			Hint: "name the shared one by --database-url, or leave out --standby"}
	case o.Config.Engine.UntilEnd:
		return &diag.Diagnostic{Code: config.CodeSetting, Message: "--standby waits for as long as another engine runs, and --until-end is to end by itself", Hint: "leave one of them out"}
	}
	return nil
}
