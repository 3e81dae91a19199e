package otlp

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// maxQueue is how many traces wait to be sent: some seconds of the busiest
	// pipeline, a few megabytes.
	maxQueue = 256
	// maxBatch is how many spans one request holds at most, about: a trace is
	// not divided.
	maxBatch = 2048
	// batchDelay is how long traces are gathered before they are sent, as long
	// as OpenTelemetry's own exporters do.
	batchDelay = 5 * time.Second
)

// The outcomes that Config.Count is told of.
const (
	Sent    = "sent"
	Failed  = "failed"
	Dropped = "dropped"
)

// Config is what an exporter is made from.
type Config struct {
	Settings
	Version  string
	Gatherer prometheus.Gatherer // what metrics are sent of
	Log      *slog.Logger
	// Count counts requests and dropped traces by signal and outcome.
	Count func(signal, outcome string)
}

// Exporter sends traces and metrics. Trace may be called by anybody; the rest
// belongs to its goroutines, which Stop ends.
type Exporter struct {
	config   Config
	resource []Attribute
	started  time.Time
	queue    chan []Span

	stopping chan struct{} // closed by Stop
	stop     sync.Once
	last     context.Context // of what is sent after that
	ended    sync.WaitGroup
}

// New starts an exporter. It does not wait for the collector.
func New(c Config) (*Exporter, error) {
	e := &Exporter{config: c, started: time.Now(), queue: make(chan []Span, maxQueue), stopping: make(chan struct{})}
	for _, key := range slices.Sorted(maps.Keys(c.Resource)) {
		e.resource = append(e.resource, Attribute{key, c.Resource[key]})
	}
	var traces, metrics *client
	var err error
	if c.Traces.URL != "" {
		if traces, err = newClient(c.Traces, c.Version); err != nil {
			return nil, err
		}
	}
	if c.Metrics.URL != "" {
		if metrics, err = newClient(c.Metrics, c.Version); err != nil {
			return nil, err
		}
	}
	if traces != nil {
		e.ended.Go(func() { e.sendTraces(traces) })
	}
	if metrics != nil {
		e.ended.Go(func() { e.sendMetrics(metrics) })
	}
	return e, nil
}

// Tracing tells whether traces are sent.
func (e *Exporter) Tracing() bool { return e.config.Traces.URL != "" && e.config.Ratio > 0 }

// Follow gives an identity for a trace that is to be followed; ok is false for
// those that are not.
func (e *Exporter) Follow() (id TraceID, ok bool) {
	id = NewTraceID()
	return id, id.Sampled(e.config.Ratio)
}

// Trace takes a trace's spans; nobody changes them afterwards.
func (e *Exporter) Trace(spans []Span) {
	select {
	case e.queue <- spans:
	default:
		e.config.Count("traces", Dropped)
	}
}

// Stop sends what is left, until ctx ends, and ends the goroutines. It may be
// called twice; Trace must not be called afterwards.
func (e *Exporter) Stop(ctx context.Context) {
	e.stop.Do(func() {
		e.last = ctx
		close(e.stopping)
	})
	e.ended.Wait()
}

// untilStopped is a context that ends with Stop's.
func (e *Exporter) untilStopped() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-e.stopping:
		case <-ctx.Done():
			return
		}
		select {
		case <-e.last.Done():
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

func (e *Exporter) sendTraces(c *client) {
	defer c.close()
	ctx, cancel := e.untilStopped()
	defer cancel()
	r := reporter{exporter: e, signal: "traces"}
	for batch := e.gather(); len(batch) > 0; batch = e.gather() {
		r.told(c.send(ctx, encodeSpans(batch, e.resource, e.config.Version)))
	}
}

// gather waits for traces, and for more of them for a while; it gives none
// when the exporter stops and none is left.
func (e *Exporter) gather() (batch []Span) {
	select {
	case batch = <-e.queue:
	case <-e.stopping:
		select {
		case batch = <-e.queue:
		default:
			return nil
		}
	}
	delay := time.NewTimer(batchDelay)
	defer delay.Stop()
	for len(batch) < maxBatch {
		select {
		case spans := <-e.queue:
			batch = append(batch, spans...)
		case <-delay.C:
			return batch
		case <-e.stopping:
			select {
			case spans := <-e.queue:
				batch = append(batch, spans...)
			default:
				return batch
			}
		}
	}
	return batch
}

func (e *Exporter) sendMetrics(c *client) {
	defer c.close()
	ctx, cancel := e.untilStopped()
	defer cancel()
	r := reporter{exporter: e, signal: "metrics"}
	tick := time.NewTicker(e.config.Interval)
	defer tick.Stop()
	for stopping := false; !stopping; {
		select {
		case <-tick.C:
		case <-e.stopping:
			stopping = true // the last word: what a process counted in the end
		}
		families, err := e.config.Gatherer.Gather()
		if err != nil {
			e.config.Log.Warn("some metrics can't be gathered", "error", err)
		}
		r.told(c.send(ctx, encodeMetrics(families, e.resource, e.config.Version, e.started, time.Now())))
	}
}

// reporter counts outcomes, and logs when they change.
type reporter struct {
	exporter *Exporter
	signal   string
	failing  bool
}

func (r *reporter) told(err error) {
	c := &r.exporter.config
	outcome := Sent
	if err != nil {
		outcome = Failed
	}
	c.Count(r.signal, outcome)
	switch {
	case err != nil && !r.failing:
		c.Log.Warn("the OpenTelemetry collector does not take "+r.signal+"; they are lost until it does", "error", err)
	case err == nil && r.failing:
		c.Log.Warn("the OpenTelemetry collector takes " + r.signal + " again")
	}
	r.failing = err != nil
}
