package contender

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/bench/workload"
)

// The tables are the product's: same columns, key and fill factor.
const (
	yahooTable = `CREATE TABLE IF NOT EXISTS campaign_counts (
    campaign_id text COLLATE "C" NOT NULL, window_start timestamptz NOT NULL, views int8, last_view timestamptz,
    UNIQUE NULLS NOT DISTINCT (campaign_id, window_start)) WITH (fillfactor = 70)`
	skeletonTable = `CREATE TABLE IF NOT EXISTS processed_data (
    "timestamp" timestamptz NOT NULL, type text COLLATE "C" NOT NULL, value float8, events int8,
    UNIQUE NULLS NOT DISTINCT ("timestamp", type)) WITH (fillfactor = 70)`
	updatesTable = `CREATE TABLE IF NOT EXISTS totals (
    key int8 NOT NULL, n int8, total int8, greatest int4, UNIQUE NULLS NOT DISTINCT (key)) WITH (fillfactor = 70)`
)

// windowBits is the room of a window's number in a key.
const windowBits = 40

// yahooQuery counts views per campaign and window.
type yahooQuery struct {
	window    int64 // milliseconds
	ads       *adTable
	campaigns []string
}

func newYahooQuery(window time.Duration) *yahooQuery {
	if window == 0 {
		window = workload.YahooWindow
	}
	return &yahooQuery{window: window.Milliseconds()}
}

func (q *yahooQuery) layout() *layout {
	return newLayout(member{"user_id", false, none}, member{"page_id", false, none}, member{"ad_id", false, 0},
		member{"ad_type", false, none}, member{"event_type", false, 1}, member{"event_time", false, 2}, member{"ip_address", false, none})
}

func (q *yahooQuery) prepare(ctx context.Context, db *pgx.Conn, state *counters) error {
	if _, err := db.Exec(ctx, yahooTable); err != nil {
		return err
	}
	rows, err := db.Query(ctx, "SELECT ad_id, campaign_id FROM ads")
	if err != nil {
		return err
	}
	numbers := map[string]uint32{}
	q.ads = newAdTable()
	var ad, campaign string
	if _, err := pgx.ForEachRow(rows, []any{&ad, &campaign}, func() error {
		n, ok := numbers[campaign]
		if !ok {
			n = uint32(len(q.campaigns))
			numbers[campaign] = n
			q.campaigns = append(q.campaigns, campaign)
		}
		return q.ads.put(ad, n)
	}); err != nil {
		return fmt.Errorf("read the table of ads: %w", err)
	}
	rows, err = db.Query(ctx, "SELECT campaign_id, window_start, views, last_view FROM campaign_counts")
	if err != nil {
		return err
	}
	var start, last time.Time
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&campaign, &start, &n, &last}, func() error {
		c := state.at(uint64(numbers[campaign])<<windowBits | uint64(start.UnixMilli()/q.window))
		c.n, c.max, c.written = n, last.UnixMilli(), true
		return nil
	})
	return err
}

func (q *yahooQuery) add(t *counters, v *values) error {
	if string(v[1]) != "view" {
		return nil
	}
	campaign, ok := q.ads.find(v[0])
	if !ok {
		return nil // an inner join
	}
	at, err := strconv.ParseInt(string(v[2]), 10, 64)
	if err != nil {
		return fmt.Errorf("event_time: %w", err)
	}
	c := t.at(uint64(campaign)<<windowBits | uint64(at/q.window))
	c.n++
	c.max = max(c.max, at)
	return nil
}

func (q *yahooQuery) split(c *counter) (campaign string, start int64) {
	key := c.realKey()
	return q.campaigns[key>>windowBits], int64(key&(1<<windowBits-1)) * q.window
}

func (q *yahooQuery) write(w *writer, changed []*counter) error {
	if len(changed) > fewRows {
		return w.upsert("campaign_counts", `UPDATE campaign_counts AS t SET views = s.views, last_view = s.last_view
FROM campaign_counts_staging AS s WHERE t.campaign_id = s.campaign_id AND t.window_start = s.window_start`, 4, changed,
			func(w *writer, c *counter) {
				campaign, start := q.split(c)
				w.text(campaign)
				w.milli(start)
				w.int8(c.n)
				w.milli(c.max)
			})
	}
	var campaigns []string
	var starts, views, lasts []int64
	for _, c := range changed {
		campaign, start := q.split(c)
		campaigns, starts = append(campaigns, campaign), append(starts, start)
		views, lasts = append(views, c.n), append(lasts, c.max)
	}
	w.few(`INSERT INTO campaign_counts
SELECT c, to_timestamp(s / 1000.0), v, to_timestamp(l / 1000.0) FROM unnest($1::text[], $2::int8[], $3::int8[], $4::int8[]) AS r (c, s, v, l)
ON CONFLICT (campaign_id, window_start) DO UPDATE SET views = excluded.views, last_view = excluded.last_view`, campaigns, starts, views, lasts)
	return nil
}

// adSize is the length of an ad's id.
const adSize = 36

// adTable finds an ad's campaign: open addressing over the ids' bytes.
type adTable struct {
	slots []uint32 // number of the ad + 1
	ids   [][adSize]byte
	to    []uint32
}

func newAdTable() *adTable { return &adTable{slots: make([]uint32, firstSize)} }

// hashAd mixes three words of the id.
func hashAd(id []byte) uint64 {
	h := binary.LittleEndian.Uint64(id) * 0x9e3779b97f4a7c15
	h ^= binary.LittleEndian.Uint64(id[adSize-8:])
	h *= 0xd6e8feb86659fd93
	h ^= h >> 32
	return h * 0xd6e8feb86659fd93
}

func (t *adTable) put(id string, campaign uint32) error {
	if len(id) != adSize {
		return fmt.Errorf("the ad %q is no UUID", id)
	}
	if 2*len(t.ids) >= len(t.slots) {
		t.slots = make([]uint32, 2*len(t.slots))
		for n := range t.ids {
			t.place(n)
		}
	}
	t.ids = append(t.ids, [adSize]byte([]byte(id)))
	t.to = append(t.to, campaign)
	t.place(len(t.ids) - 1)
	return nil
}

func (t *adTable) place(n int) {
	mask := uint64(len(t.slots) - 1)
	i := hashAd(t.ids[n][:]) >> 16 & mask
	for t.slots[i] != 0 {
		i = (i + 1) & mask
	}
	t.slots[i] = uint32(n) + 1
}

func (t *adTable) find(id []byte) (uint32, bool) {
	if len(id) != adSize {
		return 0, false
	}
	mask := uint64(len(t.slots) - 1)
	for i := hashAd(id) >> 16 & mask; ; i = (i + 1) & mask {
		n := t.slots[i]
		if n == 0 {
			return 0, false
		}
		if string(t.ids[n-1][:]) == string(id) {
			return t.to[n-1], true
		}
	}
}

// skeletonQuery averages values per type and five minutes.
type skeletonQuery struct{}

const (
	skeletonWindow = int64(5 * 60 * 1000)
	typeBits       = 8
)

// skeletonTypes are the types that the job knows, as a program for exactly
// this query may.
var skeletonTypes = [...]string{"type_A", "type_B", "type_C"}

func (q *skeletonQuery) layout() *layout {
	return newLayout(member{"timestamp", false, 0}, member{"type", false, 1}, member{"value", true, 2})
}

func (q *skeletonQuery) prepare(ctx context.Context, db *pgx.Conn, state *counters) error {
	if _, err := db.Exec(ctx, skeletonTable); err != nil {
		return err
	}
	rows, err := db.Query(ctx, `SELECT "timestamp", type, value, events FROM processed_data`)
	if err != nil {
		return err
	}
	var at time.Time
	var kind string
	var average float64
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&at, &kind, &average, &n}, func() error {
		k, err := skeletonType([]byte(kind))
		c := state.at(uint64(at.UnixMilli()/skeletonWindow)<<typeBits | k)
		c.n, c.float, c.written = n, average*float64(n), true
		return err
	})
	return err
}

func skeletonType(b []byte) (uint64, error) {
	for k, name := range skeletonTypes {
		if string(b) == name {
			return uint64(k), nil
		}
	}
	return 0, fmt.Errorf("type %q is none that this program knows", b)
}

func (q *skeletonQuery) add(t *counters, v *values) error {
	at, err := parseTime(v[0])
	if err != nil {
		return err
	}
	kind, err := skeletonType(v[1])
	if err != nil {
		return err
	}
	value, err := parseFloat(v[2])
	if err != nil {
		return err
	}
	c := t.at(uint64(at/skeletonWindow)<<typeBits | kind)
	c.n++
	c.float += value
	return nil
}

func (q *skeletonQuery) write(w *writer, changed []*counter) error {
	var times, events []int64
	var kinds []string
	var values []float64
	for _, c := range changed {
		key := c.realKey()
		times, kinds = append(times, int64(key>>typeBits)*skeletonWindow), append(kinds, skeletonTypes[key&(1<<typeBits-1)])
		values, events = append(values, c.float/float64(c.n)), append(events, c.n)
	}
	w.few(`INSERT INTO processed_data
SELECT to_timestamp(a / 1000.0), k, v, n FROM unnest($1::int8[], $2::text[], $3::float8[], $4::int8[]) AS r (a, k, v, n)
ON CONFLICT ("timestamp", type) DO UPDATE SET value = excluded.value, events = excluded.events`, times, kinds, values, events)
	return nil
}

// updatesQuery keeps count, sum and max per key.
type updatesQuery struct{}

func (q *updatesQuery) layout() *layout {
	return newLayout(member{"key", true, 0}, member{"value", true, 1})
}

func (q *updatesQuery) prepare(ctx context.Context, db *pgx.Conn, state *counters) error {
	if _, err := db.Exec(ctx, updatesTable); err != nil {
		return err
	}
	rows, err := db.Query(ctx, "SELECT key, n, total, greatest FROM totals")
	if err != nil {
		return err
	}
	var key, n, total, greatest int64
	_, err = pgx.ForEachRow(rows, []any{&key, &n, &total, &greatest}, func() error {
		c := state.at(uint64(key))
		c.n, c.sum, c.max, c.written = n, total, greatest, true
		return nil
	})
	return err
}

func (q *updatesQuery) add(t *counters, v *values) error {
	key, err := strconv.ParseInt(string(v[0]), 10, 64)
	if err != nil {
		return err
	}
	value, err := strconv.ParseInt(string(v[1]), 10, 32)
	if err != nil {
		return err
	}
	c := t.at(uint64(key))
	if c.n == 0 || value > c.max {
		c.max = value
	}
	c.n++
	c.sum += value
	return nil
}

func (q *updatesQuery) write(w *writer, changed []*counter) error {
	if len(changed) > fewRows {
		return w.upsert("totals", `UPDATE totals AS t SET n = s.n, total = s.total, greatest = s.greatest
FROM totals_staging AS s WHERE t.key = s.key`, 4, changed,
			func(w *writer, c *counter) {
				w.int8(int64(c.realKey()))
				w.int8(c.n)
				w.int8(c.sum)
				w.int4(int32(c.max))
			})
	}
	var keys, ns, totals []int64
	var greatest []int32
	for _, c := range changed {
		keys, ns = append(keys, int64(c.realKey())), append(ns, c.n)
		totals, greatest = append(totals, c.sum), append(greatest, int32(c.max))
	}
	w.few(`INSERT INTO totals SELECT * FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int4[])
ON CONFLICT (key) DO UPDATE SET n = excluded.n, total = excluded.total, greatest = excluded.greatest`, keys, ns, totals, greatest)
	return nil
}
