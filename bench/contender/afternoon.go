package contender

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"
)

// flushEvery is the afternoon program's ticker.
const flushEvery = time.Second

// job is what differs between its queries.
type job interface {
	prepare(ctx context.Context, db *pgx.Conn) error
	add(value []byte) error
	// flush adds what was counted since the last one to the table.
	flush(ctx context.Context, db *pgx.Conn) (rows int, err error)
}

// runAfternoon polls, counts, and writes each second.
func runAfternoon(ctx context.Context, c Config, say tell) error {
	var j job
	switch c.Workload {
	case "Y":
		j = &yahooJob{counts: map[yahooKey]*yahooCount{}}
	case "S":
		j = &skeletonJob{sums: map[skeletonKey]*skeletonSum{}}
	default:
		return fmt.Errorf("there is no afternoon program for workload %q", c.Workload)
	}
	db, err := pgx.Connect(ctx, c.Database)
	if err != nil {
		return err
	}
	defer db.Close(context.WithoutCancel(ctx))
	if err := j.prepare(ctx, db); err != nil {
		return err
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(c.Broker), kgo.ConsumeTopics(c.Topic), kgo.ConsumerGroup("afternoon-"+strconv.FormatInt(time.Now().UnixNano(), 36)),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(), kgo.FetchMaxPartitionBytes(4<<20),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	return consume(ctx, c, j, client, db, say)
}

func consume(ctx context.Context, c Config, j job, client *kgo.Client, db *pgx.Conn, say tell) error {
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	at := make([]int64, len(c.Ends))
	var events, rows int64
	flush := func() error {
		n, err := j.flush(ctx, db)
		if err != nil {
			return err
		}
		rows += int64(n)
		if err := client.CommitUncommittedOffsets(ctx); err != nil {
			return err
		}
		return say(events, rows)
	}
	for !c.done(at) {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		for records := fetches.RecordIter(); !records.Done(); {
			r := records.Next()
			if err := j.add(r.Value); err != nil {
				return fmt.Errorf("%s/%d at %d: %w", r.Topic, r.Partition, r.Offset, err)
			}
			at[r.Partition] = r.Offset + 1
			events++
		}
		select {
		case <-ticker.C:
			if err := flush(); err != nil {
				return err
			}
		default:
		}
	}
	return flush()
}

// yahooJob counts views per campaign and window.
type yahooJob struct {
	campaigns map[string]string // of ads
	counts    map[yahooKey]*yahooCount
}

type yahooKey struct {
	campaign string
	window   int64
}

type yahooCount struct{ views, last int64 }

type yahooEvent struct {
	AdID      string `json:"ad_id"`
	EventType string `json:"event_type"`
	EventTime string `json:"event_time"`
}

func (j *yahooJob) prepare(ctx context.Context, db *pgx.Conn) error {
	if _, err := db.Exec(ctx, yahooTable); err != nil {
		return err
	}
	rows, err := db.Query(ctx, "SELECT ad_id, campaign_id FROM ads")
	if err != nil {
		return err
	}
	j.campaigns = map[string]string{}
	var ad, campaign string
	_, err = pgx.ForEachRow(rows, []any{&ad, &campaign}, func() error {
		j.campaigns[ad] = campaign
		return nil
	})
	return err
}

func (j *yahooJob) add(value []byte) error {
	var e yahooEvent
	if err := json.Unmarshal(value, &e); err != nil {
		return err
	}
	if e.EventType != "view" {
		return nil
	}
	campaign, ok := j.campaigns[e.AdID]
	if !ok {
		return nil
	}
	at, err := strconv.ParseInt(e.EventTime, 10, 64)
	if err != nil {
		return err
	}
	key := yahooKey{campaign, at / 10_000}
	count := j.counts[key]
	if count == nil {
		count = &yahooCount{}
		j.counts[key] = count
	}
	count.views++
	count.last = max(count.last, at)
	return nil
}

func (j *yahooJob) flush(ctx context.Context, db *pgx.Conn) (int, error) {
	var campaigns []string
	var starts, lasts []time.Time
	var views []int64
	for k, v := range j.counts {
		campaigns = append(campaigns, k.campaign)
		starts = append(starts, time.UnixMilli(k.window*10_000))
		views = append(views, v.views)
		lasts = append(lasts, time.UnixMilli(v.last))
	}
	_, err := db.Exec(ctx, `INSERT INTO campaign_counts AS t SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::int8[], $4::timestamptz[])
ON CONFLICT (campaign_id, window_start) DO UPDATE SET views = t.views + excluded.views, last_view = greatest(t.last_view, excluded.last_view)`,
		campaigns, starts, views, lasts)
	clear(j.counts)
	return len(campaigns), err
}

// skeletonJob averages values per type and five minutes. Its table carries the
// average, so a flush weighs it with the counts.
type skeletonJob struct {
	sums map[skeletonKey]*skeletonSum
}

type skeletonKey struct {
	window int64 // Unix seconds
	kind   string
}

type skeletonSum struct {
	n   int64
	sum float64
}

type skeletonEvent struct {
	Timestamp time.Time `json:"timestamp"`
	Type      string    `json:"type"`
	Value     float64   `json:"value"`
}

func (j *skeletonJob) prepare(ctx context.Context, db *pgx.Conn) error {
	_, err := db.Exec(ctx, skeletonTable)
	return err
}

func (j *skeletonJob) add(value []byte) error {
	var e skeletonEvent
	if err := json.Unmarshal(value, &e); err != nil {
		return err
	}
	key := skeletonKey{e.Timestamp.Unix() / 300 * 300, e.Type}
	sum := j.sums[key]
	if sum == nil {
		sum = &skeletonSum{}
		j.sums[key] = sum
	}
	sum.n++
	sum.sum += e.Value
	return nil
}

func (j *skeletonJob) flush(ctx context.Context, db *pgx.Conn) (int, error) {
	var windows []time.Time
	var kinds []string
	var averages []float64
	var counts []int64
	for k, v := range j.sums {
		windows, kinds = append(windows, time.Unix(k.window, 0)), append(kinds, k.kind)
		averages, counts = append(averages, v.sum/float64(v.n)), append(counts, v.n)
	}
	_, err := db.Exec(ctx, `INSERT INTO processed_data AS t SELECT * FROM unnest($1::timestamptz[], $2::text[], $3::float8[], $4::int8[])
ON CONFLICT ("timestamp", type) DO UPDATE SET
    value = (t.value * t.events + excluded.value * excluded.events) / (t.events + excluded.events), events = t.events + excluded.events`,
		windows, kinds, averages, counts)
	clear(j.sums)
	return len(windows), err
}
