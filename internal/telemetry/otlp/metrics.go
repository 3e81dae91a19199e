package otlp

import (
	"math"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protowire"
)

// cumulative: a counter tells all since it began, as Prometheus' do.
const cumulative = 2

// encodeMetrics writes an ExportMetricsServiceRequest of what a registry has
// gathered. Names are those of /metrics. start is when counters began that do
// not say so themselves.
func encodeMetrics(families []*dto.MetricFamily, resource []Attribute, version string, start, now time.Time) []byte {
	var request message
	request.inner(1, func(rm *message) {
		writeResource(rm, resource)
		rm.inner(2, func(scoped *message) {
			writeScope(scoped, version)
			for _, f := range families {
				scoped.inner(2, func(m *message) { writeFamily(m, f, start, now) })
			}
		})
	})
	return request.b
}

func writeFamily(m *message, f *dto.MetricFamily, start, now time.Time) {
	m.text(1, f.GetName())
	m.text(2, f.GetHelp())
	m.text(3, unit(f.GetName()))
	points := func(data *message, point func(*message, *dto.Metric)) {
		for _, sample := range f.GetMetric() {
			data.inner(1, func(p *message) { point(p, sample) })
		}
	}
	switch f.GetType() {
	case dto.MetricType_COUNTER:
		m.inner(7, func(sum *message) {
			points(sum, func(p *message, s *dto.Metric) {
				began := start
				if t := s.GetCounter().GetCreatedTimestamp(); t != nil {
					began = t.AsTime()
				}
				writeNumber(p, s, s.GetCounter().GetValue(), began, now)
			})
			sum.varint(2, cumulative)
			sum.varint(3, 1) // it only grows
		})
	case dto.MetricType_HISTOGRAM:
		m.inner(9, func(h *message) {
			points(h, func(p *message, s *dto.Metric) { writeHistogram(p, s, start, now) })
			h.varint(2, cumulative)
		})
	case dto.MetricType_SUMMARY:
		m.inner(11, func(all *message) {
			points(all, func(p *message, s *dto.Metric) { writeSummary(p, s, start, now) })
		})
	default:
		m.inner(5, func(g *message) {
			points(g, func(p *message, s *dto.Metric) {
				v := s.GetGauge().GetValue()
				if s.Untyped != nil {
					v = s.GetUntyped().GetValue()
				}
				writeNumber(p, s, v, time.Time{}, now)
			})
		})
	}
}

func writeNumber(p *message, s *dto.Metric, value float64, start, now time.Time) {
	writeLabels(p, 7, s)
	if !start.IsZero() {
		p.time(2, start)
	}
	p.time(3, now)
	p.double(4, value)
}

// writeHistogram makes buckets that count up, as Prometheus' do, ones that
// count by themselves.
func writeHistogram(p *message, s *dto.Metric, start, now time.Time) {
	h := s.GetHistogram()
	if t := h.GetCreatedTimestamp(); t != nil {
		start = t.AsTime()
	}
	var bounds []float64
	var counts []uint64
	below := uint64(0)
	for _, b := range h.GetBucket() {
		if math.IsInf(b.GetUpperBound(), 1) {
			break
		}
		bounds = append(bounds, b.GetUpperBound())
		counts = append(counts, b.GetCumulativeCount()-below)
		below = b.GetCumulativeCount()
	}
	counts = append(counts, h.GetSampleCount()-below)
	writeLabels(p, 9, s)
	p.time(2, start)
	p.time(3, now)
	p.fixed(4, h.GetSampleCount())
	p.double(5, h.GetSampleSum())
	p.packed(6, len(counts), func(i int) uint64 { return counts[i] })
	p.packed(7, len(bounds), func(i int) uint64 { return math.Float64bits(bounds[i]) })
}

func writeSummary(p *message, s *dto.Metric, start, now time.Time) {
	v := s.GetSummary()
	writeLabels(p, 7, s)
	p.time(2, start)
	p.time(3, now)
	p.fixed(4, v.GetSampleCount())
	p.double(5, v.GetSampleSum())
	for _, q := range v.GetQuantile() {
		p.inner(6, func(at *message) {
			at.double(1, q.GetQuantile())
			at.double(2, q.GetValue())
		})
	}
}

func writeLabels(p *message, field protowire.Number, s *dto.Metric) {
	for _, l := range s.GetLabel() {
		p.attribute(field, l.GetName(), l.GetValue())
	}
}

// unit is the unit that a metric's name ends with, as UCUM writes it.
func unit(name string) string {
	name = strings.TrimSuffix(name, "_total")
	switch {
	case strings.HasSuffix(name, "_seconds"):
		return "s"
	case strings.HasSuffix(name, "_bytes"):
		return "By"
	}
	return ""
}
