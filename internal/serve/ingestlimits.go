package serve

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/millstream-dev/millstream/internal/engine"
)

// IngestLimits bound what is posted to topics; 0 stands for the default.
type IngestLimits struct {
	BodyBytes   int64 // of a body, when it is unpacked
	BodyRecords int   // of a body
	RecordBytes int   // of one record's value
}

func (l *IngestLimits) fill() {
	if l.BodyBytes == 0 {
		l.BodyBytes = maxBodyBytes
	}
	if l.BodyRecords == 0 {
		l.BodyRecords = maxBodyRecords
	}
	if l.RecordBytes == 0 {
		l.RecordBytes = maxRecordBytes
	}
}

// Limits of ingest that are not settings.
const (
	// bodyPatience is how long a body waits to be among maxIngests.
	bodyPatience = 2 * time.Second
	// maxSending and maxSendingBytes bound the records that wait for the log
	// to acknowledge them: as many as the producer holds. A body that is
	// larger goes when no other waits.
	maxSending      = 50_000
	maxSendingBytes = 64 << 20
	// awayTimeout is how long the log may take to acknowledge a body when the
	// last contact with it has failed.
	awayTimeout = 3 * time.Second
	// committedTimeout is how long the engine may take to commit it.
	committedTimeout = 30 * time.Second
	// answerPatience is how long a client may take to read the answer.
	answerPatience = 10 * time.Second
	// maxRecordHeaders and maxHeaderText bound the headers that all records of
	// a body get, by number and by bytes of names and values.
	maxRecordHeaders = 20
	maxHeaderText    = 4 << 10
)

// posting is what the bodies that are under way share.
type posting struct {
	sending    sending
	commits    *progress
	unanswered sync.WaitGroup // bodies that the log has not acknowledged, of clients that don't wait
}

func newPosting() *posting { return &posting{commits: newProgress()} }

// Producer writes records to a topic of the configured cluster.
type Producer interface {
	// Produce returns once the log has acknowledged all records, with the
	// place of each. Of a record only Key, Value and Headers count. An error
	// that is ErrRecordTooLarge is the records' fault.
	Produce(ctx context.Context, topic string, records []engine.Record) ([]Place, error)
	// Health is nil when the last contact with the cluster succeeded.
	Health() error
}

// Place is where a record lies in its topic.
type Place struct {
	Partition int32
	Offset    int64
}

// ErrRecordTooLarge tells that the log takes no record of that size.
var ErrRecordTooLarge = errors.New("the log takes no record of that size")

// bodyRoom waits until the body may be in memory.
func (s *Server) bodyRoom(ctx context.Context) (func(), *Problem) {
	patience := time.NewTimer(bodyPatience)
	defer patience.Stop()
	select {
	case s.ingests <- struct{}{}:
		return func() { <-s.ingests }, nil
	case <-ctx.Done():
		return nil, problem(http.StatusServiceUnavailable, codeUnavailable, "too many bodies at once").because(ctx.Err())
	case <-patience.C:
		return nil, problem(http.StatusTooManyRequests, codeBusy, "%d bodies are being read already", maxIngests).hint("nothing was accepted: send it again a little later")
	}
}

// sending counts what waits for the log to acknowledge it.
type sending struct {
	mu      sync.Mutex
	records int // guarded by mu
	bytes   int // guarded by mu
}

// take makes room for records, or says that there is none.
func (s *sending) take(records []engine.Record) (release func(), ok bool) {
	bytes := 0
	for i := range records {
		bytes += len(records[i].Key) + len(records[i].Value)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records > 0 && (s.records+len(records) > maxSending || s.bytes+bytes > maxSendingBytes) {
		return nil, false
	}
	s.records += len(records)
	s.bytes += bytes
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.records -= len(records)
		s.bytes -= bytes
	}, true
}

// send gives records to the log and waits as ack says: not at all, until they
// are acknowledged, or until the tables show them. seq is then the commit.
func (s *Server) send(ctx context.Context, t *topic, records []engine.Record, ack string) (seq int64, err error) {
	if len(records) == 0 {
		return 0, nil
	}
	release, ok := s.posting.sending.take(records)
	if !ok {
		if health := s.config.Producer.Health(); health != nil {
			return 0, away(t.name, health)
		}
		return 0, problem(http.StatusTooManyRequests, codeBusy, "records wait for Kafka to acknowledge them, as many as may").hint("nothing was accepted: send it again a little later")
	}
	if ack == ackNone {
		s.posting.unanswered.Go(func() {
			defer release()
			_, err := s.produce(context.WithoutCancel(ctx), t, records)
			if err != nil {
				s.config.Log.Error("records that were posted with ack=none are lost, or some of them", "topic", t.name, "records", len(records), "error", err)
			}
		})
		return 0, nil
	}
	places, err := s.produce(ctx, t, records)
	release()
	if err != nil || ack == ackLog {
		return 0, err
	}
	return s.awaitCommit(ctx, t, places)
}

func (s *Server) produce(ctx context.Context, t *topic, records []engine.Record) ([]Place, error) {
	limit := produceTimeout
	if s.config.Producer.Health() != nil {
		limit = awayTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	places, err := s.config.Producer.Produce(ctx, t.name, records)
	switch {
	case err == nil:
		s.countIngest(t.name, "accepted", len(records))
		return places, nil
	case errors.Is(err, ErrRecordTooLarge):
		s.countIngest(t.name, "failed", len(records))
		return nil, problem(http.StatusRequestEntityTooLarge, codeBodySize, "Kafka takes no record of that size; others of the body may be in the log").
			hint("raise max.message.bytes of the topic, or ingest.max_record_bytes should say less").because(err)
	}
	s.countIngest(t.name, "failed", len(records))
	return nil, away(t.name, err)
}

// away is the answer while Kafka does not take records.
func away(topic string, err error) *Problem {
	return problem(http.StatusServiceUnavailable, codeUnavailable, "Kafka has not acknowledged the records; some of them may be in the log").
		hint("/readyz says what is known; send them again, with the Idempotency-Key of the first time: then none is counted twice").
		because(fmt.Errorf("produce to topic %q: %w", topic, err))
}
