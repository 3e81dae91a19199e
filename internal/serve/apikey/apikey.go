// Package apikey is the keys of the HTTP API that a database holds: how they
// look, how they are kept, what each allows.
//
//	ms_ k7wq2m5xza _ 4CZ6RS2KQ7DMJ4ZL5WAVN3XO2Y
//	    id           secret, 130 random bits
//
// Invariants:
//
//  1. The text of a key leaves this package once, from Create. What is stored,
//     listed and compared is its SHA-256: the secret has more bits than can be
//     tried, so a quick hash does.
//  2. A revoked key stays in the table, so that a database whose last key was
//     revoked still asks for one.
//
// An error of the database is given on as it is; ErrNone and ErrTaken are the
// caller's own.
package apikey

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Scope is one thing that a key allows; Scopes are several.
type Scope uint8

// The scopes. None includes another.
const (
	Ingest Scope = 1 << iota // write records to topics
	Read                     // read tables, status, streams
	Admin                    // see payloads that were refused, replay, change what runs
	All    = Ingest | Read | Admin
)

// names are the scopes' names, in the order of their bits.
var names = []string{"ingest", "read", "admin"}

// Has tells whether all scopes of want are among s.
func (s Scope) Has(want Scope) bool { return s&want == want }

// Names gives the names of the scopes that s has.
func (s Scope) Names() []string {
	list := []string{}
	for i, name := range names {
		if s.Has(1 << i) {
			list = append(list, name)
		}
	}
	return list
}

func (s Scope) String() string { return strings.Join(s.Names(), ",") }

// ParseScopes reads names of scopes.
func ParseScopes(list []string) (s Scope, err error) {
	for _, text := range list {
		one := scopeOf(strings.TrimSpace(text))
		if one == 0 {
			return 0, fmt.Errorf("there is no scope %q: a key has some of %s", text, strings.Join(names, ", "))
		}
		s |= one
	}
	if s == 0 {
		return 0, fmt.Errorf("a key needs a scope: some of %s", strings.Join(names, ", "))
	}
	return s, nil
}

func scopeOf(name string) Scope {
	for i, n := range names {
		if n == name {
			return 1 << i
		}
	}
	return 0
}

// Key is what is known of a key: everything but the key itself.
type Key struct {
	ID      string
	Name    string
	Sum     [sha256.Size]byte // of the key's text
	Scopes  Scope
	Rate    float64 // requests per second; 0: the server's setting
	Created time.Time
	Expires time.Time // zero: never
	Revoked time.Time // zero: not
}

// Valid tells whether the key may be used.
func (k *Key) Valid(now time.Time) bool {
	return k.Revoked.IsZero() && (k.Expires.IsZero() || now.Before(k.Expires))
}

// Prefix begins every key, so that people and scanners know one when they see
// it.
const Prefix = "ms_"

const idBytes = 10

// ID gives the id in a key's text, "" if it is not a key's.
func ID(text string) string {
	rest, ok := strings.CutPrefix(text, Prefix)
	if !ok || len(rest) <= idBytes+1 || rest[idBytes] != '_' {
		return ""
	}
	return rest[:idBytes]
}

// Errors of the caller.
var (
	ErrNone  = errors.New("there is no such key")
	ErrTaken = errors.New("there is a key of that name")
)

// DB runs statements: a connection or a pool.
type DB interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Create makes a key of k's name, scopes, rate and expiry, and gives its text:
// the only time that it is seen.
func Create(ctx context.Context, db DB, k Key) (text string, made Key, err error) {
	k.ID = strings.ToLower(rand.Text()[:idBytes])
	text = Prefix + k.ID + "_" + rand.Text()
	k.Sum = sha256.Sum256([]byte(text))
	err = db.QueryRow(ctx, `INSERT INTO millstream.api_keys (id, name, sha256, scopes, rate, expires_at)
		VALUES ($1, $2, $3, $4, nullif($5, 0::double precision), $6) RETURNING created_at`,
		k.ID, k.Name, k.Sum[:], k.Scopes.Names(), k.Rate, nullable(k.Expires)).Scan(&k.Created)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.ConstraintName == "api_keys_name" {
		return "", Key{}, ErrTaken
	}
	return text, k, err
}

func nullable(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// maxKeys bounds what List gives: a server holds all keys in memory.
const maxKeys = 100_000

// List gives the keys, oldest first. A database without the table has none.
func List(ctx context.Context, db DB) ([]Key, error) {
	rows, err := db.Query(ctx, `SELECT id, name, sha256, scopes, coalesce(rate, 0), created_at, expires_at, revoked_at
		FROM millstream.api_keys ORDER BY created_at, id LIMIT $1`, maxKeys)
	if err != nil {
		return none(err)
	}
	keys, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return none(err)
	}
	return keys, nil
}

// none makes the absence of the table an empty list.
func none(err error) ([]Key, error) {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42P01" {
		return nil, nil
	}
	return nil, err
}

func scan(row pgx.CollectableRow) (k Key, err error) {
	var sum []byte
	var scopes []string
	var expires, revoked *time.Time
	if err = row.Scan(&k.ID, &k.Name, &sum, &scopes, &k.Rate, &k.Created, &expires, &revoked); err != nil {
		return k, err
	}
	copy(k.Sum[:], sum)
	if expires != nil {
		k.Expires = *expires
	}
	if revoked != nil {
		k.Revoked = *revoked
	}
	k.Scopes, err = ParseScopes(scopes)
	return k, err
}

// Revoke ends a key, named by its id or name, and gives it. An id goes before
// a name that is like it.
func Revoke(ctx context.Context, db DB, which string) (k Key, err error) {
	err = db.QueryRow(ctx, `UPDATE millstream.api_keys SET revoked_at = clock_timestamp()
		WHERE id = (SELECT id FROM millstream.api_keys WHERE (id = $1 OR name = $1) AND revoked_at IS NULL ORDER BY id <> $1 LIMIT 1)
		RETURNING id, name, revoked_at`, which).Scan(&k.ID, &k.Name, &k.Revoked)
	var pg *pgconn.PgError
	if errors.Is(err, pgx.ErrNoRows) || errors.As(err, &pg) && pg.Code == "42P01" {
		return k, ErrNone
	}
	return k, err
}
