package serve

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"
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

// docs is the API in short, from the OpenAPI document's operations.
func (s *Server) docs(w http.ResponseWriter, r *http.Request) {
	type operation struct {
		Method, Path string
		*huma.Operation
	}
	var operations []operation
	for path, item := range s.api.OpenAPI().Paths {
		if item.Get != nil {
			operations = append(operations, operation{"GET", path, item.Get})
		}
		if item.Post != nil {
			operations = append(operations, operation{"POST", path, item.Post})
		}
	}
	slices.SortFunc(operations, func(a, b operation) int { return bytes.Compare([]byte(a.Path), []byte(b.Path)) })
	s.page(w, r, "docs.html", operations)
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
