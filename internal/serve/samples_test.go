package serve

import (
	"bufio"
	"context"
	"encoding/json"
	"strings"
	"testing"
)

// growing is a status whose samples grow by one with each question.
type growing struct{ asked chan int64 }

func (g growing) Pipeline(context.Context) (PipelineStatus, error) {
	return PipelineStatus{Name: "shop", State: "running"}, nil
}

func (g growing) Samples(after int64) []Sample {
	g.asked <- after
	return []Sample{{Number: after + 1}, {Number: after + 2}}
}

// TestStatusStream reads two events: the second has the samples since the
// first.
func TestStatusStream(t *testing.T) {
	g := growing{make(chan int64, 100)}
	f := start(t, database(t), func(c *Config) { c.Status = g })
	resp := f.do("GET", "/v1/pipeline/live", nil)
	defer resp.Body.Close()
	if resp.Header.Get("Content-Type") != "text/event-stream" || resp.StatusCode != 200 {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	lines := bufio.NewScanner(resp.Body)
	for want := int64(1); want <= 3; {
		if !lines.Scan() {
			t.Fatal(lines.Err())
		}
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var e statusEvent
		if err := json.Unmarshal([]byte(data), &e); err != nil || len(e.Samples) != 2 || e.Samples[0].Number != want || e.Status.State != "running" {
			t.Fatalf("%s (%v), want samples from %d on", data, err, want)
		}
		want += 2
	}
	bare := start(t, database(t), nil)
	if status, _, _ := bare.get("/v1/pipeline/live"); status != 503 {
		t.Errorf("without an engine: %d", status)
	}
}
