package serve

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// TestPartsOfAStatement counts the rows of a page, and looks for its end, where
// the statement of that lacks values of the whole one: those of the order, of
// the cursor, or of the selection.
func TestPartsOfAStatement(t *testing.T) {
	f := start(t, database(t, `CREATE TABLE wide (id integer PRIMARY KEY, j jsonb, "$7" text)`,
		`INSERT INTO wide SELECT i, jsonb_build_object('a', i, 'b', -i), repeat('x', 2000) FROM generate_series(1, 2000) AS i`, "ANALYZE wide"), nil)
	next := func(h http.Header) string {
		link, _, _ := strings.Cut(strings.TrimPrefix(h.Get("Link"), "<"), ">")
		return link
	}
	_, _, first := f.get("/v1/tables/wide?select=id&id=gt.5&limit=2")
	for _, tt := range []struct {
		path, count, of string
		rows            int
	}{
		{"/v1/tables/wide?select=id&order=j->>a&limit=2", "exact", "0-1/2000", 2},
		{"/v1/tables/wide?select=id,j->b&order=j->a.desc&limit=2&id=lte.10", "exact", "0-1/10", 2},
		{"/v1/tables/wide?select=id&order=j->>a&limit=2", "planned", "0-1/2000", 2},
		{"/v1/tables/wide?select=id&order=j->>a&limit=2&id=lte.10", "estimated", "0-1/10", 2},
		{next(first), "exact", "0-1/1995", 2},
		{"/v1/tables/wide?select=id,j->a,%22$7%22&limit=1500", "", "0-1499/*", 1500},
		{"/v1/tables/wide?select=id,j->a,%22$7%22&limit=1500&order=j->b", "", "0-1499/*", 1500},
	} {
		status, body, h := f.get(tt.path, "Prefer", "count="+tt.count)
		var rows []map[string]any
		if err := json.Unmarshal([]byte(body), &rows); err != nil || len(rows) != tt.rows || status >= 300 {
			t.Errorf("%s: %d, %v: %.300s", tt.path, status, err, body)
			continue
		}
		if of := h.Get("Content-Range"); len(body) < spoolBytes && of != tt.of {
			t.Errorf("%s: Content-Range %q, want %q", tt.path, of, tt.of)
		}
		if link := next(h); !strings.Contains(link, "cursor=") {
			t.Errorf("%s: Link %q", tt.path, link)
		} else if status, body, _ := f.get(link); status != http.StatusOK {
			t.Errorf("%s: the next page: %d %.300s", tt.path, status, body)
		}
	}
}
