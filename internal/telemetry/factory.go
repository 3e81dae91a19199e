package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Family is a metric as it is declared.
type Family struct {
	Name, Help string
	Type       string   // counter, gauge, histogram or summary
	Labels     []string // besides pipeline, where it is Millstream's
}

// Families are all metrics that a process of Millstream has, declared ones
// and those of Go's runtime and of the process.
func Families() []Family {
	m := NewMetrics("", "")
	all := append([]Family(nil), m.families...)
	known := map[string]bool{}
	for _, f := range all {
		known[f.Name] = true
	}
	others, err := m.registry.Gather()
	if err != nil {
		return all // what can't be gathered can't be watched either
	}
	for _, f := range others {
		if !known[f.GetName()] {
			all = append(all, Family{Name: f.GetName(), Help: f.GetHelp(), Type: typeNames[f.GetType().String()]})
		}
	}
	return all
}

var typeNames = map[string]string{"COUNTER": "counter", "GAUGE": "gauge", "HISTOGRAM": "histogram", "SUMMARY": "summary", "UNTYPED": "gauge"}

// factory registers metrics as it makes them, and notes what it made.
type factory struct {
	r    prometheus.Registerer
	made *[]Family
}

func register[C prometheus.Collector](f factory, c C, name, help, kind string, labels ...string) C {
	f.r.MustRegister(c)
	*f.made = append(*f.made, Family{name, help, kind, labels})
	return c
}

func (f factory) counter(name, help string) prometheus.Counter {
	return register(f, prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help}), name, help, "counter")
}

func (f factory) counterVec(name, help string, labels ...string) *prometheus.CounterVec {
	return register(f, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels), name, help, "counter", labels...)
}

func (f factory) gauge(name, help string) prometheus.Gauge {
	return register(f, prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help}), name, help, "gauge")
}

func (f factory) gaugeVec(name, help string, labels ...string) *prometheus.GaugeVec {
	return register(f, prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels), name, help, "gauge", labels...)
}

func (f factory) histogram(name, help string, buckets []float64) prometheus.Histogram {
	return register(f, prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}), name, help, "histogram")
}

func (f factory) histogramVec(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return register(f, prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels), name, help, "histogram", labels...)
}
