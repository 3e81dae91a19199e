package engine

import (
	"fmt"
	"strconv"
	"strings"
)

// OffsetRange is the offsets from From up to To, which is not one of them.
type OffsetRange struct{ From, To int64 }

// AcceptedLoss is somebody's word that records of a partition may be left out
// which Kafka no longer has. It covers what lies within it, and no record that
// is still there: a range that is too wide loses nothing more.
type AcceptedLoss struct {
	Topic     string // of whichever server
	Partition int32
	OffsetRange
}

// String gives the form that ParseLoss reads.
func (l AcceptedLoss) String() string {
	return fmt.Sprintf("%s/%d:%d-%d", l.Topic, l.Partition, l.From, l.To-1)
}

// ParseLoss reads TOPIC/PARTITION:FIRST-LAST, both offsets lost.
func ParseLoss(text string) (l AcceptedLoss, err error) {
	malformed := fmt.Errorf("%q is no range of records: write TOPIC/PARTITION:FIRST-LAST, such as orders/0:100-199", text)
	place, offsets, ok := cutLast(text, ":")
	if !ok {
		return l, malformed
	}
	topic, partition, ok := cutLast(place, "/")
	first, last, also := strings.Cut(offsets, "-")
	if !ok || !also || topic == "" {
		return l, malformed
	}
	number, err := strconv.ParseUint(partition, 10, 31)
	if err != nil {
		return l, malformed
	}
	from, err := strconv.ParseUint(first, 10, 62)
	if err != nil {
		return l, malformed
	}
	to, err := strconv.ParseUint(last, 10, 62)
	if err != nil {
		return l, malformed
	}
	if to < from {
		return l, fmt.Errorf("%q ends before it begins", text)
	}
	return AcceptedLoss{topic, int32(number), OffsetRange{int64(from), int64(to) + 1}}, nil //nolint:gosec // they fit, as ParseUint was told
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// Acceptable gives the word that would let the pipeline go on without the
// records. There is none where the log itself is another one than was read:
// offsets then name different records than before.
func (e *LostError) Acceptable() (l AcceptedLoss, ok bool) {
	if !e.expired {
		return l, false
	}
	return AcceptedLoss{e.Partition.Topic, e.Partition.Partition, OffsetRange{e.From, e.To}}, true
}

// Expired tells that the log now begins at start, after the position.
func Expired(p Partition, position, start int64) *LostError {
	return &LostError{Partition: p, From: position, To: start, Reason: "retention has passed the position", expired: true}
}

// accept tells whether the loss was accepted as a whole. If so, the partition
// goes on from there: an empty chunk passes over what is lost, so that it is
// counted as skipped, and the commit that does so tells of it.
func (r *run) accept(p *partition, lost *LostError, now Offsets) bool {
	loss, ok := lost.Acceptable()
	if !ok {
		return false
	}
	for _, a := range r.engine.opts.AcceptLoss {
		if a.Topic == loss.Topic && a.Partition == loss.Partition && a.From <= loss.From && loss.To <= a.To {
			r.engine.opts.Logger.Warn("records are lost, as was accepted; the pipeline goes on without them", "topic", loss.Topic, "partition", loss.Partition,
				"first", loss.From, "last", loss.To-1, "records", loss.To-loss.From, "reason", lost.Reason)
			p.lost = loss.OffsetRange
			r.backlog = append(r.backlog, Chunk{Partition: lost.Partition, Next: now.Start, End: now.End})
			r.resumeAt[lost.Partition] = now.Start
			return true
		}
	}
	return false
}

// lostIn gives what of the accepted loss lies in a range of offsets.
func (p *partition) lostIn(from, to int64) (l OffsetRange) {
	l = OffsetRange{max(p.lost.From, from), min(p.lost.To, to)}
	if l.From >= l.To {
		return OffsetRange{}
	}
	return l
}
