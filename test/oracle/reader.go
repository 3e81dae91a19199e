package oracle

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// stallLimit is how long a partition may give nothing before its committed
	// end: then it is said rather than waited for.
	stallLimit = 60 * time.Second
	// maxFetchBytes bounds what one fetch brings.
	maxFetchBytes = 16 << 20
	// maxRecordBytes is the longest payload a pipeline decodes.
	maxRecordBytes = 64 << 20
)

// loaded tells what was read of a foreign table.
type loaded struct {
	records int64
	keyed   map[int32]bool // partitions with idempotency keys
	lost    []lostRange    // that Kafka no longer holds
}

type lostRange struct {
	partition int32
	from, to  int64
	why       string // ", since …" where more is known
}

// load reads a foreign table's topic from where the pipeline began up to
// where it stands, into ms__raw_<i>.
func (s *session) load(ctx context.Context, t *topic, positions []position, opts []kgo.Opt) (*loaded, error) {
	err := s.exec(ctx, fmt.Sprintf(`CREATE TEMP TABLE ms__raw_%d (
		ms__rn bigint, ms__p integer, ms__o bigint, ms__t timestamptz, ms__key text, ms__headers text, ms__value bytea, ms__depth integer)`, t.index))
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(append(opts,
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.KeepControlRecords(), // they tell that a partition's end was passed
		kgo.FetchMaxPartitionBytes(maxFetchBytes),
	)...)
	if err != nil {
		return nil, fmt.Errorf("connect to Kafka for %s: %w", t.table, err)
	}
	defer client.Close()
	out := &loaded{}
	ends, starts, err := out.span(ctx, client, t, positions)
	if err != nil {
		return nil, err
	}
	if len(starts) > 0 {
		client.AddConsumePartitions(map[string]map[int32]kgo.Offset{t.topic: starts})
		src := &copySource{ctx: ctx, client: client, ends: ends, topic: t.topic, repeats: map[int32]*repeats{}}
		columns := []string{"ms__rn", "ms__p", "ms__o", "ms__t", "ms__key", "ms__headers", "ms__value", "ms__depth"}
		if out.records, err = s.conn.CopyFrom(ctx, pgx.Identifier{fmt.Sprintf("ms__raw_%d", t.index)}, columns, src); err != nil {
			return nil, fmt.Errorf("load topic %s: %w", t.topic, err)
		}
		out.keyed = map[int32]bool{}
		for p, seen := range src.repeats {
			out.keyed[p] = seen.keyed
		}
	}
	return out, s.exec(ctx, fmt.Sprintf("CREATE UNIQUE INDEX ON ms__raw_%d (ms__rn); CREATE UNIQUE INDEX ON ms__raw_%[1]d (ms__p, ms__o); ANALYZE ms__raw_%[1]d", t.index))
}

// span gives where to read each partition from and to.
func (l *loaded) span(ctx context.Context, client *kgo.Client, t *topic, positions []position) (map[int32]int64, map[int32]kgo.Offset, error) {
	admin := kadm.NewClient(client)
	ends, starts := map[int32]int64{}, map[int32]kgo.Offset{}
	held, err := admin.ListStartOffsets(ctx, t.topic)
	if err != nil {
		return nil, nil, fmt.Errorf("ask for the start of topic %s: %w", t.topic, err)
	}
	details, err := admin.ListTopics(ctx, t.topic)
	if err != nil {
		return nil, nil, fmt.Errorf("describe topic %s: %w", t.topic, err)
	}
	for _, p := range positions {
		if id := details[t.topic].ID; p.topicID != "" && id != (kadm.TopicID{}) && !sameID(id, p.topicID) {
			if p.from < p.to { // what the topic holds is not what was read
				l.lost = append(l.lost, lostRange{p.partition, p.from, p.to, ", since the topic was deleted and made again"})
			}
			continue
		}
		o, ok := held.Lookup(t.topic, p.partition)
		if !ok || o.Err != nil {
			return nil, nil, fmt.Errorf("topic %s partition %d: no start offset: %w", t.topic, p.partition, errors.Join(o.Err, details[t.topic].Err))
		}
		from := p.from
		if o.Offset > from {
			l.lost = append(l.lost, lostRange{p.partition, from, min(o.Offset, p.to), ""})
			from = o.Offset
		}
		if from < p.to {
			ends[p.partition], starts[p.partition] = p.to, kgo.NewOffset().At(from)
		}
	}
	return ends, starts, nil
}

func sameID(id kadm.TopicID, text string) bool {
	return fmt.Sprintf("%x", id[:]) == strings.ReplaceAll(text, "-", "")
}

// copySource gives the records of the partitions up to their ends.
type copySource struct {
	ctx    context.Context
	client *kgo.Client
	topic  string
	ends   map[int32]int64
	queue  []*kgo.Record
	n      int64
	err    error
	// repeats are what the partitions have seen of idempotency keys: a repeat
	// is loaded as a tombstone, since nobody looks at it either.
	repeats map[int32]*repeats
}

func (c *copySource) Next() bool {
	for len(c.queue) == 0 && len(c.ends) > 0 && c.err == nil {
		c.poll()
	}
	return len(c.queue) > 0 && c.err == nil
}

func (c *copySource) poll() {
	ctx, cancel := context.WithTimeoutCause(c.ctx, stallLimit, errStalled)
	defer cancel()
	fetches := c.client.PollFetches(ctx)
	if ctx.Err() != nil {
		c.err = context.Cause(ctx)
		if errors.Is(c.err, errStalled) {
			c.err = fmt.Errorf("%w: waiting for the offsets before %v by partition", errStalled, c.ends)
		}
		return
	}
	fetches.EachError(func(topic string, p int32, err error) { c.err = fmt.Errorf("fetch %s partition %d: %w", topic, p, err) })
	fetches.EachRecord(func(r *kgo.Record) {
		end, ok := c.ends[r.Partition]
		if !ok {
			return
		}
		if r.Offset < end && !r.Attrs.IsControl() {
			c.queue = append(c.queue, r)
		}
		if r.Offset >= end-1 {
			delete(c.ends, r.Partition)
			c.client.PauseFetchPartitions(map[string][]int32{c.topic: {r.Partition}})
		}
	})
}

var errStalled = fmt.Errorf("Kafka gave nothing for %s", stallLimit)

func (c *copySource) Values() ([]any, error) {
	r := c.queue[0]
	c.queue = c.queue[1:]
	c.n++
	value := r.Value
	if c.repeats[r.Partition] == nil {
		c.repeats[r.Partition] = &repeats{}
	}
	if c.repeats[r.Partition].has(r) {
		value = nil
	}
	depth := nesting(value)
	if len(value) > maxRecordBytes {
		value = value[:0] // is only counted as too large
		depth = -1
	}
	return []any{c.n, r.Partition, r.Offset, r.Timestamp, keyText(r.Key), headersJSON(r.Headers), value, depth}, nil
}

func (c *copySource) Err() error { return c.err }

// nesting is how deep a document's objects and arrays are nested.
func nesting(doc []byte) int {
	deepest, depth, quoted := 0, 0, false
	for i := 0; i < len(doc); i++ {
		switch c := doc[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}

// headersJSON is an object of the headers, the last of repeated names; a value
// that text can't hold is null, such a name "?".
func headersJSON(headers []kgo.RecordHeader) string {
	object := map[string]any{}
	for _, h := range headers {
		name := h.Key
		if !storable([]byte(name)) {
			name = "?"
		}
		object[name] = nil
		if h.Value != nil && storable(h.Value) {
			object[name] = string(h.Value)
		}
	}
	b, err := json.Marshal(object)
	if err != nil {
		return "{}" // strings and nulls always marshal
	}
	return string(b)
}

// keyText is a record's key as _key gives it: NULL where text can't hold it.
func keyText(key []byte) any {
	if key == nil || !storable(key) {
		return nil
	}
	return string(key)
}

func storable(b []byte) bool { return utf8.Valid(b) && bytes.IndexByte(b, 0) < 0 }
