package serve

import (
	"bytes"
	"cmp"
	"embed"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/millstream-dev/millstream/internal/serve/catalog"
)

//go:embed assets
var assets embed.FS

var pages = template.Must(template.ParseFS(assets, "assets/*.html"))

func (s *Server) pageRoutes() {
	s.router.HandleFunc("GET /docs", s.docs)
	s.router.HandleFunc("GET /openapi.json", s.openapi)
	s.router.HandleFunc("GET /style.css", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		http.ServeFileFS(w, r, assets, "assets/style.css")
	})
}

// docs is the API for people, from the OpenAPI document.
func (s *Server) docs(w http.ResponseWriter, r *http.Request) {
	state, err := s.catalog.Get(r.Context())
	if err != nil {
		s.fail(w, r, sqlProblem(err))
		return
	}
	document, _, _, err := s.describe(r.Context(), state)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	type operation struct {
		Method, Path string
		*huma.Operation
	}
	var operations []operation
	for path, item := range document.Paths {
		if item.Get != nil {
			operations = append(operations, operation{"GET", path, item.Get})
		}
		if item.Post != nil {
			operations = append(operations, operation{"POST", path, item.Post})
		}
		if item.Delete != nil {
			operations = append(operations, operation{"DELETE", path, item.Delete})
		}
	}
	slices.SortFunc(operations, func(a, b operation) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Method, b.Method))
	})
	s.page(w, r, "docs.html", struct {
		Relations  []*catalog.Relation
		Operations []operation
	}{state.Relations, operations})
}

func (s *Server) page(w http.ResponseWriter, r *http.Request, name string, data any) {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, data); err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(b.Bytes()) // a client that is gone needs no answer
}
