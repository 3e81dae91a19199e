package serve

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/millstream-dev/millstream/internal/serve/apikey"
)

// How old a reading of the keys may be.
const (
	// keysAge is when a newer one is begun, while the old one still counts.
	keysAge = time.Second
	// keysWait is when a request waits for it: a revoked key is refused this
	// long after it was revoked, at the latest.
	keysWait = 5 * time.Second
	// keysAgain is how old it may be for a key that it doesn't have, so that a
	// key works as soon as it is made.
	keysAgain = 100 * time.Millisecond
	// keysStale is how long the last one counts when the database is away.
	keysStale = time.Minute
	// keysTimeout bounds one reading.
	keysTimeout = 3 * time.Second
)

// keyring is the database's keys, as last read.
type keyring struct {
	db  apikey.DB
	log *slog.Logger

	mu      sync.Mutex
	set     *keyset       // nil before the first reading
	reading chan struct{} // closed when the reading under way ends; nil without one
	failed  error         // the last reading's
	tried   time.Time     // when it ended
}

// keyset is one reading. It is never changed.
type keyset struct {
	keys map[string]*apikey.Key // by id
	at   time.Time
}

// get gives a reading that is at most age old, if the database answers; see
// the times above for when it does not, or not yet.
func (k *keyring) get(ctx context.Context, age time.Duration) (*keyset, error) {
	k.mu.Lock()
	set, now := k.set, time.Now()
	if set != nil && now.Sub(set.at) < min(age, keysAge) {
		k.mu.Unlock()
		return set, nil
	}
	reading := k.begin(now)
	k.mu.Unlock()
	if set != nil && now.Sub(set.at) < age {
		return set, nil
	}
	select {
	case <-reading:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.set == nil, k.failed != nil && len(k.set.keys) > 0 && time.Since(k.set.at) > keysStale:
		return nil, fmt.Errorf("read the API keys: %w", k.failed)
	}
	return k.set, nil
}

// begin starts a reading unless one is under way, or has just failed. mu is
// held.
func (k *keyring) begin(now time.Time) <-chan struct{} {
	if k.reading != nil {
		return k.reading
	}
	done := make(chan struct{})
	if k.failed != nil && now.Sub(k.tried) < keysAge {
		close(done)
		return done
	}
	k.reading = done
	go func() { // ends with the statement, or its time
		ctx, cancel := context.WithTimeout(context.Background(), keysTimeout)
		defer cancel()
		at := time.Now()
		list, err := apikey.List(ctx, k.db)
		k.mu.Lock()
		defer k.mu.Unlock()
		if err == nil {
			set := &keyset{map[string]*apikey.Key{}, at}
			for i := range list {
				set.keys[list[i].ID] = &list[i]
			}
			k.set = set
		} else if k.failed == nil {
			k.log.Warn("API keys can't be read", "error", err)
		}
		k.failed, k.tried, k.reading = err, time.Now(), nil
		close(done)
	}()
	return done
}

// find gives the key of a text, nil if there is none like it.
func (k *keyring) find(ctx context.Context, text string) (*apikey.Key, error) {
	id := apikey.ID(text)
	set, err := k.get(ctx, keysWait)
	if err == nil && set.keys[id] == nil {
		set, err = k.get(ctx, keysAgain)
	}
	if err != nil {
		return nil, err
	}
	key, sum := set.keys[id], sha256.Sum256([]byte(text))
	if key == nil || subtle.ConstantTimeCompare(key.Sum[:], sum[:]) != 1 {
		return nil, nil
	}
	return key, nil
}

// usable tells whether a key of the set may be used.
func (s *keyset) usable(now time.Time) bool {
	for _, k := range s.keys {
		if k.Valid(now) {
			return true
		}
	}
	return false
}
