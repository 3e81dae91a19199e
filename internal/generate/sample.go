package generate

import (
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/millstream-dev/millstream/internal/engine"
)

// SampleTopic is the topic that the sample traffic is made for.
const SampleTopic = "raw_data"

// SampleTypes are the values of the sample's type.
var SampleTypes = []string{"type_A", "type_B", "type_C", "type_D"}

// sampleValues is the range of the sample's value: 0 up to this.
const sampleValues = 100

// Times says what event times generated records have.
type Times struct {
	Clock engine.Clock // nil: the machine's
	// From is the first event's time, and Step is what each next one adds.
	// Zero From: the time at which it is made.
	From time.Time
	Step time.Duration
}

// next gives the time of event i.
func (t *Times) next(i int64) time.Time {
	if !t.From.IsZero() {
		return t.From.Add(time.Duration(i) * t.Step)
	}
	if t.Clock == nil {
		t.Clock = engine.WallClock{}
	}
	return t.Clock.Now()
}

// eventTime is how times are written: with microseconds and a zone.
const eventTime = "2006-01-02T15:04:05.000000Z07:00"

// Sample is the sample traffic: {"timestamp": …, "type": "type_A" to
// "type_D", "value": 0 to 100}. The same seed gives the same types and
// values.
type Sample struct {
	times  Times
	random *rand.Rand
	made   int64
}

// NewSample makes sample traffic.
func NewSample(seed uint64, times Times) *Sample {
	return &Sample{times: times, random: rand.New(rand.NewPCG(seed, 0))}
}

// Next gives an event. The traffic never ends.
func (s *Sample) Next() (Record, error) {
	const size = 80 // of one event
	v := make([]byte, 0, size)
	v = append(v, `{"timestamp":"`...)
	v = s.times.next(s.made).UTC().AppendFormat(v, eventTime)
	v = append(v, `","type":"`...)
	v = append(v, SampleTypes[s.random.IntN(len(SampleTypes))]...)
	v = append(v, `","value":`...)
	v = strconv.AppendFloat(v, float64(s.random.IntN(sampleValues*100+1))/100, 'f', -1, 64)
	v = append(v, '}')
	s.made++
	return Record{Value: v, Partition: AnyPartition}, nil
}
