package serve

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// spool is the way of an answer's body to the socket. It holds back up to
// spoolBytes: an answer that ends there gets its length and an ETag, and can
// be answered with 304; a longer one is streamed.
type spool struct {
	w         http.ResponseWriter
	control   *http.ResponseController
	buf       []byte
	streaming bool
	status    int
	pace      pace
	// admit is asked before an answer streams: it then holds its connection as
	// long as the client takes. nil: nobody is.
	admit func() error
}

func newSpool(w http.ResponseWriter) *spool {
	return &spool{w: w, control: http.NewResponseController(w), status: http.StatusOK, pace: pace{patience: writeTimeout}}
}

// full tells that buf is to be written now.
func (s *spool) full() bool { return len(s.buf) >= spoolBytes }

// stream sends what is in buf as a part of an answer that goes on.
func (s *spool) stream() error {
	if !s.streaming && s.admit != nil {
		if err := s.admit(); err != nil {
			return err
		}
	}
	return s.write()
}

// write sends what is in buf, in pieces that each have a time limit.
func (s *spool) write() error {
	if !s.streaming {
		s.streaming = true
		s.w.WriteHeader(s.status)
	}
	for rest := s.buf; len(rest) > 0; {
		now := time.Now()
		if err := s.control.SetWriteDeadline(s.pace.deadline(now)); err != nil {
			return err
		}
		n, err := s.w.Write(rest[:min(len(rest), writeBytes)])
		if err != nil {
			return err
		}
		s.pace.took(n, now)
		rest = rest[n:]
	}
	s.buf = s.buf[:0]
	return nil
}

// finish sends the rest; of an answer that was held back as a whole, with
// ETag and length, or only the word that it has not changed.
func (s *spool) finish(r *http.Request) error {
	if s.streaming {
		if err := s.write(); err != nil {
			return err
		}
		return s.control.Flush()
	}
	sum := sha256.Sum256(s.buf)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	h := s.w.Header()
	h.Set("ETag", tag)
	if matches(r.Header.Values("If-None-Match"), tag) {
		h.Del("Content-Type")
		s.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Length", strconv.Itoa(len(s.buf)))
	if r.Method == http.MethodHead {
		return nil
	}
	return s.write()
}

// matches compares an ETag with If-None-Match, weakly.
func matches(header []string, tag string) bool {
	for part := range strings.SplitSeq(strings.Join(header, ","), ",") {
		part = strings.TrimPrefix(strings.TrimSpace(part), "W/")
		if part == tag || part == "*" {
			return true
		}
	}
	return false
}
