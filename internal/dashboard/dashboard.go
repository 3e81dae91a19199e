// Package dashboard holds the dashboard: pages that a browser runs, built from
// web/ by `make web` into dist/, which is part of the repository, so that the
// binary has them wherever it is built.
//
// Invariants:
//
//  1. Nothing here depends on the pipeline, and nothing is secret: the files
//     are given to anyone who may connect. What a page shows it asks of the
//     API, with a key where there is one.
//  2. A page's policy lets it load and ask from its own server only, and run
//     no inline script or style.
//  3. A file under /assets/ never changes under its name, which has a hash of
//     its content.
//
// What is not there is answered with 404 by the handler that was given.
package dashboard

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

//go:embed dist/index.html dist/assets
var dist embed.FS

// Routes are the patterns of the pages and their files. The page finds in its
// own address what to show.
var Routes = []string{
	"GET /{$}", "GET /tables", "GET /tables/{name}", "GET /topics", "GET /topics/{name}",
	"GET /quarantine", "GET /late", "GET /query", "GET /assets/{file}",
}

// policy is what a page may do.
const policy = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// file is a file as it is sent.
type file struct {
	media   string
	tag     string
	plain   []byte
	gzipped []byte // nil where it would save nothing
}

// files are all of them, compressed once: there are few and they are small.
var files = sync.OnceValue(func() map[string]*file {
	all := map[string]*file{}
	err := fs.WalkDir(dist, "dist", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := dist.ReadFile(name)
		if err != nil {
			return err
		}
		all[strings.TrimPrefix(name, "dist/")] = newFile(name, text)
		return nil
	})
	if err != nil {
		panic(fmt.Sprintf("dashboard: the embedded files: %v", err)) // the linker put them there
	}
	return all
})

func newFile(name string, text []byte) *file {
	sum := sha256.Sum256(text)
	f := &file{media: mime.TypeByExtension(path.Ext(name)), tag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`, plain: text}
	switch path.Ext(name) { // the machine's tables may lack them
	case ".js":
		f.media = "text/javascript; charset=utf-8"
	case ".svg":
		f.media = "image/svg+xml"
	}
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // fails for levels that there are not
	_, _ = w.Write(text)                                  // a buffer takes everything
	_ = w.Close()
	if b.Len() < len(text) {
		f.gzipped = b.Bytes()
	}
	return f
}

// Owns tells whether a path is a page or a file of a page.
func Owns(requested string) bool {
	switch first, rest, below := strings.Cut(strings.TrimPrefix(requested, "/"), "/"); first {
	case "":
		return requested == "/"
	case "quarantine", "late", "query":
		return !below
	case "tables", "topics":
		return !below || rest != "" && !strings.Contains(rest, "/")
	case "assets":
		return below && files()[first+"/"+rest] != nil
	}
	return false
}

// Handler serves Routes; missing answers for an asset that there is not.
func Handler(missing http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := "index.html"
		if asset := r.PathValue("file"); asset != "" {
			name = "assets/" + asset
		}
		f := files()[name]
		if f == nil {
			missing(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Cache-Control", cacheControl(name))
		f.send(w, r)
	})
}

func cacheControl(name string) string {
	// Without a hash in its name a file may change with the next version.
	if !strings.Contains(name, "-") {
		return "no-cache"
	}
	return "public, max-age=31536000, immutable"
}

func (f *file) send(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.media)
	h.Set("ETag", f.tag)
	h.Set("Vary", "Accept-Encoding")
	if strings.Contains(r.Header.Get("If-None-Match"), f.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := f.plain
	if f.gzipped != nil && takesGzip(r.Header.Values("Accept-Encoding")) {
		h.Set("Content-Encoding", "gzip")
		body = f.gzipped
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a client that is gone needs no answer
	}
}

func takesGzip(header []string) bool {
	for part := range strings.SplitSeq(strings.Join(header, ","), ",") {
		coding, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			q, _ := strings.CutPrefix(strings.TrimSpace(weight), "q=")
			n, err := strconv.ParseFloat(q, 64)
			return q == "" || err == nil && n > 0
		}
	}
	return false
}
