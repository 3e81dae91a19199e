package serve

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
)

// TestBusyDatabase asks while others hold all connections: the answer is 503,
// and many who ask wait together for it, not one after the other.
func TestBusyDatabase(t *testing.T) {
	pool := database(t, liveTable)
	few, err := pgxpool.New(t.Context(), pool.Config().ConnString())
	if err != nil {
		t.Fatal(err)
	}
	defer few.Close()
	f := start(t, pool, func(c *Config) { c.Pool = few })
	for range few.Config().MaxConns {
		c, err := few.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Release()
	}
	errs := make([]error, 20)
	var asked sync.WaitGroup
	for i := range errs {
		asked.Go(func() { _, errs[i] = f.catalog.Get(t.Context()) })
	}
	asked.Wait()
	for i, err := range errs {
		if err == nil || err != errs[0] { //nolint:errorlint // the same one
			t.Errorf("request %d has a failure of its own: %v", i, err)
		}
	}
	if status, body, _ := f.get("/v1/tables/totals"); status != http.StatusServiceUnavailable || !strings.Contains(body, codeUnavailable) {
		t.Errorf("%d %s", status, body)
	}
}
