package compose

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// api is the pipeline's API on its published port.
type api struct {
	t    *testing.T
	base string
	key  string
}

func (s *stack) api() *api {
	return &api{t: s.t, base: "http://localhost:" + s.env["FLASK_PORT"], key: s.env["API_KEY"]}
}

// ask gets a page; status 0 where nobody answers.
func (a *api) ask(path, key string) (int, string) {
	return get(context.Background(), a.base+path, key)
}

func get(ctx context.Context, url, key string) (int, string) {
	ctx, cancel := context.WithTimeout(ctx, arrival)
	defer cancel()
	res, err := open(ctx, url, key)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, strings.TrimSpace(string(body))
}

func open(ctx context.Context, url, key string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	return http.DefaultClient.Do(req)
}

// counted is how many events the rows of processed_data hold.
func (a *api) counted() int64 {
	a.t.Helper()
	code, body := a.ask("/v1/tables/processed_data?select=n:events.sum()", a.key)
	var rows []struct{ N *int64 }
	if err := json.Unmarshal([]byte(body), &rows); code != http.StatusOK || err != nil || len(rows) != 1 {
		a.t.Fatalf("the table: %d %s (%v)", code, body, err)
	}
	if rows[0].N == nil {
		return 0
	}
	return *rows[0].N
}

// follow watches the table's live stream until the events that its rows count
// satisfy enough, as of a commit.
func (a *api) follow(enough func(total int64) bool) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), arrival)
	defer cancel()
	res, err := open(ctx, a.base+"/v1/tables/processed_data/live", a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	rows := map[string]int64{}
	var total int64
	for event, data := range events(res.Body) {
		if event != "commit" {
			total = take(a.t, rows, event, data)
		} else if enough(total) {
			return
		}
	}
	a.t.Fatalf("the live stream does not show it within %s: %d events at %s", arrival, total, res.Status)
}

// events reads server-sent events, whose data may have several lines.
func events(r io.Reader) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		var event, data string
		for text := range lines(r) {
			if name, ok := strings.CutPrefix(text, "event: "); ok {
				event = name
			} else if more, ok := strings.CutPrefix(text, "data: "); ok {
				data += more
			} else if text == "" && event != "" {
				if !yield(event, data) {
					return
				}
				event, data = "", ""
			}
		}
	}
}

// row is what is watched of processed_data.
type row struct {
	Timestamp, Type string
	Events          int64
}

// take keeps rows as the stream's events say, and counts their events.
func take(t *testing.T, rows map[string]int64, event, data string) (total int64) {
	t.Helper()
	var changed []row
	switch event {
	case "reset":
		clear(rows)
		return 0
	case "snapshot":
		clear(rows)
	case "upsert":
		data = "[" + data + "]"
	default:
		t.Fatalf("the live stream tells %s %s", event, data)
	}
	if err := json.Unmarshal([]byte(data), &changed); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	for _, r := range changed {
		rows[fmt.Sprint(r.Timestamp, r.Type)] = r.Events
	}
	for _, n := range rows {
		total += n
	}
	return total
}

// lines reads lines until the end.
func lines(r io.Reader) iter.Seq[string] {
	return func(yield func(string) bool) {
		scanner := bufio.NewScanner(r)
		scanner.Buffer(nil, 8<<20)
		for scanner.Scan() {
			if !yield(scanner.Text()) {
				return
			}
		}
	}
}

func contains(list []string, word string) bool { return slices.Contains(list, word) }
