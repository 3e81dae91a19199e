package otlp

import (
	"encoding/hex"
	"math/rand/v2"
	"time"
)

// TraceID names a trace, SpanID a span of it. They need not be unguessable.
type (
	TraceID [16]byte
	SpanID  [8]byte
)

func (id TraceID) String() string { return hex.EncodeToString(id[:]) }

// NewTraceID makes an identity; it is never all zeros, which would be none.
func NewTraceID() (id TraceID) {
	for id == (TraceID{}) {
		random(id[:])
	}
	return id
}

// NewSpanID makes an identity, likewise.
func NewSpanID() (id SpanID) {
	for id == (SpanID{}) {
		random(id[:])
	}
	return id
}

func random(b []byte) {
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
}

// Sampled tells whether a trace is among the ratio of all that are followed.
// As OpenTelemetry's TraceIdRatioBased it looks at the identity only, so that
// all who see the trace come to the same answer.
func (id TraceID) Sampled(ratio float64) bool {
	var low uint64
	for _, b := range id[8:] {
		low = low<<8 | uint64(b)
	}
	const bound = 1 << 63
	return ratio >= 1 || float64(low>>1) < ratio*bound
}

// Attribute is something that is told of a span. Value is a string, bool,
// int64 or float64.
type Attribute struct {
	Key   string
	Value any
}

// Span is a part of a trace that has ended.
type Span struct {
	Trace      TraceID
	ID, Parent SpanID // Parent is zero for the root
	Name       string
	Start, End time.Time
	Attributes []Attribute
	Error      string // why it failed, empty if it did not
}

const (
	spanKindInternal = 1
	statusError      = 2
	// flagSampled is W3C's flag of a trace that is followed; flagHasRemote says
	// that whether the parent is remote is known, and it is not.
	flagSampled   = 0x1
	flagHasRemote = 0x100
)

// encodeSpans writes an ExportTraceServiceRequest.
func encodeSpans(spans []Span, resource []Attribute, version string) []byte {
	var request message
	request.inner(1, func(rs *message) {
		writeResource(rs, resource)
		rs.inner(2, func(scoped *message) {
			writeScope(scoped, version)
			for i := range spans {
				scoped.inner(2, spans[i].write)
			}
		})
	})
	return request.b
}

func (s *Span) write(m *message) {
	m.bytes(1, s.Trace[:])
	m.bytes(2, s.ID[:])
	if s.Parent != (SpanID{}) {
		m.bytes(4, s.Parent[:])
	}
	m.text(5, s.Name)
	m.varint(6, spanKindInternal)
	m.time(7, s.Start)
	m.time(8, s.End)
	for _, a := range s.Attributes {
		m.attribute(9, a.Key, a.Value)
	}
	if s.Error != "" {
		m.inner(15, func(status *message) {
			status.text(2, s.Error)
			status.varint(3, statusError)
		})
	}
	m.fixed32(16, flagSampled|flagHasRemote)
}

// writeResource writes field 1 of ResourceSpans and ResourceMetrics.
func writeResource(m *message, attributes []Attribute) {
	m.inner(1, func(r *message) {
		for _, a := range attributes {
			r.attribute(1, a.Key, a.Value)
		}
	})
}

// writeScope writes field 1 of ScopeSpans and ScopeMetrics.
func writeScope(m *message, version string) {
	m.inner(1, func(scope *message) {
		scope.text(1, "millstream")
		scope.text(2, version)
	})
}
