package engine

import (
	"unicode/utf8"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/plan"
)

// fillMeta sets the metadata columns that somebody reads.
func (d *tableDecoder) fillMeta(part *partition, chunk *Chunk) {
	out := &d.out
	base := len(d.topic.Columns)
	for m := range plan.MetaCount {
		if !d.needed[base+int(m)] {
			continue
		}
		v := out.batch.Cols[base+int(m)]
		v.Reset(plan.MetaColumns[m].Type, out.batch.N)
		switch m {
		case plan.MetaTopic:
			v.Buf = append(v.Buf, chunk.Partition.Topic...)
			for i := range out.records {
				v.Span[i] = column.Span{Length: uint32(len(chunk.Partition.Topic))}
			}
		case plan.MetaPartition:
			for i := range out.records {
				v.Int[i] = int64(part.partition)
			}
		case plan.MetaOffset:
			copy(v.Int, out.offsets)
		case plan.MetaTimestamp:
			for i := range out.records {
				v.Int[i] = out.records[i].Timestamp + column.UnixEpochMicros
			}
		case plan.MetaKey:
			for i := range out.records {
				setText(v, i, out.records[i].Key)
			}
		case plan.MetaHeaders:
			var scratch []byte
			for i := range out.records {
				scratch = setHeaders(v, i, out.records[i].Headers, scratch)
			}
		}
	}
}

// setText sets value i to bytes of unknown making: NULL when there are none,
// and when PostgreSQL's text could not hold them (not UTF-8, or with a NUL).
func setText(v *column.Vector, i int, b []byte) {
	if b == nil || !storable(b) {
		v.Null[i] = true
		return
	}
	v.SetBytes(i, b)
}

func storable(b []byte) bool {
	for _, c := range b {
		if c == 0 {
			return false
		}
	}
	return utf8.Valid(b)
}

// setHeaders sets value i to the headers as a jsonb object; a value that text
// can't hold is null, of repeated names the last counts.
func setHeaders(v *column.Vector, i int, headers []Header, scratch []byte) []byte {
	if len(headers) == 0 {
		v.SetString(i, "{}")
		return scratch
	}
	scratch = append(scratch[:0], '{')
	for k, h := range headers {
		if k > 0 {
			scratch = append(scratch, ',')
		}
		name := []byte(h.Key)
		if !storable(name) {
			name = []byte("?")
		}
		scratch = appendJSONString(scratch, name)
		scratch = append(scratch, ':')
		if h.Value == nil || !storable(h.Value) {
			scratch = append(scratch, "null"...)
		} else {
			scratch = appendJSONString(scratch, h.Value)
		}
	}
	scratch = append(scratch, '}')
	start := len(v.Buf)
	buf, err := datum.JSONBFromText(v.Buf, scratch)
	if err != nil {
		v.Null[i] = true
		return scratch
	}
	v.Buf = buf
	v.FinishBytes(i, start)
	return scratch
}

// appendJSONString appends s, which is valid UTF-8, as a JSON string.
func appendJSONString(dst, s []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
