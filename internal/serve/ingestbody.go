package serve

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// formType is what curl -d says of any body.
const formType = "application/x-www-form-urlencoded"

// splitter chooses by the content type how a body becomes records, most of
// them at most.
func splitter(r *http.Request, t *topic, most int) (func([]byte) ([]bodyRecord, *Problem), *Problem) {
	const hint = "send application/json (an object, or an array of objects), application/x-ndjson (an object per line) or text/csv (with a header line)"
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, problem(http.StatusUnsupportedMediaType, codeMedia, "the content type is missing or not well formed").hint(hint)
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, problem(http.StatusUnsupportedMediaType, codeMedia, "the charset %q is not read", printable(charset)).hint("send UTF-8")
	}
	var split func(body []byte, most int) ([]bodyRecord, *Problem)
	switch media {
	case "application/json":
		split = splitJSON
	case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines":
		split = splitLines
	case "text/csv":
		if strings.EqualFold(params["header"], "absent") {
			return nil, problem(http.StatusUnsupportedMediaType, codeMedia, "CSV without a header line is not read").hint("begin with the names of the columns")
		}
		split = t.splitCSV
	case formType:
		split = splitUntold
	default:
		return nil, problem(http.StatusUnsupportedMediaType, codeMedia, "the content type %q is not read", printable(media)).hint(hint)
	}
	return func(body []byte) ([]bodyRecord, *Problem) { return split(body, most) }, nil
}

// splitUntold splits a body that nobody has called JSON but that may be: as
// JSON where it is one value, else as NDJSON where it begins like it.
func splitUntold(body []byte, most int) ([]bodyRecord, *Problem) {
	switch {
	case json.Valid(body):
		return splitJSON(body, most)
	case bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")):
		return splitLines(body, most)
	}
	return nil, problem(http.StatusUnsupportedMediaType, codeMedia, "the content type is %s, and the body is not JSON either", formType).
		hint("curl -H 'Content-Type: application/json' -d …, or application/x-ndjson for an object per line, or text/csv")
}

// readBody reads and unpacks a body of at most most bytes.
func readBody(w http.ResponseWriter, r *http.Request, most int64) ([]byte, *Problem) {
	tooLarge := problem(http.StatusRequestEntityTooLarge, codeBodySize, "the body is larger than %d bytes", most).hint("send it in parts")
	if r.ContentLength > most {
		return nil, tooLarge
	}
	sent := http.MaxBytesReader(w, r.Body, most)
	unpacked, fault := unpack(r.Header.Get("Content-Encoding"), sent, most)
	if fault != nil {
		return nil, fault
	}
	defer unpacked.Close()
	// One byte more than may be tells that there is more.
	body, err := io.ReadAll(io.LimitReader(unpacked, most+1))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over), int64(len(body)) > most, errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return nil, tooLarge
	case err != nil:
		return nil, problem(http.StatusBadRequest, codeBody, "the body could not be read to its end").hint("nothing was accepted").because(err)
	}
	return body, nil
}

// unpack takes off the content encoding. A small body may unpack to a very
// large one: the caller reads no more than it wants.
func unpack(encoding string, body io.ReadCloser, most int64) (io.ReadCloser, *Problem) {
	bad := func(err error) *Problem {
		return problem(http.StatusBadRequest, codeBody, "the body is not %s", strings.ToLower(encoding)).hint("nothing was accepted").because(err)
	}
	switch strings.ToLower(encoding) {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, bad(err)
		}
		return z, nil
	case "zstd":
		z, err := zstd.NewReader(body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(uint64(most)+1), zstd.WithDecoderMaxWindow(uint64(max(most, zstd.MinWindowSize))))
		if err != nil {
			return nil, bad(err)
		}
		return z.IOReadCloser(), nil
	}
	return nil, problem(http.StatusUnsupportedMediaType, codeMedia, "the content encoding %q is not read", printable(encoding)).hint("send gzip, zstd, or the body as it is")
}
