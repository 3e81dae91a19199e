package pipeline

import (
	"time"

	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/serve"
)

// keptSamples is how many samples are kept, one for each lagEvery: what the
// dashboard shows of the past.
const keptSamples = 15 * 60

// series are the samples of the last minutes. It is guarded by its monitor.
type series struct {
	next    serve.Sample // that is being gathered
	began   time.Time
	ends    int64 // of all partitions at the last sample; -1 before the first
	samples []serve.Sample
}

// add takes a commit into the sample that is being gathered.
func (s *series) add(n *sample, c *serve.CommitStatus, late, refused int64) {
	s.next.Records += n.records
	s.next.Bytes += n.bytes
	s.next.Rows += n.rows
	s.next.Late += late
	s.next.Quarantined += refused
	s.next.Commits++
	if s.next.StepSeconds == nil {
		s.next.StepSeconds = map[string]float64{}
	}
	for step, seconds := range c.StepSeconds {
		s.next.StepSeconds[step] += seconds
	}
}

// cut ends the sample that is being gathered and begins the next.
func (s *series) cut(now time.Time, topics []serve.TopicStatus) *serve.Sample {
	n := s.next
	number := n.Number + 1
	n.Number, n.At, n.Seconds = number, now, now.Sub(s.began).Seconds()
	ends := int64(0)
	for _, t := range topics {
		n.LagRecords += t.LagRecords
		n.LagSeconds = max(n.LagSeconds, t.LagSeconds)
		for _, p := range t.Partitions {
			ends += p.End
		}
	}
	if s.ends > 0 {
		n.Read = max(0, ends-s.ends)
	}
	s.next, s.began, s.ends = serve.Sample{Number: number}, now, ends
	s.samples = append(s.samples, n)
	if len(s.samples) > keptSamples {
		s.samples = s.samples[1:]
	}
	return &s.samples[len(s.samples)-1]
}

// sampleSecond ends a sample.
func (p *Pipeline) sampleSecond(s *engine.Status, topics []serve.TopicStatus) {
	now := time.Now()
	var views []serve.ViewSample
	for _, v := range s.Views {
		view := serve.ViewSample{Name: p.Plan.Views[v.View].Name, OpenWindows: v.OpenWindows, StateGroups: v.OpenGroups, StateBytes: v.StateBytes}
		if at := eventTime(v.Watermark); at != nil {
			gap := now.Sub(*at).Seconds()
			view.WatermarkGapSeconds = &gap
		}
		views = append(views, view)
	}
	m := p.monitor
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.series.began.IsZero() {
		m.series.began = m.started
	}
	m.series.cut(now, topics).Views = append([]serve.ViewSample{}, views...)
}

// Samples gives the samples after a number, for the API.
func (p *Pipeline) Samples(after int64) []serve.Sample {
	m := p.monitor
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.series.samples
	first := len(all)
	for first > 0 && all[first-1].Number > after {
		first--
	}
	return append([]serve.Sample(nil), all[first:]...)
}
