package workload

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// YahooWindow is the window of the Yahoo streaming benchmark.
const YahooWindow = 10 * time.Second

var (
	adTypes    = [...]string{"banner", "modal", "sponsored-search", "mail", "mobile"}
	eventTypes = [...]string{"view", "click", "purchase"}
)

// Yahoo is the Yahoo streaming benchmark: views of ads, counted per campaign
// and window, with the greatest event time.
type Yahoo struct {
	Seed      uint64
	Campaigns int64
	Ads       int64 // of each campaign
	Clock     Clock
	Window    time.Duration // 0: YahooWindow
	Final     bool          // rows appear when their window closes
	// Probe, if it is not 0, makes each Probe-th event one of a campaign of
	// its own.
	Probe  int64
	Probes int64 // how many ads of probes the table of ads has
	// Partitions is needed for Final: a window closes when each has passed it.
	Partitions int64

	counted struct {
		sync.Mutex
		n    int64
		rows map[campaignWindow]campaignCount
	}
}

type campaignWindow struct {
	campaign int64
	window   int64 // number since 1970
}

type campaignCount struct{ n, last int64 }

// Name is the workload's.
func (y *Yahoo) Name() string {
	if y.Campaigns == 100 {
		return "Y"
	}
	return "Y " + short(y.Campaigns)
}

// Kind is the query.
func (y *Yahoo) Kind() string { return "Y" }

// Table is the result's.
func (y *Yahoo) Table() string { return "campaign_counts" }

func (y *Yahoo) window() int64 {
	if y.Window == 0 {
		return YahooWindow.Milliseconds()
	}
	return y.Window.Milliseconds()
}

// event gives what counts of event i.
func (y *Yahoo) event(i int64) (ad int64, view bool) {
	if y.IsProbe(i) {
		return y.Campaigns*y.Ads + i/y.Probe, true
	}
	return below(draw(y.Seed, i, 1), y.Campaigns*y.Ads), below(draw(y.Seed, i, 2), int64(len(eventTypes))) == 0
}

// IsProbe tells whether event i is a probe.
func (y *Yahoo) IsProbe(i int64) bool { return y.Probe != 0 && i%y.Probe == 0 }

// campaign gives an ad's campaign. Those of probes follow the others.
func (y *Yahoo) campaign(ad int64) int64 {
	if all := y.Campaigns * y.Ads; ad >= all {
		return y.Campaigns + ad - all
	}
	return ad / y.Ads
}

func (y *Yahoo) appendAd(dst []byte, ad int64) []byte {
	return appendUUID(dst, mix(y.Seed^uint64(ad)^0xad<<56), mix(y.Seed^uint64(ad)^0xae<<56))
}

// CampaignName is how a campaign is called in the tables.
func CampaignName(campaign int64) string { return "campaign-" + strconv.FormatInt(campaign, 10) }

// Append appends event i.
func (y *Yahoo) Append(dst []byte, i int64) []byte {
	ad, view := y.event(i)
	kind := draw(y.Seed, i, 3)
	dst = append(dst, `{"user_id":"`...)
	dst = appendUUID(dst, draw(y.Seed, i, 4), draw(y.Seed, i, 5))
	dst = append(dst, `","page_id":"`...)
	dst = appendUUID(dst, draw(y.Seed, i, 6), draw(y.Seed, i, 7))
	dst = append(dst, `","ad_id":"`...)
	dst = y.appendAd(dst, ad)
	dst = append(dst, `","ad_type":"`...)
	dst = append(dst, adTypes[below(kind, int64(len(adTypes)))]...)
	dst = append(dst, `","event_type":"`...)
	if view {
		dst = append(dst, eventTypes[0]...)
	} else {
		dst = append(dst, eventTypes[1+kind&1]...)
	}
	dst = append(dst, `","event_time":"`...)
	dst = strconv.AppendInt(dst, y.Clock.At(i), 10)
	dst = append(dst, `","ip_address":"`...)
	dst = strconv.AppendUint(dst, kind>>8&255, 10)
	dst = append(dst, '.')
	dst = strconv.AppendUint(dst, kind>>16&255, 10)
	dst = append(dst, '.')
	dst = strconv.AppendUint(dst, kind>>24&255, 10)
	dst = append(dst, '.')
	dst = strconv.AppendUint(dst, kind>>32&255, 10)
	return append(dst, `"}`...)
}

// Setup makes the table of ads.
func (y *Yahoo) Setup(ctx context.Context, db *pgx.Conn) error {
	if _, err := db.Exec(ctx, `CREATE TABLE ads (ad_id text COLLATE "C" PRIMARY KEY, campaign_id text COLLATE "C" NOT NULL)`); err != nil {
		return err
	}
	ad, all := int64(-1), y.Campaigns*y.Ads+y.Probes
	_, err := db.CopyFrom(ctx, pgx.Identifier{"ads"}, []string{"ad_id", "campaign_id"}, pgx.CopyFromFunc(func() ([]any, error) {
		if ad++; ad == all {
			return nil, nil
		}
		return []any{string(y.appendAd(nil, ad)), CampaignName(y.campaign(ad))}, nil
	}))
	if err != nil {
		return fmt.Errorf("fill the table of ads: %w", err)
	}
	_, err = db.Exec(ctx, "ANALYZE ads")
	return err
}

// Pipeline is the product's.
func (y *Yahoo) Pipeline(topic string) string {
	emit := "update"
	if y.Final {
		emit = "final"
	}
	return fmt.Sprintf(`CREATE FOREIGN TABLE events (
    user_id    text,
    page_id    text,
    ad_id      text,
    ad_type    text,
    event_type text,
    event_time timestamptz OPTIONS (epoch 'ms'),
    ip_address text
) SERVER kafka OPTIONS (topic '%s', format 'json', event_time 'event_time');

CREATE TABLE IF NOT EXISTS ads (
    ad_id       text COLLATE "C" PRIMARY KEY,
    campaign_id text COLLATE "C" NOT NULL
);

CREATE MATERIALIZED VIEW campaign_counts WITH (emit = '%s') AS
SELECT a.campaign_id, date_bin('%d milliseconds', e.event_time, '2001-01-01') AS window_start,
       count(*) AS views, max(e.event_time) AS last_view
FROM events e JOIN ads a ON a.ad_id = e.ad_id
WHERE e.event_type = 'view'
GROUP BY a.campaign_id, window_start;
`, topic, emit, y.window())
}

// expect counts the first n events, once.
func (y *Yahoo) expect(n int64) map[campaignWindow]campaignCount {
	c := &y.counted
	c.Lock()
	defer c.Unlock()
	if c.rows != nil && c.n == n {
		return c.rows
	}
	c.n, c.rows = n, make(map[campaignWindow]campaignCount, 1024)
	for i := range n {
		ad, view := y.event(i)
		if !view {
			continue
		}
		at := y.Clock.At(i)
		key := campaignWindow{y.campaign(ad), at / y.window()}
		row := c.rows[key]
		c.rows[key] = campaignCount{row.n + 1, max(row.last, at)}
	}
	return c.rows
}

// Closing gives the first event after which, in every partition, there has
// been one at or after the end of the window that holds the time start.
func (y *Yahoo) Closing(start int64) int64 {
	end := (start/y.window() + 1) * y.window()
	i := max(0, (end-y.Clock.Start.UnixMilli())*int64(time.Millisecond)/int64(y.Clock.Step)-1)
	for y.Clock.At(i) < end {
		i++
	}
	return i + y.Partitions - 1
}

// Check compares the table: of a final view the windows that are closed.
func (y *Yahoo) Check(ctx context.Context, db *pgx.Conn, n int64) error {
	want := y.expect(n)
	if y.Final {
		closed := make(map[campaignWindow]campaignCount, len(want))
		for k, w := range want {
			if y.Closing(k.window*y.window()) < n {
				closed[k] = w
			}
		}
		want = closed
	}
	rows, err := db.Query(ctx, `SELECT substr(campaign_id, 10)::int8, (extract(epoch FROM window_start) * 1000)::int8,
       views, (extract(epoch FROM last_view) * 1000)::int8 FROM campaign_counts`)
	if err != nil {
		return err
	}
	var d differences
	var seen int64
	var campaign, start int64
	var got campaignCount
	_, err = pgx.ForEachRow(rows, []any{&campaign, &start, &got.n, &got.last}, func() error {
		seen++
		if w, ok := want[campaignWindow{campaign, start / y.window()}]; !ok || w != got {
			d.add("campaign %d at %d: has %v, must have %v", campaign, start, got, w)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the table: %w", err)
	}
	if seen != int64(len(want)) {
		d.add("%d rows, must be %d", seen, len(want))
	}
	return d.err(y.Table())
}
