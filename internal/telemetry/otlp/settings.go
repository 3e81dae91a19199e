package otlp

import (
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Defaults of OpenTelemetry's specification, in its unit where it has one.
const (
	defaultTimeout  = 10 * time.Second
	defaultInterval = time.Minute
)

// Signal is what is sent where, how and how long it may take.
type Signal struct {
	URL         string // empty: it is not sent
	Headers     map[string]string
	Compress    bool // gzip
	Timeout     time.Duration
	CAFile      string
	CertFile    string
	KeyFile     string
	description string // "traces" or "metrics"
}

// Settings say what is sent and where.
type Settings struct {
	Traces, Metrics Signal
	// Ratio is the part of the epochs that are followed, 0 to 1.
	Ratio float64
	// Interval is the time between two reports of the metrics.
	Interval time.Duration
	// Resource are attributes of what reports.
	Resource map[string]string
}

// On tells whether anything is sent.
func (s Settings) On() bool { return s.Traces.URL != "" || s.Metrics.URL != "" }

// Base is what is set under Millstream's own names; OpenTelemetry's more
// special variables win.
type Base struct {
	Endpoint string // without the signal's path; empty: OTEL_… alone decide
	Headers  string // name=value, separated by commas, values percent-encoded
	Ratio    float64
}

// Read reads the settings from OpenTelemetry's variables.
func Read(base Base, getenv func(string) string) (Settings, error) {
	e := &environment{get: getenv}
	out := Settings{Ratio: e.ratio(base.Ratio), Interval: e.milliseconds("OTEL_METRIC_EXPORT_INTERVAL", defaultInterval), Resource: e.resource()}
	out.Traces, out.Metrics = e.signal(base, "traces"), e.signal(base, "metrics")
	if e.err != nil {
		return Settings{}, e.err
	}
	return out, nil
}

// environment reads variables and keeps the first thing that is wrong.
type environment struct {
	get func(string) string
	err error
}

func (e *environment) fail(name, format string, args ...any) {
	if e.err == nil {
		e.err = fmt.Errorf("%s: %s", name, fmt.Sprintf(format, args...))
	}
}

// first gives the value and the name of the first variable that is set.
func (e *environment) first(names ...string) (value, name string) {
	for _, name := range names {
		if v := strings.TrimSpace(e.get(name)); v != "" {
			return v, name
		}
	}
	return "", names[0]
}

func (e *environment) signal(base Base, signal string) Signal {
	upper := strings.ToUpper(signal)
	special := func(what string) string { return "OTEL_EXPORTER_OTLP_" + upper + "_" + what }
	s := Signal{description: signal}
	if strings.EqualFold(e.get("OTEL_SDK_DISABLED"), "true") || !e.exported("OTEL_"+upper+"_EXPORTER") {
		return s
	}
	own, name := e.first(special("ENDPOINT"))
	switch {
	case own != "":
		s.URL = own
	case base.Endpoint != "":
		s.URL, name = strings.TrimRight(base.Endpoint, "/")+"/v1/"+signal, "OTEL_EXPORTER_OTLP_ENDPOINT"
	default:
		return s
	}
	if err := CheckURL(s.URL); err != nil {
		e.fail(name, "%v", err)
	}
	if protocol, name := e.first(special("PROTOCOL"), "OTEL_EXPORTER_OTLP_PROTOCOL"); protocol != "" && protocol != "http/protobuf" {
		e.fail(name, "%q is not spoken here: http/protobuf is, which collectors take on port 4318", protocol)
	}
	s.Headers = e.headers("OTEL_EXPORTER_OTLP_HEADERS", base.Headers)
	maps.Copy(s.Headers, e.headers(special("HEADERS"), e.get(special("HEADERS"))))
	compression, name := e.first(special("COMPRESSION"), "OTEL_EXPORTER_OTLP_COMPRESSION")
	if s.Compress = compression == "gzip"; !s.Compress && compression != "" && compression != "none" {
		e.fail(name, "%q is neither gzip nor none", compression)
	}
	_, name = e.first(special("TIMEOUT"), "OTEL_EXPORTER_OTLP_TIMEOUT")
	s.Timeout = e.milliseconds(name, defaultTimeout)
	s.CAFile, _ = e.first(special("CERTIFICATE"), "OTEL_EXPORTER_OTLP_CERTIFICATE")
	s.CertFile, _ = e.first(special("CLIENT_CERTIFICATE"), "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE")
	s.KeyFile, _ = e.first(special("CLIENT_KEY"), "OTEL_EXPORTER_OTLP_CLIENT_KEY")
	return s
}

// exported tells whether a signal's list of exporters has otlp, which is the
// default.
func (e *environment) exported(name string) bool {
	list := e.get(name)
	return list == "" || slices.ContainsFunc(strings.Split(list, ","), func(s string) bool { return strings.TrimSpace(s) == "otlp" })
}

// CheckURL tells what is wrong with a collector's address.
func CheckURL(v string) error {
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%q is not an address such as http://localhost:4318", v)
	}
	return nil
}

// headers reads a list of HTTP headers; it does not repeat values, which may
// be keys.
func (e *environment) headers(name, list string) map[string]string {
	out := map[string]string{}
	for _, pair := range strings.Split(list, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		key, value, ok := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if key = strings.TrimSpace(key); !ok || key == "" || err != nil {
			e.fail(name, "it is a list of name=value, separated by commas, with values percent-encoded")
			break
		}
		out[key] = value
	}
	return out
}

func (e *environment) milliseconds(name string, otherwise time.Duration) time.Duration {
	v := strings.TrimSpace(e.get(name))
	if v == "" {
		return otherwise
	}
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil || n < 1 {
		e.fail(name, "%q is not a number of milliseconds", v)
		return otherwise
	}
	return time.Duration(n) * time.Millisecond
}

// ratio is what the standard sampler says, or else what we do. An epoch has no
// parent, so that the samplers which ask it come to their root.
func (e *environment) ratio(otherwise float64) float64 {
	const name, argument = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"
	switch sampler := strings.TrimPrefix(strings.TrimSpace(e.get(name)), "parentbased_"); sampler {
	case "":
		return otherwise
	case "always_on":
		return 1
	case "always_off":
		return 0
	case "traceidratio":
		v := strings.TrimSpace(e.get(argument))
		if v == "" {
			return 1
		}
		r, err := strconv.ParseFloat(v, 64)
		if err != nil || math.IsNaN(r) || r < 0 || r > 1 {
			e.fail(argument, "%q is not a number from 0 to 1", v)
		}
		return r
	default:
		e.fail(name, "%q is none of always_on, always_off, traceidratio", sampler)
		return otherwise
	}
}

// resource reads the attributes that the variables give.
func (e *environment) resource() map[string]string {
	const name = "OTEL_RESOURCE_ATTRIBUTES"
	out := e.headers(name, e.get(name))
	if service := strings.TrimSpace(e.get("OTEL_SERVICE_NAME")); service != "" {
		out["service.name"] = service
	}
	return out
}
