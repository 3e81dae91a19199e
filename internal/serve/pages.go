package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/millstream-dev/millstream/internal/serve/filter"
)

// estimateExact is up to how many rows count=estimated counts them.
const estimateExact = 1000

// askedPage joins limit and offset of the query with the Range header. A
// header that is no range of items, like one of bytes, counts for nothing.
func askedPage(q *filter.Query, r *http.Request) (page, bool, *Problem) {
	p := page{q.Limit, q.Offset}
	first, last, ok := parseRange(r)
	if !ok {
		return p, false, nil
	}
	if last != nil && *last < first {
		return p, false, problem(http.StatusRequestedRangeNotSatisfiable, codeRange, "the range ends before it begins").hint("write Range: 0-9 for the first ten rows")
	}
	end := last
	if p.limit != nil {
		if l := p.offset + *p.limit - 1; end == nil || l < *end {
			end = &l
		}
	}
	p.offset = max(p.offset, first)
	if end == nil {
		return p, true, nil
	}
	n := *end - p.offset + 1
	if n < 0 {
		return p, false, problem(http.StatusRequestedRangeNotSatisfiable, codeRange, "the Range header and limit and offset have no row in common").hint("use one of them")
	}
	p.limit = &n
	return p, true, nil
}

// parseRange reads Range: first-[last], with or without items= before it.
func parseRange(r *http.Request) (first int64, last *int64, ok bool) {
	if unit := r.Header.Get("Range-Unit"); unit != "" && unit != "items" {
		return 0, nil, false
	}
	a, b, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(r.Header.Get("Range")), "items="), "-")
	first, err := strconv.ParseInt(a, 10, 64)
	if !ok || err != nil || first < 0 || first > filter.MaxOffset {
		return 0, nil, false
	}
	if b == "" {
		return first, nil, true
	}
	end, err := strconv.ParseInt(b, 10, 64)
	if err != nil || end < 0 || end > filter.MaxOffset+filter.MaxLimit {
		return 0, nil, false
	}
	return first, &end, true
}

// total counts the rows of which a page is a part; -1 if nobody asked.
func (n *snapshot) total(ctx context.Context, st *statement, how counting) (int64, error) {
	switch how {
	case countExact:
		return n.count(ctx, "SELECT count(*) FROM ("+st.all()+") AS r", st.args)
	case countPlanned:
		return n.planned(ctx, st)
	case countEstimated:
		total, err := n.count(ctx, fmt.Sprintf("SELECT count(*) FROM (SELECT FROM (%s) AS r LIMIT %d) AS r", st.all(), estimateExact+1), st.args)
		if err != nil || total <= estimateExact {
			return total, err
		}
		planned, err := n.planned(ctx, st)
		return max(total, planned), err
	}
	return -1, nil
}

func (n *snapshot) count(ctx context.Context, sql string, args [][]byte) (total int64, err error) {
	err = n.each(ctx, sql, args, func(values [][]byte) (err error) {
		total, err = strconv.ParseInt(string(values[0]), 10, 64)
		return err
	})
	return total, err
}

// planned is how many rows PostgreSQL's planner expects.
func (n *snapshot) planned(ctx context.Context, st *statement) (int64, error) {
	var text []byte
	err := n.each(ctx, "EXPLAIN (FORMAT JSON) "+st.all(), st.args, func(values [][]byte) error {
		text = append(text, values[0]...)
		return nil
	})
	if err != nil {
		return 0, err
	}
	var plans []struct {
		Plan struct {
			Rows float64 `json:"Plan Rows"`
		}
	}
	if err := json.Unmarshal(text, &plans); err != nil || len(plans) != 1 {
		return 0, fmt.Errorf("read the plan: %w", err)
	}
	return int64(plans[0].Plan.Rows), nil
}

// beyondEnd is the answer to a page that begins after the last row.
func beyondEnd(offset, total int64) *Problem {
	return problem(http.StatusRequestedRangeNotSatisfiable, codeRange, "the page begins after row %d, and there are %d", offset, total).hint("begin earlier").ranged(total)
}

// rangeHeader writes Content-Range: the rows that an answer has, of how many.
// rows < 0: not known yet.
func (p page) rangeHeader(h http.Header, rows, total int64) {
	of := "*"
	if total >= 0 {
		of = strconv.FormatInt(total, 10)
	}
	which := "*"
	if rows > 0 {
		which = fmt.Sprintf("%d-%d", p.offset, p.offset+rows-1)
	}
	h.Set("Range-Unit", "items")
	h.Set("Content-Range", which+"/"+of)
}

// status is 206 for a page that is known to be a part.
func (p page) status(rows, total int64) int {
	if total >= 0 && rows < total {
		return http.StatusPartialContent
	}
	return http.StatusOK
}

// nextLink is the Link header to the page after the row with these keys.
func nextLink(r *http.Request, cursor string) string {
	var kept []string
	for part := range strings.SplitSeq(r.URL.RawQuery, "&") {
		name, _, _ := strings.Cut(part, "=")
		if name, err := url.QueryUnescape(name); part == "" || err == nil && (name == "cursor" || name == "offset") {
			continue
		}
		kept = append(kept, part)
	}
	kept = append(kept, "cursor="+cursor)
	return fmt.Sprintf(`<%s?%s>; rel="next"`, r.URL.EscapedPath(), linkSafe.Replace(strings.Join(kept, "&")))
}

// linkSafe keeps what a client left unescaped from ending the link.
var linkSafe = strings.NewReplacer("<", "%3C", ">", "%3E", `"`, "%22", " ", "%20")
