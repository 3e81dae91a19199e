package workload

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/bits"
	"time"

	"github.com/jackc/pgx/v5"
)

// Workload is one query over one topic.
type Workload interface {
	// Name is what tables of results call it, "Y" or "U 1M zipf".
	Name() string
	// Kind is the query's letter: Y, S, U, or G for those that show growth.
	Kind() string
	// Append appends event i as JSON.
	Append(dst []byte, i int64) []byte
	// Setup makes what the query needs in a fresh database beside the topic.
	Setup(ctx context.Context, db *pgx.Conn) error
	// Pipeline is the file that the product runs on a topic.
	Pipeline(topic string) string
	// Table is what the result's table is called.
	Table() string
	// Check compares the table with what the first n events must give.
	Check(ctx context.Context, db *pgx.Conn, n int64) error
}

// Clock says when events happen: event i at Start + i·Step.
type Clock struct {
	Start time.Time
	Step  time.Duration
}

// At gives the time of event i in Unix milliseconds.
func (c Clock) At(i int64) int64 {
	return c.Start.UnixMilli() + i*int64(c.Step)/int64(time.Millisecond)
}

// CatchUp begins in the past, with 10 ms of event time for each event.
func CatchUp(step time.Duration) Clock {
	return Clock{Start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Step: step}
}

// mix is a hash of 64 bits: the finalizer of splitmix64, which is a bijection.
// http://prng.di.unimi.it/splitmix64.c
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// draw gives random number k of event i.
func draw(seed uint64, i int64, k uint64) uint64 {
	return mix(seed ^ uint64(i)*0xd1342543de82ef95 ^ k<<56)
}

// below scales a random number to [0, n).
func below(random uint64, n int64) int64 {
	hi, _ := bits.Mul64(random, uint64(n))
	return int64(hi)
}

// hex8 gives the eight digits of x, first digit in the highest byte.
func hex8(x uint32) uint64 {
	const ones = 0x0101010101010101
	v := uint64(x)
	v = (v<<16 | v) & 0x0000ffff0000ffff
	v = (v<<8 | v) & 0x00ff00ff00ff00ff
	v = (v<<4 | v) & 0x0f0f0f0f0f0f0f0f
	letters := (v + 6*ones) >> 4 & ones // 1 where the digit is above 9
	return v + '0'*ones + letters*('a'-'0'-10)
}

// appendUUID appends 16 random bytes as a UUID of version 4.
func appendUUID(dst []byte, hi, lo uint64) []byte {
	hi = hi&^0xf000 | 0x4000
	lo = lo&^(0xc<<60) | 0x8<<60
	n := len(dst)
	dst = append(dst, "00000000-0000-0000-0000-000000000000"...)
	p := dst[n : n+36 : n+36]
	a, b, c, d := hex8(uint32(hi>>32)), hex8(uint32(hi)), hex8(uint32(lo>>32)), hex8(uint32(lo))
	binary.BigEndian.PutUint64(p, a)
	binary.BigEndian.PutUint32(p[9:], uint32(b>>32))
	binary.BigEndian.PutUint32(p[14:], uint32(b))
	binary.BigEndian.PutUint32(p[19:], uint32(c>>32))
	binary.BigEndian.PutUint32(p[24:], uint32(c))
	binary.BigEndian.PutUint64(p[28:], d)
	return dst
}

// appendTime appends Unix milliseconds as RFC 3339 in UTC. The calendar is
// Howard Hinnant's: https://howardhinnant.github.io/date_algorithms.html
func appendTime(dst []byte, milli int64) []byte {
	days, rest := milli/86_400_000, milli%86_400_000
	z := days + 719_468 // days since 0000-03-01
	era := z / 146_097
	doe := z % 146_097
	yoe := (doe - doe/1460 + doe/36_524 - doe/146_096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	day := doy - (153*mp+2)/5 + 1
	month := mp + 3
	year := yoe + era*400
	if month > 12 {
		month -= 12
		year++
	}
	two := func(n int64, after byte) { dst = append(dst, byte('0'+n/10), byte('0'+n%10), after) }
	dst = append(dst, byte('0'+year/1000), byte('0'+year/100%10))
	two(year%100, '-')
	two(month, '-')
	two(day, 'T')
	two(rest/3_600_000, ':')
	two(rest/60_000%60, ':')
	two(rest/1000%60, '.')
	return append(dst, byte('0'+rest%1000/100), byte('0'+rest%100/10), byte('0'+rest%10), 'Z')
}

// differences collects the first rows that are not as they must be.
type differences struct {
	first []string
	n     int64
}

// shownDifferences is how many are told.
const shownDifferences = 3

func (d *differences) add(format string, args ...any) {
	if d.n++; d.n <= shownDifferences {
		d.first = append(d.first, fmt.Sprintf(format, args...))
	}
}

func (d *differences) err(table string) error {
	if d.n == 0 {
		return nil
	}
	return fmt.Errorf("table %s is wrong in %d rows: %q", table, d.n, d.first)
}
