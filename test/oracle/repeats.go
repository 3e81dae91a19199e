package oracle

import (
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// The rule for repeated records, as docs/api.md tells it: the header's value
// is REQUEST/INDEX; a partition knows a request until the greatest timestamp of
// records with a key is a day beyond what it was at the request's first record,
// or a million others have come after it.
const (
	repeatHeader   = "millstream-idempotency-key"
	repeatWindow   = 24 * time.Hour
	repeatRequests = 1_000_000
)

// repeats follows one partition.
type repeats struct {
	latest time.Time
	order  []*repeatRequest // those that are known, oldest first
	known  map[string]*repeatRequest
	keyed  bool // some record has a key
}

type repeatRequest struct {
	name  string
	since time.Time
	seen  map[string]bool
}

// has tells whether a record is the repeat of one before it.
func (p *repeats) has(r *kgo.Record) bool {
	value := ""
	for _, h := range r.Headers {
		if h.Key == repeatHeader {
			value = string(h.Value)
			break
		}
	}
	if value == "" {
		return false
	}
	p.keyed = true
	name, index := value, "0"
	if at := strings.LastIndex(value, "/"); at > 0 {
		if n, err := strconv.ParseUint(value[at+1:], 10, 32); err == nil {
			name, index = value[:at], strconv.FormatUint(n, 10)
		}
	}
	if r.Timestamp.After(p.latest) {
		p.latest = r.Timestamp
	}
	for len(p.order) > 0 && (p.latest.Sub(p.order[0].since) >= repeatWindow || len(p.order) > repeatRequests) {
		if old := p.order[0]; p.known[old.name] == old {
			delete(p.known, old.name)
		}
		p.order = p.order[1:]
	}
	q := p.known[name]
	if q == nil {
		q = &repeatRequest{name, p.latest, map[string]bool{}}
		if p.known == nil {
			p.known = map[string]*repeatRequest{}
		}
		p.known[name] = q
		p.order = append(p.order, q)
	}
	if q.seen[index] {
		return true
	}
	q.seen[index] = true
	return false
}
