package line

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// ShopSQL has a view of each kind: windows in their spellings, sessions, emit
// update and final, HAVING, groups without a window, a projection, the latest
// row of a key, a union of topics, retention, and expressions that fail for a
// record or for a group.
const ShopSQL = `
CREATE FOREIGN TABLE orders (
    at       timestamptz NOT NULL,
    customer integer OPTIONS (path '$.customer.id') NOT NULL,
    category text NOT NULL,
    price    numeric(12,2),
    weight   double precision,
    quantity integer,
    paid     boolean
) SERVER kafka OPTIONS (event_time 'at', watermark '5 minutes', partitions '3');

CREATE FOREIGN TABLE clicks (
    ms      timestamptz OPTIONS (epoch 'ms') NOT NULL,
    visitor integer,
    page    varchar(12),
    extra   jsonb,
    fast    boolean GENERATED ALWAYS AS (coalesce((extra ->> 'ms')::integer, 0) < 100) STORED
) SERVER kafka OPTIONS (event_time 'ms', watermark '2 minutes', partitions '2');

CREATE MATERIALIZED VIEW sales AS
SELECT window_start, category, count(*) AS orders, sum(price) AS revenue, sum(weight) AS weight, avg(weight) AS mean_weight,
    min(price) AS least, max(price) AS most, bool_and(paid) AS all_paid, sum(quantity) FILTER (WHERE price > 20) AS dear
FROM tumble(orders, at, INTERVAL '5 minutes') GROUP BY window_start, category;

CREATE MATERIALIZED VIEW sales_closed WITH (emit = 'final') AS
SELECT window_start, window_end, category, count(*) AS orders, avg(price) AS mean, sum(weight) AS weight
FROM tumble(orders, at, INTERVAL '10 minutes') GROUP BY window_start, window_end, category;

CREATE MATERIALIZED VIEW recent WITH (retention = '1 hour') AS
SELECT date_bin('2 minutes', at, TIMESTAMPTZ '2024-01-01') AS bucket, count(*) AS orders FROM orders GROUP BY 1;

CREATE MATERIALIZED VIEW busy AS
SELECT window_start, customer, count(*) AS orders FROM tumble(orders, at, INTERVAL '15 minutes')
GROUP BY window_start, customer HAVING count(*) BETWEEN 2 AND 3 AND sum(price) > 30;

CREATE MATERIALIZED VIEW odd AS
SELECT window_start, customer, 100 / (count(*) - 2) AS share FROM tumble(orders, at, INTERVAL '20 minutes')
GROUP BY window_start, customer;

CREATE MATERIALIZED VIEW daily AS
SELECT date_trunc('day', at, 'Europe/Paris') AS day, count(*) AS orders, sum(weight) AS weight FROM orders GROUP BY 1;

CREATE MATERIALIZED VIEW customers WITH (max_groups = 1000) AS
SELECT customer, count(*) AS orders, sum(price) AS spent, max(at) AS latest FROM orders GROUP BY customer;

CREATE MATERIALIZED VIEW units AS
SELECT at, customer, price / quantity AS unit_price, upper(category) AS category FROM orders WHERE price > 15;

CREATE MATERIALIZED VIEW last_order WITH (key = 'customer') AS
SELECT customer, at, price FROM orders WHERE paid;

CREATE MATERIALIZED VIEW activity AS
WITH event AS (
    SELECT at, 'order' AS kind, weight AS score FROM orders
    UNION ALL
    SELECT ms, CASE WHEN fast THEN 'fast click' ELSE 'click' END, visitor::double precision FROM clicks WHERE page <> 'ad'
)
SELECT window_start, kind, count(*) AS events, sum(score) AS score
FROM tumble(event, at, INTERVAL '10 minutes') GROUP BY window_start, kind;

CREATE MATERIALIZED VIEW variety AS
SELECT window_start, count(DISTINCT customer) AS customers, sum(DISTINCT price) AS prices, avg(DISTINCT weight) AS mean,
    string_agg(category, ',' ORDER BY price DESC) AS categories, jsonb_agg(quantity) AS quantities, jsonb_object_agg(customer, price) AS last_prices,
    percentile_cont(0.9) WITHIN GROUP (ORDER BY weight) AS heavy, percentile_disc(0.5) WITHIN GROUP (ORDER BY price) AS price, mode() WITHIN GROUP (ORDER BY category) AS usual,
    approx_count_distinct(price) AS about, approx_percentile(price, 0.9) FILTER (WHERE paid) AS high
FROM hop(orders, at, INTERVAL '5 minutes', INTERVAL '15 minutes') GROUP BY window_start;

CREATE MATERIALIZED VIEW visits AS
SELECT window_start, window_end, customer, count(*) AS orders, sum(price) AS spent, avg(weight) AS weight, first_value(category) AS first,
    min(price) AS least, stddev_pop(weight) AS spread, count(DISTINCT category) AS categories, avg(DISTINCT weight) AS mean
FROM session(orders, at, INTERVAL '4 minutes') GROUP BY window_start, window_end, customer;

CREATE MATERIALIZED VIEW visits_closed WITH (emit = 'final') AS
WITH event AS (
    SELECT at, customer AS who, price FROM orders
    UNION ALL
    SELECT ms, visitor, NULL FROM clicks WHERE page <> 'ad'
)
SELECT window_end, who % 7 AS who, count(*) AS events, max(price) AS most, 6 / (count(*) - 3) AS share
FROM session(event, at, INTERVAL '2 minutes') GROUP BY window_end, who % 7 HAVING count(*) <> 2;

CREATE VIEW revenue AS SELECT category, sum(revenue) AS revenue FROM sales GROUP BY category;
COMMENT ON MATERIALIZED VIEW sales IS 'Sales by five minutes and category';
`

const (
	orderPartitions = 3
	clickPartitions = 2
	// badShare is one in how many records is refused, and lateShare one in
	// how many is late.
	badShare  = 15
	lateShare = 20
)

// shopOpens is the evening before a change to summer time in Paris, so that
// calendar days of 24 and 23 hours are there.
var shopOpens = time.Date(2024, 3, 30, 21, 30, 0, 0, time.UTC)

// Shop is a log for ShopSQL: perPartition records in each partition, out of
// order within the watermark, some late, some bad, and tombstones. The same
// arguments give the same log.
func Shop(seed uint64, perPartition int) Log {
	log := Log{"orders": make([][]*kgo.Record, orderPartitions), "clicks": make([][]*kgo.Record, clickPartitions)}
	step := 3 * time.Hour / time.Duration(max(perPartition, 1))
	for topic, partitions := range log {
		// Maps are read in any order: each topic has a source of its own.
		own := rand.New(rand.NewPCG(seed, uint64(len(topic))+uint64(topic[0])))
		for p := range partitions {
			for i := range perPartition {
				at := shopOpens.Add(time.Duration(i) * step).Add(disorder(own))
				value := order(own, at)
				if topic == "clicks" {
					value = click(own, at)
				}
				record := &kgo.Record{Value: value, Timestamp: shopOpens.Add(time.Duration(i) * step)}
				if own.IntN(3) == 0 {
					record.Key = []byte(fmt.Sprintf("k%d", own.IntN(50)))
				}
				if own.IntN(10) == 0 {
					record.Headers = []kgo.RecordHeader{{Key: "trace", Value: []byte{byte(own.IntN(256))}}}
				}
				partitions[p] = append(partitions[p], record)
			}
		}
	}
	return log
}

// disorder is how far from its turn a record's event time is.
func disorder(r *rand.Rand) time.Duration {
	if r.IntN(lateShare) == 0 {
		return -[]time.Duration{20 * time.Minute, time.Hour, 26 * time.Hour, 366 * 24 * time.Hour}[r.IntN(4)]
	}
	return time.Duration(r.Int64N(int64(2*time.Minute))) - time.Minute
}

var categories = []string{"tea", "coffee", "cups", "naïve ☕", ""}

func order(r *rand.Rand, at time.Time) []byte {
	stamp := at.UTC().Format("2006-01-02T15:04:05.000Z07:00")
	if r.IntN(badShare) == 0 {
		return bad(r, stamp)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `{"at": %q, "customer": {"id": %d}, "category": %q`, stamp, r.IntN(60), categories[r.IntN(len(categories))])
	if r.IntN(12) > 0 {
		fmt.Fprintf(&b, `, "price": %d.%02d`, r.IntN(60), r.IntN(100))
	}
	if r.IntN(12) > 0 {
		fmt.Fprintf(&b, `, "weight": %.3e`, r.NormFloat64()*1e6)
	}
	fmt.Fprintf(&b, `, "quantity": %d, "paid": %t}`, r.IntN(9), r.IntN(4) > 0) // a quantity of 0 fails in units
	return []byte(b.String())
}

func click(r *rand.Rand, at time.Time) []byte {
	switch r.IntN(badShare) {
	case 0:
		return [][]byte{nil, []byte(`{"ms": "soon"}`), []byte(`{`), []byte(`{"ms": 1711836000000, "page": "a page with too long a name"}`),
			[]byte(`{"ms": 1711836000000, "extra": {"ms": "x"}}`)}[r.IntN(5)]
	case 1:
		return []byte(fmt.Sprintf(`{"ms": "%d", "page": "ad"}`, at.UnixMilli()))
	}
	return []byte(fmt.Sprintf(`{"ms": %d, "visitor": %d, "page": "p%d", "extra": {"ms": %d}}`, at.UnixMilli(), r.IntN(1000), r.IntN(5), r.IntN(200)))
}

// bad gives a record that is refused, or a tombstone.
func bad(r *rand.Rand, stamp string) []byte {
	list := []string{
		"", `{"at": "` + stamp + `"`, `[1, 2]`, `{"at": "yesterday", "customer": {"id": 1}, "category": "x"}`,
		`{"at": "` + stamp + `", "customer": {"id": 1}}`,
		`{"at": "` + stamp + `", "customer": {"id": 99999999999}, "category": "x"}`,
		`{"at": "` + stamp + `", "customer": {"id": 1}, "category": "x", "price": 12345678901.00}`,
		`{"at": "` + stamp + `", "customer": {"id": 1}, "category": "x", "weight": 1e400}`,
		`{"at": "` + stamp + `", "customer": {"id": 1}, "category": "a\u0000b"}`,
		`{"at": "` + stamp + `", "customer": {"id": 1}, "category": "` + "\xff" + `"}`,
		`{"at": "infinity", "customer": {"id": 1}, "category": "x"}`,
		`{"at": "2150-01-01T00:00:00Z", "customer": {"id": 1}, "category": "x"}`,
		`{"at": null, "customer": {"id": 1}, "category": "x"}`,
	}
	i := r.IntN(len(list))
	if i == 0 {
		return nil
	}
	return []byte(list[i])
}
