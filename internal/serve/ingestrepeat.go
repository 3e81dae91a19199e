package serve

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"

	"github.com/millstream-dev/millstream/internal/engine"
)

// headerRepeat names a request, so that it can be sent again.
const headerRepeat = "Idempotency-Key"

// maxRepeatKey is the longest such name: each record carries it.
const maxRepeatKey = 200

// repeatKey reads the name, which the header's specification writes in quotes
// and many clients do not.
func repeatKey(r *http.Request) (string, error) {
	values := r.Header.Values(headerRepeat)
	if len(values) == 0 {
		return "", nil
	}
	key := strings.TrimSpace(values[0])
	if n := len(key); n >= 2 && key[0] == '"' && key[n-1] == '"' {
		key = key[1 : n-1]
	}
	bad := strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' })
	if len(values) > 1 || key == "" || len(key) > maxRepeatKey || bad {
		return "", badOption(headerRepeat, "the header %s is no key", headerRepeat).hint("one, of 1 to %d visible ASCII characters: a UUID, for instance", maxRepeatKey)
	}
	return key, nil
}

// stamp gives each record of a body the header by which the engine tells
// repeats. A body that differs from the one that was sent before under the
// same key is another request: none of its records are taken for repeats.
func (o *options) stamp(parts []bodyRecord) {
	if o.repeat == "" {
		return
	}
	sum := sha256.New()
	var length [8]byte
	for i := range parts {
		key := o.key(parts[i].value)
		for _, b := range [][]byte{key, parts[i].value} {
			binary.BigEndian.PutUint64(length[:], uint64(len(b)))
			sum.Write(length[:])
			sum.Write(b)
		}
	}
	o.request = o.repeat + "/" + hex.EncodeToString(sum.Sum(nil)[:8]) + "/"
}

// recordHeaders are the headers of a body's record.
func (o *options) recordHeaders(index int) []engine.Header {
	if o.request == "" {
		return o.headers
	}
	value := strconv.AppendInt([]byte(o.request), int64(index), 10)
	return append(o.headers[:len(o.headers):len(o.headers)], engine.Header{Key: engine.IdempotencyHeader, Value: value})
}
