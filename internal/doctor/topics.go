package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/plan"
)

// topics examines the topics that the pipeline reads from a cluster.
func (x *examination) topics(ctx context.Context, c *cluster) {
	byName := map[string][]*plan.Topic{}
	var names []string
	for _, t := range x.Definition.Plan.Topics {
		if t.Server == c.name {
			if byName[t.Topic] == nil {
				names = append(names, t.Topic)
			}
			byName[t.Topic] = append(byName[t.Topic], t)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, x.Timeout)
	defer cancel()
	m, err := c.admin.Metadata(kadm.WithAuthorizedOps(ctx), names...)
	if err != nil {
		x.unknown(c.label+".topics", "", "the topics can't be described: %v", err)
		return
	}
	for _, name := range names {
		d := m.Topics[name]
		switch {
		case errors.Is(d.Err, kerr.UnknownTopicOrPartition):
			x.missing(ctx, c, byName[name][0])
		case errors.Is(d.Err, kerr.TopicAuthorizationFailed):
			x.fail(c.label+".rights", aclCure(c, "Describe and Read", name), "topic %s can't be described: %v", name, d.Err)
		case d.Err != nil:
			x.fail(c.label+".topic", "", "topic %s: %v", name, d.Err)
		default:
			x.topic(ctx, c, byName[name], d, len(m.Brokers))
		}
	}
}

func aclCure(c *cluster, operations, topic string) string {
	who := c.config.SASL.User
	if who == "" {
		who = "the pipeline's user"
	}
	return fmt.Sprintf("give %s the ACL operations %s on topic %s", who, operations, topic)
}

// missing asks whether a topic that is not there could be made.
func (x *examination) missing(ctx context.Context, c *cluster, t *plan.Topic) {
	partitions, replication := int32(-1), int16(-1)
	if t.Partitions > 0 {
		partitions = int32(t.Partitions)
	}
	if c.config.Replication > 0 {
		replication = int16(c.config.Replication)
	}
	r, err := c.admin.ValidateCreateTopics(ctx, partitions, replication, nil, t.Topic)
	if err == nil {
		err = r[t.Topic].Err
	}
	cure := fmt.Sprintf("millstream topics create %s", t.Topic)
	switch {
	case err == nil:
		how := "the cluster's default number of partitions"
		if t.Partitions > 0 {
			how = fmt.Sprintf("%d partition(s)", t.Partitions)
		}
		x.fine(c.label+".topic", "topic %s is not there: it is made at the start, with %s", t.Topic, how)
		return
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed):
		cure = "make the topic with an administrator's account, or " + aclCure(c, "Create", t.Topic)
	case errors.Is(err, kerr.InvalidReplicationFactor):
		cure = "set KAFKA_REPLICATION_FACTOR to the number of brokers or less"
	}
	if m := r[t.Topic].ErrMessage; m != "" {
		err = fmt.Errorf("%w: %s", err, m)
	}
	x.fail(c.label+".topic", cure, "topic %s is not there and can't be made: %v", t.Topic, err)
}

func (x *examination) topic(ctx context.Context, c *cluster, tables []*plan.Topic, d kadm.TopicDetail, brokers int) {
	name, check := d.Topic, c.label+".topic"
	x.partitions(check, tables, d, brokers)
	if ops := d.AuthorizedOperations; len(ops) > 0 && !slices.Contains(ops, kmsg.ACLOperationRead) && !slices.Contains(ops, kmsg.ACLOperationAll) {
		x.fail(c.label+".rights", aclCure(c, "Read", name), "topic %s may not be read", name)
	}
	x.notePositions(ctx, c, name)
	x.clockOfRecords(ctx, c, name)
	x.retention(ctx, c, tables, name)
}

// partitions looks at what was asked for, who serves, and how many copies
// there are.
func (x *examination) partitions(check string, tables []*plan.Topic, d kadm.TopicDetail, brokers int) {
	var leaderless, behind []string
	for _, p := range d.Partitions.Sorted() {
		switch {
		case p.Leader < 0:
			leaderless = append(leaderless, strconv.Itoa(int(p.Partition)))
		case len(p.ISR) < len(p.Replicas):
			behind = append(behind, strconv.Itoa(int(p.Partition)))
		}
	}
	n := len(d.Partitions)
	if len(leaderless) > 0 {
		x.fail(check, "start the brokers that hold them: `millstream topics describe "+d.Topic+"` names them", "partitions %s of topic %s are served by no broker", strings.Join(leaderless, ", "), d.Topic)
	} else {
		x.fine(check, "topic %s: %d partition(s), %d replica(s)", d.Topic, n, d.Partitions.NumReplicas())
	}
	if len(behind) > 0 {
		x.warn(check, "look at the brokers that hold the others: `millstream topics describe "+d.Topic+"` names them", "partitions %s of topic %s have fewer replicas in step than they should", strings.Join(behind, ", "), d.Topic)
	}
	if brokers > 1 && d.Partitions.NumReplicas() == 1 {
		x.warn(check, "raise the replication factor by kafka-reassign-partitions, and set KAFKA_REPLICATION_FACTOR for topics that are made", "topic %s has one replica on a cluster of %d brokers: its records go with one machine", d.Topic, brokers)
	}
	for _, t := range tables {
		if t.Partitions > 0 && t.Partitions != n {
			x.warn(check, fmt.Sprintf("correct the option partitions of %s, or add partitions by kafka-topics --alter (a topic can't lose any)", t.Name), "topic %s has %d partition(s), and the file asks for %d: the option counts only when the topic is made", d.Topic, n, t.Partitions)
		}
	}
}

// notePositions keeps where each partition begins.
func (x *examination) notePositions(ctx context.Context, c *cluster, topic string) {
	starts, err := c.admin.ListStartOffsets(ctx, topic)
	if err != nil {
		return // the topic's own checks tell
	}
	starts.Each(func(o kadm.ListedOffset) {
		if o.Err == nil {
			x.starts[position{c.name, topic, o.Partition}] = o.Offset
		}
	})
}

// clockOfRecords compares the newest record's timestamp with our clock: Kafka
// tells its time in no other way.
func (x *examination) clockOfRecords(ctx context.Context, c *cluster, topic string) {
	newest, err := c.admin.ListMaxTimestampOffsets(ctx, topic)
	if err != nil {
		return // an older cluster
	}
	var latest int64
	newest.Each(func(o kadm.ListedOffset) { latest = max(latest, o.Timestamp) })
	if ahead := time.UnixMilli(latest).Sub(x.Now()); latest > 0 && ahead > clockTolerance {
		x.warn(c.label+".clock", "set the clocks of producers, brokers and this machine by NTP", "the newest record of topic %s has a timestamp %s ahead of this machine's clock", topic, ahead.Round(time.Millisecond))
	}
}

// maxBatch is what the engine reads of one batch at most.
const maxBatch = 64 << 20

// retention compares for how long records are kept with for how long windows
// stay open.
func (x *examination) retention(ctx context.Context, c *cluster, tables []*plan.Topic, name string) {
	check := c.label + ".retention"
	configs, err := c.admin.DescribeTopicConfigs(ctx, name)
	if err == nil {
		_, err = configs.On(name, func(r *kadm.ResourceConfig) error { return r.Err })
	}
	if err != nil {
		x.unknown(check, aclCure(c, "DescribeConfigs", name), "the settings of topic %s can't be read: %v", name, err)
		return
	}
	set := map[string]string{}
	for _, entry := range configs[0].Configs {
		set[entry.Key] = entry.MaybeValue()
	}
	if bytes, err := strconv.ParseInt(set["max.message.bytes"], 10, 64); err == nil && bytes > maxBatch {
		x.warn(c.label+".topic", fmt.Sprintf("set max.message.bytes of topic %s to %d or less", name, maxBatch), "topic %s takes batches of up to %d bytes, and at most %d are read of one: a larger one stops the pipeline", name, bytes, maxBatch)
	}
	if policy := set["cleanup.policy"]; strings.Contains(policy, "compact") {
		x.warn(check, "use a topic with cleanup.policy=delete for events, or keep only the latest row of each key (a view WITH (key))", "topic %s is compacted: older records of a key vanish, so a rebuild and `verify` see less than the first run did", name)
		if policy == "compact" {
			return
		}
	}
	millis, err := strconv.ParseInt(set["retention.ms"], 10, 64)
	if err != nil {
		x.unknown(check, "", "topic %s does not tell its retention.ms", name)
		return
	}
	need, view := x.openFor(tables)
	kept := time.Duration(millis) * time.Millisecond
	limit := ""
	if bytes := set["retention.bytes"]; bytes != "" && bytes != "-1" {
		limit = fmt.Sprintf(", and at most %s bytes of a partition", bytes)
	}
	switch {
	case millis < 0:
		x.fine(check, "topic %s keeps its records without a limit of time%s", name, limit)
	case kept < need:
		x.warn(check, fmt.Sprintf("kafka-configs --alter --entity-type topics --entity-name %s --add-config retention.ms=%d (or more: it is also how long a stop may last)", name, need.Milliseconds()),
			"topic %s keeps its records for %s%s, and a window of %s needs them for %s (its size and the watermark): rebuilds and `verify` can't compute it, and a stop that lasts longer loses records", name, kept, limit, view, need)
	default:
		x.fine(check, "topic %s keeps its records for %s%s; a stop may last that long", name, kept, limit)
	}
}

// openFor gives for how long records of a topic matter to a window, and the
// view whose windows are the longest.
func (x *examination) openFor(tables []*plan.Topic) (longest time.Duration, view string) {
	for _, v := range x.Definition.Plan.Views {
		for _, b := range v.Branches {
			if !slices.Contains(tables, b.Topic) {
				continue
			}
			need := b.Topic.Watermark
			if v.Window != nil && v.Window.Assigner != nil {
				t := x.Now().UnixMicro() + column.UnixEpochMicros
				if start, ok := v.Window.Assigner.Start(t); ok {
					need += time.Duration(v.Window.Assigner.End(start)-start) * time.Microsecond
				}
			}
			if need >= longest {
				longest, view = need, v.Name
			}
		}
	}
	return longest, view
}
