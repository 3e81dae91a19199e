package otlp

import (
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// message is a protobuf message being written. Fields are named where they
// are used, by opentelemetry-proto's numbers.
type message struct{ b []byte }

func (m *message) text(field protowire.Number, s string) {
	if s != "" {
		m.b = protowire.AppendString(protowire.AppendTag(m.b, field, protowire.BytesType), s)
	}
}

func (m *message) bytes(field protowire.Number, v []byte) {
	m.b = protowire.AppendBytes(protowire.AppendTag(m.b, field, protowire.BytesType), v)
}

func (m *message) varint(field protowire.Number, v uint64) {
	m.b = protowire.AppendVarint(protowire.AppendTag(m.b, field, protowire.VarintType), v)
}

func (m *message) fixed(field protowire.Number, v uint64) {
	m.b = protowire.AppendFixed64(protowire.AppendTag(m.b, field, protowire.Fixed64Type), v)
}

func (m *message) fixed32(field protowire.Number, v uint32) {
	m.b = protowire.AppendFixed32(protowire.AppendTag(m.b, field, protowire.Fixed32Type), v)
}

func (m *message) double(field protowire.Number, v float64) { m.fixed(field, math.Float64bits(v)) }

func (m *message) time(field protowire.Number, t time.Time) {
	m.fixed(field, uint64(t.UnixNano()))
}

// packed writes a list of 8 bytes each.
func (m *message) packed(field protowire.Number, n int, at func(i int) uint64) {
	m.b = protowire.AppendTag(m.b, field, protowire.BytesType)
	m.b = protowire.AppendVarint(m.b, uint64(8*n))
	for i := range n {
		m.b = protowire.AppendFixed64(m.b, at(i))
	}
}

// inner writes a message within this one.
func (m *message) inner(field protowire.Number, write func(*message)) {
	var in message
	write(&in)
	m.bytes(field, in.b)
}

// attribute writes a KeyValue. A value is a string, bool, int64 or float64.
func (m *message) attribute(field protowire.Number, key string, value any) {
	m.inner(field, func(kv *message) {
		kv.text(1, key)
		kv.inner(2, func(v *message) {
			switch value := value.(type) {
			case string:
				v.bytes(1, []byte(value))
			case bool:
				v.varint(2, protowire.EncodeBool(value))
			case int64:
				v.varint(3, uint64(value))
			case float64:
				v.double(4, value)
			}
		})
	})
}
