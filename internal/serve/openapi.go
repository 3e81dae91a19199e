package serve

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/millstream-dev/millstream/internal/serve/catalog"
	"github.com/millstream-dev/millstream/internal/serve/filter"
)

// document is the OpenAPI document of one reading of the catalogue.
type document struct {
	mu   sync.Mutex
	hash string
	json []byte
}

// openapi answers GET /openapi.json.
func (s *Server) openapi(w http.ResponseWriter, r *http.Request) {
	state, err := s.catalog.Get(r.Context())
	if err != nil {
		s.fail(w, r, sqlProblem(err))
		return
	}
	text, err := s.describe(state)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/openapi+json")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(text) // a client that is gone needs no answer
}

// describe generates the document, anew when the catalogue has changed.
func (s *Server) describe(state *catalog.State) ([]byte, error) {
	d := &s.document
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.json != nil && d.hash == state.Hash {
		return d.json, nil
	}
	whole := *s.api.OpenAPI()
	whole.Paths = maps.Clone(whole.Paths)
	for _, r := range state.Relations {
		whole.Paths["/v1/tables/"+url.PathEscape(r.Name)] = &huma.PathItem{Get: relationOperation(r)}
	}
	text, err := json.MarshalIndent(&whole, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the OpenAPI document: %w", err)
	}
	d.hash, d.json = state.Hash, text
	return text, nil
}

func typeOf(v any) reflect.Type { return reflect.TypeOf(v) }

func text() *huma.Schema { return &huma.Schema{Type: "string"} }

func count(most float64) *huma.Schema {
	zero := 0.0
	return &huma.Schema{Type: "integer", Minimum: &zero, Maximum: &most}
}

// readParams are the parameters that every table takes.
func readParams() []*huma.Param {
	p := func(name, description string, schema *huma.Schema, example any) *huma.Param {
		return &huma.Param{Name: name, In: "query", Description: description, Schema: schema, Example: example}
	}
	return []*huma.Param{
		p("select", "Columns, comma-separated: name, alias:name, name::type, name->path->>key, * for all, for windowed views "+finalColumn+", and aggregates: name.avg(), .count(), .max(), .min(), .sum() and count(), over groups of the other columns.", text(), "*"),
		p("order", "Columns, comma-separated, each with .asc or .desc, and .nullsfirst or .nullslast.", text(), nil),
		p("limit", "Rows at most.", count(filter.MaxLimit), 100),
		p("offset", "Rows to leave out.", count(filter.MaxOffset), nil),
		p("cursor", "After which row to go on: take it from the Link header of the page before.", text(), nil),
		p("and", "Conditions that must all hold: (a.eq.1,or(b.is.null,b.gt.2)).", text(), nil),
		p("or", "Conditions of which one must hold.", text(), nil),
		p("not.and", "Conditions that must not all hold.", text(), nil),
		p("not.or", "Conditions of which none may hold.", text(), nil),
		p("final", "For windowed views: true gives rows of closed windows only, false the others.", &huma.Schema{Type: "boolean"}, nil),
		{Name: headerPrefer, In: "header", Description: "count=exact, planned or estimated; timezone=NAME; handling=strict or lenient.", Schema: text(), Example: "count=exact"},
		{Name: "Range", In: "header", Description: "Rows first-last, from 0: another way to say limit and offset.", Schema: text(), Example: "0-24"},
		{Name: "If-None-Match", In: "header", Description: "An ETag: the answer is 304 if it would be the same.", Schema: text()},
	}
}

func rowsOperation() huma.Operation {
	return huma.Operation{
		Method: http.MethodGet, Path: "/v1/tables/{name}", OperationID: "rows", Tags: []string{"tables"},
		Summary:     "Rows of a table or view",
		Description: "Every other parameter is a condition on a column: column=op.value or column=not.op.value, where op is one of " + operatorNames() + "; eq, gt, gte, lt, lte, like, ilike, match and imatch also with (any) or (all) and a list in braces. JSON by default; other formats by Accept or by the suffixes .ndjson, .csv, .arrow and .parquet.",
		Parameters:  readParams(),
		Responses:   rowsResponses(&huma.Schema{Type: "object"}),
		Errors:      []int{400, 401, 403, 404, 406, 414, 416, 503, 504},
	}
}

func operatorNames() string {
	names := make([]string, len(filter.Ops))
	for i, op := range filter.Ops {
		names[i] = string(op)
	}
	return strings.Join(names, ", ")
}

func rowsResponses(row *huma.Schema) map[string]*huma.Response {
	headers := map[string]*huma.Header{
		headerCommit:    {Description: "The last commit that the answer shows.", Schema: &huma.Schema{Type: "integer", Format: "int64"}},
		headerWatermark: {Description: "The event time up to which the answer is complete.", Schema: &huma.Schema{Type: "string", Format: "date-time"}},
		"ETag":          {Description: "Of answers up to a size: for If-None-Match.", Schema: text()},
		"Link":          {Description: "The next page, if there is one: rel=\"next\".", Schema: text()},
		"Content-Range": {Description: "Which rows came, and of how many if they were counted.", Schema: text()},
		headerApplied:   {Description: "What of Prefer was heeded.", Schema: text()},
	}
	content := map[string]*huma.MediaType{
		"application/json":                  {Schema: &huma.Schema{Type: "array", Items: row}},
		"application/vnd.pgrst.object+json": {Schema: row},
		"application/x-ndjson":              {Schema: text()},
		"text/csv":                          {Schema: text()},
		arrowMedia:                          {Schema: &huma.Schema{Type: "string", Format: "binary"}},
		parquetMedia:                        {Schema: &huma.Schema{Type: "string", Format: "binary"}},
	}
	return map[string]*huma.Response{
		"200": {Description: "The rows, from one snapshot.", Headers: headers, Content: content},
		"206": {Description: "A part of the rows, which were counted.", Headers: headers, Content: content},
		"304": {Description: "The answer has not changed."},
	}
}

// relationOperation describes one relation with its columns.
func relationOperation(r *catalog.Relation) *huma.Operation {
	row := &huma.Schema{Type: "object", Properties: map[string]*huma.Schema{}}
	params := readParams()
	for i := range r.Columns {
		c := &r.Columns[i]
		row.Properties[c.Name] = columnSchema(c)
		if !reserved(c.Name) {
			params = append(params, &huma.Param{Name: c.Name, In: "query", Schema: text(),
				Description: strings.TrimSpace(c.Type + ": op.value. " + c.Comment)})
		}
	}
	if r.Live != nil && r.Live.Windowed() {
		row.Properties[finalColumn] = &huma.Schema{Type: "boolean", Description: "Whether the row's window is closed for good; when it is selected."}
	}
	responses := rowsResponses(row)
	responses["default"] = &huma.Response{Description: "A problem.", Content: map[string]*huma.MediaType{
		"application/problem+json": {Schema: &huma.Schema{Ref: "#/components/schemas/Problem"}}}}
	return &huma.Operation{
		OperationID: "rows_" + r.Name, Tags: []string{"tables"},
		Summary: "Rows of " + r.Name, Description: r.Comment,
		Parameters: params, Responses: responses,
	}
}

// columnSchema is a column's values as to_json gives them.
func columnSchema(c *catalog.Column) *huma.Schema {
	s := valueSchema(c.Cast)
	s.Description = c.Comment
	if s.Type != "" && !c.NotNull {
		s.Nullable = true
	}
	if s.OneOf != nil && !c.NotNull {
		s.OneOf = append(s.OneOf, &huma.Schema{Type: "null"})
	}
	return s
}

func valueSchema(t string) *huma.Schema {
	if item, ok := strings.CutSuffix(t, "[]"); ok {
		return &huma.Schema{Type: "array", Items: valueSchema(item)}
	}
	switch t {
	case "boolean":
		return &huma.Schema{Type: "boolean"}
	case "smallint", "integer":
		return &huma.Schema{Type: "integer", Format: "int32"}
	case "bigint":
		return &huma.Schema{Type: "integer", Format: "int64"}
	case "real", "double precision", "numeric":
		return &huma.Schema{OneOf: []*huma.Schema{
			{Type: "number"},
			{Type: "string", Enum: []any{"NaN", "Infinity", "-Infinity"}},
		}}
	case "json", "jsonb":
		return &huma.Schema{}
	case "uuid", "date":
		return &huma.Schema{Type: "string", Format: t}
	case "timestamp with time zone":
		return &huma.Schema{Type: "string", Format: "date-time"}
	}
	return text()
}

func reserved(name string) bool { return slices.Contains(filter.Reserved, name) }
