package dashboard

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// firstLoad is how many compressed bytes the first page may take: page, script
// and style, without what is loaded when it is needed.
const firstLoad = 150_000

func mux() *http.ServeMux {
	m := http.NewServeMux()
	h := Handler(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	for _, pattern := range Routes {
		m.Handle(pattern, h)
	}
	return m
}

func get(path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	mux().ServeHTTP(w, r)
	return w
}

// TestDistBelongsToSources compares the list that the build has left with the
// sources as they are.
func TestDistBelongsToSources(t *testing.T) {
	want, err := os.ReadFile("dist/sources.sha256")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	err = filepath.WalkDir("../../web", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() == ".gitignore" {
			return err
		}
		if entry.IsDir() {
			if entry.Name() == "node_modules" {
				return filepath.SkipDir
			}
			return nil
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel("../../web", path)
		got[filepath.ToSlash(name)] = fmt.Sprintf("%x", sha256.Sum256(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(want)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if got[name] != sum {
			t.Errorf("web/%s is not what dist was built from: run `make web` and commit internal/dashboard/dist", name)
		}
		delete(got, name)
	}
	for name := range got {
		t.Errorf("dist was built without web/%s: run `make web` and commit internal/dashboard/dist", name)
	}
}

func TestPages(t *testing.T) {
	for _, path := range []string{"/", "/tables", "/tables/orders%20of%20today", "/topics", "/topics/raw", "/quarantine", "/late", "/query"} {
		w := get(path)
		if w.Code != 200 || w.Header().Get("Content-Type") != "text/html; charset=utf-8" || w.Header().Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
		if !Owns(strings.ReplaceAll(path, "%20", " ")) {
			t.Errorf("%s is not owned", path)
		}
		if tag := w.Header().Get("ETag"); get(path, "If-None-Match", tag).Code != http.StatusNotModified {
			t.Errorf("%s with its own ETag is sent again", path)
		}
	}
	for _, path := range []string{"/v1/tables", "/tables/a/b", "/tables/", "/assets", "/assets/", "/assets/none.js", "/index.html", "/sources.sha256", "/late/x", "/tablesx", ""} {
		if Owns(path) {
			t.Errorf("%q is owned", path)
		}
	}
	for _, path := range []string{"/assets/none.js", "/assets/..%2findex.html", "/sources.sha256", "/tables/a/b"} {
		if w := get(path); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

var (
	reference = regexp.MustCompile(`(?:src|href)="([^"]+)"`)
	inline    = regexp.MustCompile(`<style|<script[^>]*>[^<]|\son\w+=|\sstyle=|javascript:`)
)

// TestFirstLoad follows the page's references: they are its own, all there,
// kept by browsers for good, and small.
func TestFirstLoad(t *testing.T) {
	page := get("/").Body.String()
	if bad := inline.FindString(page); bad != "" {
		t.Errorf("the page has %q, which its policy forbids", bad)
	}
	total := 0
	count := func(path string) {
		w := get(path, "Accept-Encoding", "br, gzip;q=0.8")
		total += w.Body.Len()
		if w.Header().Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(bytes.NewReader(w.Body.Bytes()))
			if err != nil {
				t.Fatal(err)
			}
			plain, err := io.ReadAll(z)
			if err != nil || !bytes.Equal(plain, get(path).Body.Bytes()) {
				t.Errorf("%s is another compressed (%v)", path, err)
			}
		}
	}
	count("/")
	for _, m := range reference.FindAllStringSubmatch(page, -1) {
		if m[1] == "/docs" {
			continue
		}
		w := get(m[1])
		if w.Code != 200 || !strings.HasPrefix(m[1], "/assets/") {
			t.Errorf("the page refers to %s: %d", m[1], w.Code)
		}
		if strings.Contains(m[1], "-") && !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: Cache-Control %q", m[1], w.Header().Get("Cache-Control"))
		}
		count(m[1])
	}
	t.Logf("the first load is %d bytes, compressed", total)
	if total > firstLoad || total < 10_000 {
		t.Errorf("the first load takes %d bytes, want at most %d", total, firstLoad)
	}
}

func TestTakesGzip(t *testing.T) {
	for header, want := range map[string]bool{"gzip": true, "br, GZIP": true, "gzip;q=0": false, "gzip;q=0.5": true, "": false, "deflate, br": false, "gzip;q=x": false} {
		if takesGzip([]string{header}) != want {
			t.Errorf("%q: want %t", header, want)
		}
	}
}
