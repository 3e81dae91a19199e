package local

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// TestFetchFails has repositories that don't give what is asked for: the
// error says which address failed, and what else one can do.
func TestFetchFails(t *testing.T) {
	noChecksum := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".sha256") {
			http.NotFound(w, r)
			return
		}
		w.Write([]byte("not an archive"))
	}))
	defer noChecksum.Close()
	wrongChecksum := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte("not an archive, nor its checksum"))
	}))
	defer wrongChecksum.Close()
	for _, c := range []struct{ repository, want string }{
		{"http://127.0.0.1:1", "connection refused"},
		{noChecksum.URL, ".jar.sha256 answers 404"},
		{wrongChecksum.URL, "checksums do not match"},
	} {
		cache := t.TempDir()
		reported := int64(0)
		s := &search{refused: []string{"/old/bin: version 9.6 is too old"}}
		_, err := s.fetch(t.Context(), cache, c.repository, func(done, _ int64) { reported = done })
		if err == nil {
			t.Fatalf("%s: something was fetched", c.want)
		}
		for _, want := range []string{c.want, "version 9.6 is too old", "--pg-bin", "--database-url"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("error %v\nwant %q in it", err, want)
			}
		}
		if strings.Contains(c.want, "checksum") && reported == 0 {
			t.Error("no progress was reported")
		}
		if left, _ := os.ReadDir(cache); len(left) != 0 {
			t.Errorf("%s: %v is left in the cache", c.want, left)
		}
	}
}
