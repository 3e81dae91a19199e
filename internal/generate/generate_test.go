package generate

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// simulated is a clock that goes on by what is waited for: a run under it
// takes no time, and the same each time.
type simulated struct {
	mu  sync.Mutex
	now time.Time
	// late is added to each wait, as a coarse timer does.
	late time.Duration
}

func (c *simulated) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *simulated) NewTimer(d time.Duration) (<-chan time.Time, func()) {
	c.advance(d + c.late)
	fired := make(chan time.Time, 1)
	fired <- c.Now()
	return fired, func() {}
}

func (c *simulated) advance(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	c.mu.Unlock()
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// discard counts what it gets.
type discard struct {
	records []Record
	calls   int
	onSend  func(batch []Record) error
}

func (d *discard) send(_ context.Context, batch []Record) error {
	d.calls++
	d.records = append(d.records, batch...)
	if d.onSend != nil {
		return d.onSend(batch)
	}
	return nil
}

func text(lines string) *File {
	return &File{Name: "events.ndjson", Format: NDJSON, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(lines)), nil
	}}
}

func (d *discard) values() string {
	var all []string
	for _, r := range d.records {
		all = append(all, string(r.Value))
	}
	return strings.Join(all, "|")
}

// TestRateDoesNotDrift runs long at rates from slow to fast, with timers
// that fire late and a sink that takes time.
func TestRateDoesNotDrift(t *testing.T) {
	for _, rate := range []float64{0.1, 1, 3, 199, 201, 1000, 33_333.3} {
		clock := &simulated{now: noon, late: 700 * time.Microsecond}
		const length = 10 * time.Minute
		var worst time.Duration
		sent := int64(0)
		sink := func(_ context.Context, batch []Record) error {
			for range batch {
				due := noon.Add(time.Duration(float64(sent) / rate * float64(time.Second)))
				late := clock.Now().Sub(due)
				if late < 0 {
					t.Fatalf("rate %v: event %d is sent %v early", rate, sent, -late)
				}
				worst = max(worst, late)
				sent++
			}
			clock.advance(300 * time.Microsecond)
			return nil
		}
		count := min(max(int64(rate*length.Seconds()), 1), 300_000)
		r, err := Run(t.Context(), Options{Input: NewSample(1, Times{From: noon}), Rate: rate, Count: count, Clock: clock}, sink)
		if err != nil || r.Events != count || sent != count {
			t.Fatalf("rate %v: %+v, %v, want %d events", rate, r, err, count)
		}
		if worst > 10*time.Millisecond {
			t.Errorf("rate %v: an event is sent %v late", rate, worst)
		}
		wanted := time.Duration(float64(count-1) / rate * float64(time.Second))
		if off := r.Elapsed - wanted; off < 0 || off > 10*time.Millisecond {
			t.Errorf("rate %v: took %v, want %v", rate, r.Elapsed, wanted)
		}
	}
}

func TestCountAndEnd(t *testing.T) {
	lines := "1\n2\n\n3\r\n4"
	for _, c := range []struct {
		count int64
		want  string
	}{
		{0, "1|2|3|4"}, {2, "1|2"}, {4, "1|2|3|4"}, {9, "1|2|3|4"},
	} {
		var d discard
		r, err := Run(t.Context(), Options{Input: text(lines), Count: c.count}, d.send)
		if err != nil || d.values() != c.want || r.Events != int64(len(d.records)) || r.Bytes != r.Events {
			t.Errorf("count %d: %q, %+v, %v, want %q", c.count, d.values(), r, err, c.want)
		}
	}
}

func TestLoop(t *testing.T) {
	in := text("1\n2\n3\n")
	in.Loop = true
	var d discard
	if _, err := Run(t.Context(), Options{Input: in, Count: 8}, d.send); err != nil || d.values() != "1|2|3|1|2|3|1|2" {
		t.Errorf("%q, %v", d.values(), err)
	}
	empty := text("\n\n")
	empty.Loop = true
	if r, err := Run(t.Context(), Options{Input: empty}, d.send); err != nil || r.Events != 0 {
		t.Errorf("a file without records, in a loop: %+v, %v", r, err)
	}
}

func TestKeysAndPartitions(t *testing.T) {
	lines := `{"type":"a","n":1,"user":{"id":7},"p":2}
{"type":null,"user":{}}
{"n":1}
not json
{"type":"tab\té","p":0}
[1]`
	var d discard
	_, err := Run(t.Context(), Options{Input: text(lines), Key: "type", Partition: "p"}, d.send)
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		key       string
		partition int32
	}{{"a", 2}, {"", AnyPartition}, {"", AnyPartition}, {"", AnyPartition}, {"tab\té", 0}, {"", AnyPartition}}
	for i, w := range want {
		if r := d.records[i]; string(r.Key) != w.key || (r.Key == nil) != (w.key == "") || r.Partition != w.partition {
			t.Errorf("line %d: key %q, partition %d, want %q, %d", i+1, r.Key, r.Partition, w.key, w.partition)
		}
	}
	d = discard{}
	if _, err := Run(t.Context(), Options{Input: text(lines), Key: "user.id"}, d.send); err != nil || string(d.records[0].Key) != "7" || d.records[1].Key != nil {
		t.Errorf("key user.id: %q, %q, %v", d.records[0].Key, d.records[1].Key, err)
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Options
		want string // in the message
		sent string
	}{
		{"bad line is sent", Options{Input: text("1\n{bad\n3\n")}, "", "1|{bad|3"},
		{"bad line is refused", Options{Input: text("1\n\n{bad\n3\n"), Check: true}, `events.ndjson:3: this is not JSON: "{bad"`, "1"},
		{"no input", Options{}, "no input", ""},
		{"rate", Options{Input: text("1"), Rate: -1}, "rate -1", ""},
		{"count", Options{Input: text("1"), Count: -1}, "count -1", ""},
		{"key", Options{Input: text("1"), Key: "a..b"}, `field "a..b"`, ""},
		{"partition", Options{Input: text(`{"p":"x"}`), Partition: "p"}, `events.ndjson:1: field "p" is to name a partition`, ""},
		{"partition below 0", Options{Input: text(`{"p":-1}`), Partition: "p"}, `field "p"`, ""},
		{"no file", Options{Input: &File{Open: func() (io.ReadCloser, error) { return nil, errors.New("no such file") }}}, "no such file", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d discard
			_, err := Run(t.Context(), c.o, d.send)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if d.values() != c.sent {
				t.Errorf("sent %q, want %q", d.values(), c.sent)
			}
		})
	}
}

func TestSinkFails(t *testing.T) {
	failure := errors.New("full")
	d := discard{onSend: func([]Record) error { return failure }}
	if r, err := Run(t.Context(), Options{Input: text("1\n")}, d.send); !errors.Is(err, failure) || r.Events != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestContextEnds(t *testing.T) {
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	d := discard{onSend: func([]Record) error { cancel(cause); return nil }}
	r, err := Run(ctx, Options{Input: NewSample(1, Times{})}, d.send)
	if !errors.Is(err, cause) || r.Events != int64(len(d.records)) || d.calls != 1 {
		t.Errorf("%+v, %v after %d calls", r, err, d.calls)
	}
}

func TestProgress(t *testing.T) {
	clock := &simulated{now: noon}
	var reports []Progress
	_, err := Run(t.Context(), Options{
		Input: NewSample(1, Times{From: noon}), Rate: 1000, Count: 3001, Clock: clock,
		Progress: func(p Progress) { reports = append(reports, p) },
	}, (&discard{}).send)
	if err != nil || len(reports) < 20 {
		t.Fatalf("%d reports, %v", len(reports), err)
	}
	for i, p := range reports[1:] {
		if p.Events <= reports[i].Events && i != len(reports)-2 || p.Bytes < reports[i].Bytes {
			t.Errorf("report %d goes back: %+v after %+v", i+1, p, reports[i])
		}
		if i < len(reports)-3 && (p.Rate < 900 || p.Rate > 1100) {
			t.Errorf("report %d: rate %v, want about 1000", i+1, p.Rate)
		}
	}
	if last := reports[len(reports)-1]; last.Events != 3001 {
		t.Errorf("the last report has %d events, want all 3001", last.Events)
	}
}

func TestSample(t *testing.T) {
	s, again := NewSample(7, Times{From: noon, Step: time.Second}), NewSample(7, Times{From: noon, Step: time.Second})
	seen := map[string]int{}
	sum := 0.0
	const count = 10_000
	for i := range count {
		r, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		same, _ := again.Next()
		if string(r.Value) != string(same.Value) {
			t.Fatalf("the same seed gives %s and %s", r.Value, same.Value)
		}
		var v struct {
			Timestamp time.Time
			Type      string
			Value     float64
		}
		if err := json.Unmarshal(r.Value, &v); err != nil {
			t.Fatalf("%s: %v", r.Value, err)
		}
		if !v.Timestamp.Equal(noon.Add(time.Duration(i)*time.Second)) || v.Value < 0 || v.Value > 100 {
			t.Fatalf("event %d: %s", i, r.Value)
		}
		seen[v.Type]++
		sum += v.Value
	}
	if len(seen) != len(SampleTypes) {
		t.Errorf("types %v", seen)
	}
	if mean := sum / count; mean < 48 || mean > 52 {
		t.Errorf("mean value %v, want about 50", mean)
	}
}
