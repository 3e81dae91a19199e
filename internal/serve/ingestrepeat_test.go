package serve

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/millstream-dev/millstream/internal/engine"
)

// TestIdempotencyKey sends bodies again: the same records carry the same
// headers, others do not.
func TestIdempotencyKey(t *testing.T) {
	l := broker(t)
	f := start(t, database(t), func(c *Config) { c.Pipeline, c.Producer = events(), ToKafka(l.Producer) })
	send := func(query, media, body, key string) string {
		return ingestLine(t, f.do("POST", "/v1/topics/raw"+query, strings.NewReader(body), "Content-Type", media, headerRepeat, key))
	}
	for _, tt := range []struct{ query, media, body, key, want string }{
		{"", ndjson, "{\"type\":\"a\"}\n{}\n{\"type\":\"b\"}", "one", "202 2 1; 1 line 2 field $.type 23502 null value in column \"type\" violates not-null constraint"},
		{"", "application/json", `[{"type":"a"},{},{"type":"b"}]`, `"one"`, "202 2 1; 1 line 1 field $.type 23502 null value in column \"type\" violates not-null constraint"},
		{"", ndjson, `{"type":"a"}`, "one", "202 1 0"},
		{"?key=type", ndjson, `{"type":"a"}`, "one", "202 1 0"},
		{"", ndjson, `{"type":"a"}`, strings.Repeat("x", maxRepeatKey+1), "400 MS7006 the header Idempotency-Key is no key (one, of 1 to 200 visible ASCII characters: a UUID, for instance)"},
		{"", ndjson, `{"type":"a"}`, "a b", "400 MS7006 the header Idempotency-Key is no key (one, of 1 to 200 visible ASCII characters: a UUID, for instance)"},
		{"", ndjson, `{"type":"a"}`, `""`, "400 MS7006 the header Idempotency-Key is no key (one, of 1 to 200 visible ASCII characters: a UUID, for instance)"},
	} {
		if diff := cmp.Diff(tt.want, send(tt.query, tt.media, tt.body, tt.key)); diff != "" {
			t.Errorf("%s: %s", tt.body, diff)
		}
	}
	var requests []string
	for _, line := range l.read(t, "raw", 6) {
		_, value, _ := strings.Cut(line, " "+engine.IdempotencyHeader+"=")
		requests = append(requests, value)
	}
	if requests[0] != requests[2] || requests[1] != requests[3] || !strings.HasSuffix(requests[1], "/2") {
		t.Errorf("the same body: %q", requests)
	}
	for _, other := range requests[4:] {
		if !strings.HasPrefix(other, "one/") || other == requests[0] {
			t.Errorf("another body: %q like %q", other, requests[0])
		}
	}
	if requests[4] == requests[5] {
		t.Errorf("another key: %q", requests[5])
	}
}

// TestPackedBodies sends gzip and zstd, some of it cut, wrong, or far larger
// than it looks.
func TestPackedBodies(t *testing.T) {
	l := broker(t)
	f := start(t, database(t), func(c *Config) {
		c.Pipeline, c.Producer = events(), ToKafka(l.Producer)
		c.Ingest = IngestLimits{BodyBytes: 1 << 20, BodyRecords: 3, RecordBytes: 100}
	})
	body := []byte("{\"type\":\"a\"}\n{\"type\":\"" + strings.Repeat("x", 100) + "\"}\n")
	bomb := bytes.Repeat([]byte(" "), 64<<20)
	for _, tt := range []struct {
		name, encoding string
		body           []byte
		want           string
	}{
		{"gzip", "gzip", gzipped(t, body), "202 1 1; 1 line 2 field  MS7204 the record has 111 bytes, at most 100 are taken"},
		{"zstd", "zstd", zstded(t, body), "202 1 1; 1 line 2 field  MS7204 the record has 111 bytes, at most 100 are taken"},
		{"as it is", "identity", body, "202 1 1; 1 line 2 field  MS7204 the record has 111 bytes, at most 100 are taken"},
		{"many records", "", bytes.Repeat([]byte("{}\n"), 4), "413 MS7207 the body has more than 3 records (send it in parts)"},
		{"gzip bomb", "gzip", gzipped(t, bomb), "413 MS7204 the body is larger than 1048576 bytes (send it in parts)"},
		{"zstd bomb", "zstd", zstded(t, bomb), "413 MS7204 the body is larger than 1048576 bytes (send it in parts)"},
		{"cut gzip", "gzip", gzipped(t, body)[:30], "400 MS7203 the body could not be read to its end (nothing was accepted)"},
		{"cut zstd", "zstd", zstded(t, body)[:20], "400 MS7203 the body could not be read to its end (nothing was accepted)"},
		{"no gzip", "gzip", body, "400 MS7203 the body is not gzip (nothing was accepted)"},
		{"no zstd", "zstd", body, "400 MS7203 the body could not be read to its end (nothing was accepted)"},
		{"br", "br", body, `415 MS7202 the content encoding "br" is not read (send gzip, zstd, or the body as it is)`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp := f.do(http.MethodPost, "/v1/topics/raw", bytes.NewReader(tt.body), "Content-Type", ndjson, "Content-Encoding", tt.encoding)
			if diff := cmp.Diff(tt.want, ingestLine(t, resp)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func gzipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zstded(t *testing.T, b []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll(b, nil)
}
