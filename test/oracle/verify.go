package oracle

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

// run is one verification.
type run struct {
	options Options
	session *session
	def     *definition
	snap    *snapshot
	loaded  map[int]*loaded // by topic index
	report  *Report
}

// Verify recomputes a pipeline's tables and compares. An error tells that it
// could not be done; what differs is in the report.
func Verify(ctx context.Context, o Options) (*Report, error) {
	if o.MaxDifferences == 0 {
		o.MaxDifferences = DefaultMaxDifferences
	}
	def, err := parseDefinition(o.SQL)
	if err != nil {
		return nil, err
	}
	s, err := openSession(ctx, o.DatabaseURL)
	if err != nil {
		return nil, err
	}
	defer s.close()
	if err := s.exec(ctx, decodeFunctions+nearFunction+bucketFunction); err != nil {
		return nil, err
	}
	r := &run{options: o, session: s, def: def, loaded: map[int]*loaded{}, report: &Report{Pipeline: o.Pipeline}}
	if err := r.all(ctx); err != nil {
		return nil, fmt.Errorf("verify pipeline %s: %w", o.Pipeline, err)
	}
	return r.report, nil
}

func (r *run) all(ctx context.Context) error {
	r.step("read where the pipeline stands")
	var err error
	if r.snap, err = takeSnapshot(ctx, r.session, r.options.Pipeline, r.def); err != nil {
		return err
	}
	r.report.Seq = r.snap.seq
	if r.snap.definition != "" && r.snap.definition != r.options.SQL {
		r.unchecked("the file is not the text that the pipeline was started with: what differs between them shows as differences")
	}
	for _, t := range r.def.topics {
		r.step("read topic " + t.topic)
		opts, err := r.clientOptions(t.server)
		if err != nil {
			return err
		}
		l, err := r.session.load(ctx, t, r.snap.of(t), opts)
		if err != nil {
			return err
		}
		r.loaded[t.index] = l
		r.report.Records += l.records
		for _, lost := range l.lost {
			r.unchecked("topic %s partition %d: Kafka no longer holds offsets %d to %d%s; windows that they may belong to are left out", t.topic, lost.partition, lost.from, lost.to-1, lost.why)
			if l.keyed[lost.partition] {
				r.unchecked("topic %s partition %d: whether a record repeats one of those that Kafka no longer holds, by its idempotency key", t.topic, lost.partition)
			}
		}
		r.step("decode " + t.table)
		for _, f := range []func(context.Context, *topic) error{r.decode, r.loadReplays, r.watermarks, r.checkQuarantine, r.checkPartitions} {
			if err := f(ctx, t); err != nil {
				return fmt.Errorf("%s: %w", t.table, err)
			}
		}
	}
	if err := r.checkReplays(ctx); err != nil {
		return err
	}
	for _, v := range r.def.views {
		r.step("recompute view " + v.name)
		if err := r.verifyView(ctx, v); err != nil {
			return fmt.Errorf("view %s: %w", v.name, err)
		}
	}
	return nil
}

func (r *run) clientOptions(server string) ([]kgo.Opt, error) {
	brokers := r.options.Brokers[server]
	if len(brokers) == 0 {
		brokers = r.def.servers[server]
	}
	if len(brokers) == 0 {
		return nil, fmt.Errorf("no brokers are known for server %q", server)
	}
	opts := []kgo.Opt{kgo.SeedBrokers(brokers...), kgo.ClientID("millstream-verify")}
	if r.options.Client != nil {
		opts = append(opts, r.options.Client(server)...)
	}
	return opts, nil
}

func (r *run) step(what string) {
	if r.options.Progress != nil {
		r.options.Progress(what)
	}
}

func (r *run) unchecked(format string, args ...any) {
	r.report.Unchecked = append(r.report.Unchecked, fmt.Sprintf(format, args...))
}

// differ reports one difference.
func (r *run) differ(view, subject, kind, detail string) {
	r.report.Total++
	same := 0
	for _, d := range r.report.Differences {
		if d.View == view && d.Kind == kind {
			same++
		}
	}
	if same < r.options.MaxDifferences {
		r.report.Differences = append(r.report.Differences, Difference{View: view, Subject: subject, Kind: kind, Detail: detail})
	}
}

// differences reports one difference for each row (subject, detail) of a
// query.
func (r *run) differences(ctx context.Context, view, kind, sql string) error {
	rows, err := r.session.rows(ctx, fmt.Sprintf("SELECT * FROM (%s) AS ms__d LIMIT %d", sql, r.options.MaxDifferences+1))
	if err != nil {
		return err
	}
	if len(rows) <= r.options.MaxDifferences {
		for _, row := range rows {
			r.differ(view, row[0], kind, row[1])
		}
		return nil
	}
	n, err := r.session.count(ctx, fmt.Sprintf("SELECT count(*) FROM (%s) AS ms__d", sql))
	if err != nil {
		return err
	}
	for _, row := range rows[:r.options.MaxDifferences] {
		r.differ(view, row[0], kind, row[1])
	}
	r.report.Total += n - int64(r.options.MaxDifferences)
	return nil
}
