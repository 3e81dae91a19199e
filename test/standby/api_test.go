package standby

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func get(t *testing.T, ctx context.Context, url string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, r, header...)
}

func do(t *testing.T, r *http.Request, header ...string) (int, string) {
	t.Helper()
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func getJSON(t *testing.T, ctx context.Context, url string, into any, header ...string) {
	t.Helper()
	code, body := get(t, ctx, url, header...)
	if code != http.StatusOK {
		t.Fatalf("GET %s: %d %s", url, code, body)
	}
	if err := json.Unmarshal([]byte(body), into); err != nil {
		t.Fatalf("GET %s: %v in %s", url, err, body)
	}
}

const one = `{"at": "2024-05-01T12:00:00Z", "kind": "posted", "n": 1, "price": 1}`

// TestAPI asks the process that stands by what only the one that leads can
// answer: it passes the question on, streams included, and tells of itself in
// its health. Killed, the leader's streams end, and the same address goes on.
func TestAPI(t *testing.T) {
	f := newFleet(t)
	first, second := f.start(f.url, "--standby"), f.start(f.url, "--standby")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	if code, body := get(t, ctx, second.API+"/health"); code != http.StatusOK || !strings.Contains(body, `"part":"standby","ok":true,"reason":"stands by for the engine`) {
		t.Errorf("health of the one that stands by: %d %s", code, body)
	}
	if code, body := get(t, ctx, first.API+"/health"); code != http.StatusOK || strings.Contains(body, "standby") {
		t.Errorf("health of the leader: %d %s", code, body)
	}
	for _, m := range []struct {
		*member
		want []string
	}{{second, []string{`millstream_standby{pipeline="clicks"} 1`, `millstream_engine_up{pipeline="clicks"} 0`}}, {first, []string{`millstream_standby{pipeline="clicks"} 0`, `millstream_engine_up{pipeline="clicks"} 1`}}} {
		_, body := get(t, ctx, m.API+"/metrics")
		for _, want := range m.want {
			if !strings.Contains(body, want) {
				t.Errorf("%s is not in the metrics of %s", want, m.API)
			}
		}
	}
	if state := f.state(second); state != "standby" {
		t.Errorf("of itself it says %q", state)
	}
	var status struct{ State string }
	getJSON(t, ctx, second.API+"/v1/pipeline", &status)
	if status.State != "running" {
		t.Errorf("of the pipeline it says %q", status.State)
	}

	post, err := http.NewRequestWithContext(ctx, http.MethodPost, second.API+"/v1/topics/clicks?ack=committed", strings.NewReader(one))
	if err != nil {
		t.Fatal(err)
	}
	if code, body := do(t, post, "Content-Type", "application/json"); code != http.StatusOK || !strings.Contains(body, `"accepted":1`) {
		t.Errorf("posted through the one that stands by, waiting for the commit: %d %s", code, body)
	}
	stream := f.watch(ctx, second.API)
	if row := stream.row(); !strings.Contains(row, `"kind":"posted"`) {
		t.Errorf("the stream begins with %q", row)
	}
	first.Kill()
	stream.ended()
	f.settled(ctx, second)
	if code, body := get(t, ctx, second.API+"/v1/tables/totals?select=kind,clicks"); code != http.StatusOK || strings.TrimSpace(body) != `[{"kind":"posted","clicks":1}]` {
		t.Errorf("the table after the takeover: %d %s", code, body)
	}
	if row := f.watch(ctx, second.API).row(); !strings.Contains(row, `"kind":"posted"`) {
		t.Errorf("the stream after the takeover begins with %q", row)
	}
	if code, body := get(t, ctx, second.API+"/health"); code != http.StatusOK || strings.Contains(body, "standby") {
		t.Errorf("health after the takeover: %d %s", code, body)
	}
	f.judgeOne(second)
}

// settled waits until a process leads.
func (f *fleet) settled(ctx context.Context, m *member) {
	f.t.Helper()
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for f.state(m) != "running" {
		select {
		case <-tick.C:
		case <-ctx.Done():
			f.t.Fatal("it does not take over")
		}
	}
}

// judgeOne holds the tables against the one event of TestAPI.
func (f *fleet) judgeOne(m *member) {
	f.t.Helper()
	f.judge(&load{f: f, stop: func() {}, sent: 1}, m)
}

// stream is a live stream of the table totals.
type stream struct {
	f    *fleet
	body *bufio.Scanner
}

func (f *fleet) watch(ctx context.Context, api string) *stream {
	f.t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, api+"/v1/tables/totals/live", nil)
	if err != nil {
		f.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { res.Body.Close() })
	if res.StatusCode != http.StatusOK {
		f.t.Fatalf("live: %s", res.Status)
	}
	return &stream{f, bufio.NewScanner(res.Body)}
}

// row is the next line of data that holds a row.
func (s *stream) row() string {
	s.f.t.Helper()
	for s.body.Scan() {
		if data, ok := strings.CutPrefix(s.body.Text(), "data: "); ok && strings.Contains(data, "{") {
			return data
		}
	}
	s.f.t.Fatalf("the stream has ended: %v", s.body.Err())
	return ""
}

// ended reads to the end.
func (s *stream) ended() {
	for s.body.Scan() {
		continue
	}
}
