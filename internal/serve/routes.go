package serve

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/millstream-dev/millstream/internal/telemetry"
)

// router is the standard mux that remembers its patterns, so that tests can
// try every route.
type router struct {
	*http.ServeMux
	patterns []string
}

// HandleFunc adds a route.
func (r *router) HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	r.patterns = append(r.patterns, pattern)
	r.ServeMux.HandleFunc(pattern, h)
}

// anywhere is the pattern of what no route matches.
const anywhere = "/"

// route is the pattern that a request met, without its method.
func (r *router) route(req *http.Request) string {
	if req.Pattern == "" || req.Pattern == anywhere {
		return "none"
	}
	_, path, ok := strings.Cut(req.Pattern, " ")
	if !ok {
		return req.Pattern
	}
	return path
}

// allowed gives the methods under which a path has a route.
func (r *router) allowed(req *http.Request) []string {
	var methods []string
	for _, m := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		try := &http.Request{Method: m, URL: req.URL, Host: req.Host}
		if _, pattern := r.Handler(try); pattern != anywhere && pattern != "" {
			methods = append(methods, m)
		}
	}
	return methods
}

// routes makes the router. Operations are registered with huma, which
// describes them in the OpenAPI document.
func (s *Server) routes() {
	s.router = &router{ServeMux: http.NewServeMux()}
	c := huma.DefaultConfig("Millstream", s.config.Version)
	c.OpenAPIPath, c.DocsPath, c.SchemasPath, c.CreateHooks = "", "", "", nil
	c.Info.Description = "Tables, status and ingest of the pipeline " + s.config.Name + "."
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer":  {Type: "http", Scheme: "bearer", Description: "An API key, or a token."},
		"key":     {Type: "apiKey", In: "header", Name: "X-API-Key", Description: "An API key."},
		"session": {Type: "apiKey", In: "cookie", Name: s.cookieName(), Description: "The cookie of POST /v1/session, for pages of this server."},
	}
	s.api = humago.New(s.router, c)
	s.healthRoutes()
	s.readRoutes()
	s.queryRoutes()
	s.dashboardRoutes()
	s.statusStreamRoutes()
	s.topicRoutes()
	s.ledgerRoutes()
	s.ingestRoutes()
	s.pageRoutes()
	s.sessionRoutes()
	s.router.HandleFunc(anywhere, s.missing)
}

// missing answers what no route matches.
func (s *Server) missing(w http.ResponseWriter, r *http.Request) {
	if methods := s.router.allowed(r); methods != nil {
		p := problem(http.StatusMethodNotAllowed, codeMethod, "%s has no method %s", r.URL.Path, printable(r.Method)).hint("its methods are %s", strings.Join(methods, ", "))
		p.allow = strings.Join(methods, ", ")
		s.fail(w, r, p)
		return
	}
	s.fail(w, r, problem(http.StatusNotFound, codeNotFound, "there is no route %s", printable(r.URL.Path)).hint("GET /openapi.json lists them"))
}

// report makes what huma answers with of a handler's error.
func (s *Server) report(op huma.Operation, err error) error {
	var p *Problem
	if !errors.As(err, &p) {
		p = sqlProblem(err)
	}
	s.logProblem(op.Method, op.Path, p)
	return p
}

type healthOutput struct {
	Status       int
	CacheControl string `header:"Cache-Control"`
	Body         *health
}

func (s *Server) healthRoutes() {
	probe := func(op huma.Operation) {
		op.Tags = []string{"health"}
		op.Responses = map[string]*huma.Response{"503": {Description: "A part does not work; the checks say which and why.", Content: jsonOf(s.api, health{})}}
		huma.Register(s.api, op, func(ctx context.Context, _ *struct{}) (*healthOutput, error) {
			out := &healthOutput{http.StatusOK, "no-store", s.check(ctx)}
			if !out.Body.ok() {
				out.Status = http.StatusServiceUnavailable
			}
			return out, nil
		})
	}
	probe(huma.Operation{Method: http.MethodGet, Path: "/health", OperationID: "health", Summary: "How every part stands"})
	probe(huma.Operation{Method: http.MethodGet, Path: "/readyz", OperationID: "ready", Summary: "Whether requests can be answered"})
	alive := huma.Operation{Method: http.MethodGet, Path: "/livez", OperationID: "alive", Summary: "Whether the process answers", Tags: []string{"health"}}
	huma.Register(s.api, alive, func(context.Context, *struct{}) (*healthOutput, error) {
		return &healthOutput{http.StatusOK, "no-store", &health{Status: "healthy", Checks: []Check{}}}, nil
	})
	if s.config.Metrics != nil {
		s.router.HandleFunc("GET /metrics", telemetry.MetricsHandler(s.config.Metrics.Registry()).ServeHTTP)
	}
}

func jsonOf(api huma.API, v any) map[string]*huma.MediaType {
	return map[string]*huma.MediaType{"application/json": {Schema: huma.SchemaFromType(api.OpenAPI().Components.Schemas, typeOf(v))}}
}

func (s *Server) readRoutes() {
	list := huma.Operation{Method: http.MethodGet, Path: "/v1/tables", OperationID: "tables", Summary: "The tables and views", Tags: []string{"tables"}, Errors: []int{401, 503}}
	type listOutput struct {
		CacheControl string `header:"Cache-Control"`
		Body         *tablesAnswer
	}
	huma.Register(s.api, list, func(ctx context.Context, _ *struct{}) (*listOutput, error) {
		body, _, err := s.tables(ctx)
		if err != nil {
			return nil, s.report(list, err)
		}
		return &listOutput{"no-store", body}, nil
	})

	rows := rowsOperation()
	huma.Register(s.api, rows, func(_ context.Context, in *struct {
		Name string `path:"name" doc:"A table or view, also with the suffix of a format: .json, .ndjson, .csv, .arrow, .parquet."`
	}) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(c huma.Context) {
			r, w := humago.Unwrap(c)
			if err := s.rows(w, r, in.Name); err != nil {
				s.fail(w, r, err)
			}
		}}, nil
	})

	s.liveRoutes()

	status := huma.Operation{Method: http.MethodGet, Path: "/v1/pipeline", OperationID: "pipeline", Summary: "How the pipeline stands", Tags: []string{"pipeline"}, Errors: []int{401, 503}}
	type statusOutput struct {
		CacheControl string `header:"Cache-Control"`
		Body         PipelineStatus
	}
	huma.Register(s.api, status, func(ctx context.Context, _ *struct{}) (*statusOutput, error) {
		if s.config.Status == nil {
			return nil, s.report(status, problem(http.StatusServiceUnavailable, codeUnavailable, "no engine runs in this process").hint("ask the server of the process that runs the pipeline"))
		}
		body, err := s.config.Status.Pipeline(ctx)
		if err != nil {
			return nil, s.report(status, problem(http.StatusServiceUnavailable, codeUnavailable, "the engine does not tell how it stands").because(err))
		}
		return &statusOutput{"no-store", body}, nil
	})
}

func (s *Server) ingestRoutes() {
	op := s.ingestOperation()
	huma.Register(s.api, op, func(_ context.Context, in *struct {
		Topic string `path:"topic" doc:"A topic of the pipeline, by Kafka's name or its foreign table's."`
	}) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(c huma.Context) {
			r, w := humago.Unwrap(c)
			if err := s.ingest(w, r, in.Topic); err != nil {
				s.fail(w, r, err)
			}
		}}, nil
	})
	s.api.OpenAPI().Paths[op.Path].Post.RequestBody = ingestBody()
}
