package serve

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/danielgtaylor/huma/v2"

	"github.com/millstream-dev/millstream/internal/serve/catalog"
	"github.com/millstream-dev/millstream/internal/serve/filter"
)

// document is the OpenAPI document of one reading of the catalogue, and of
// whether keys are asked for.
type document struct {
	mu   sync.Mutex
	hash string
	made *huma.OpenAPI
	json []byte
	etag string
}

// openapi answers GET /openapi.json.
func (s *Server) openapi(w http.ResponseWriter, r *http.Request) {
	state, err := s.catalog.Get(r.Context())
	if err != nil {
		s.fail(w, r, sqlProblem(err))
		return
	}
	_, text, tag, err := s.describe(r.Context(), state)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/openapi+json")
	h.Set("Cache-Control", "private, no-cache")
	h.Set("ETag", tag)
	if matches(r.Header.Values("If-None-Match"), tag) {
		h.Del("Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write(text) // a client that is gone needs no answer
}

// describe generates the document, anew when the catalogue has changed.
func (s *Server) describe(ctx context.Context, state *catalog.State) (*huma.OpenAPI, []byte, string, error) {
	asks, err := s.protected(ctx)
	if err != nil {
		return nil, nil, "", keysAway(err)
	}
	hash := fmt.Sprint(state.Hash, asks)
	d := &s.document
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.json != nil && d.hash == hash {
		return d.made, d.json, d.etag, nil
	}
	whole := *s.api.OpenAPI()
	components := *whole.Components
	whole.Components = &components
	rows := &registry{Registry: components.Schemas, rows: map[string]*huma.Schema{}}
	components.Schemas = rows
	whole.Paths = maps.Clone(whole.Paths)
	for _, r := range state.Relations {
		whole.Paths["/v1/tables/"+url.PathEscape(r.Name)] = &huma.PathItem{Get: relationOperation(r, rows.add(r))}
	}
	for path, item := range whole.Paths {
		whole.Paths[path] = secured(path, item, asks)
	}
	text, err := json.MarshalIndent(&whole, "", "  ")
	if err != nil {
		return nil, nil, "", fmt.Errorf("write the OpenAPI document: %w", err)
	}
	sum := sha256.Sum256(text)
	d.hash, d.made, d.json, d.etag = hash, &whole, text, `"`+base64.RawURLEncoding.EncodeToString(sum[:12])+`"`
	return d.made, text, d.etag, nil
}

// registry is the schemas of the API's own types and, beside them, one for the
// rows of each relation.
type registry struct {
	huma.Registry
	rows map[string]*huma.Schema
}

// add makes the schema of a relation's rows and gives its name, in which
// characters that no name may have are replaced.
func (g *registry) add(r *catalog.Relation) string {
	base := "rows_" + strings.Map(func(c rune) rune {
		if c < 0x80 && (c == '_' || c == '-' || c == '.' || unicode.IsLetter(c) || unicode.IsDigit(c)) {
			return c
		}
		return '_'
	}, r.Name)
	name := base
	for i := 2; g.rows[name] != nil; i++ {
		name = fmt.Sprintf("%s_%d", base, i)
	}
	g.rows[name] = rowSchema(r)
	return name
}

// MarshalJSON writes both.
func (g *registry) MarshalJSON() ([]byte, error) {
	all := maps.Clone(g.Registry.Map())
	maps.Copy(all, g.rows)
	return json.Marshal(all)
}

// secured is a path whose operations say what key they ask for, by the rules
// of their routes. Where no key is set up, none does.
func secured(path string, item *huma.PathItem, asks bool) *huma.PathItem {
	if !asks {
		return item
	}
	out := *item
	for method, op := range map[string]**huma.Operation{http.MethodGet: &out.Get, http.MethodPost: &out.Post, http.MethodDelete: &out.Delete, http.MethodPut: &out.Put, http.MethodPatch: &out.Patch} {
		if *op == nil {
			continue
		}
		asked, ok := rules[method+" "+path]
		if !ok && strings.HasPrefix(path, tablesPath) {
			asked = rules["GET /v1/tables/{name}"]
		} else if !ok {
			asked = admin
		}
		if asked.open {
			continue
		}
		said := **op
		said.Security = []map[string][]string{{"bearer": {}}, {"key": {}}, {"session": {}}}
		if names := asked.scope.String(); names != "" {
			said.Description = strings.TrimSpace(said.Description + " Scope: " + names + ".")
		}
		*op = &said
	}
	return &out
}

const tablesPath = "/v1/tables/"

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

// rowSchema is a relation's row. No column is required: select says which come.
func rowSchema(r *catalog.Relation) *huma.Schema {
	row := &huma.Schema{Type: "object", Title: r.Name, Description: r.Comment, Properties: map[string]*huma.Schema{}}
	for i := range r.Columns {
		row.Properties[r.Columns[i].Name] = columnSchema(&r.Columns[i])
	}
	if r.Live != nil && r.Live.Windowed() {
		row.Properties[finalColumn] = &huma.Schema{Type: "boolean", Description: "Whether the row's window is closed for good; when it is selected."}
	}
	return row
}

// relationOperation describes one relation with its columns; schema is the
// name of its rows'.
func relationOperation(r *catalog.Relation, schema string) *huma.Operation {
	params := readParams()
	for i := range r.Columns {
		if c := &r.Columns[i]; !reserved(c.Name) {
			params = append(params, &huma.Param{Name: c.Name, In: "query", Schema: text(),
				Description: strings.TrimSpace(c.Type + ": op.value, with " + columnOps(c) + ". " + c.Comment)})
		}
	}
	responses := rowsResponses(&huma.Schema{Ref: "#/components/schemas/" + schema})
	responses["default"] = &huma.Response{Description: "A problem.", Content: map[string]*huma.MediaType{
		"application/problem+json": {Schema: &huma.Schema{Ref: "#/components/schemas/Problem"}}}}
	return &huma.Operation{
		OperationID: "rows_" + r.Name, Tags: []string{"tables"},
		Summary: "Rows of " + r.Name, Description: r.Comment,
		Parameters: params, Responses: responses,
	}
}

// columnOps names the operators that fit a column's type.
func columnOps(c *catalog.Column) string {
	ops := "eq, neq, gt, gte, lt, lte, in, is, isdistinct"
	switch {
	case c.Cast == "json":
		ops = "is, and paths into it"
	case c.Cast == "jsonb":
		ops = "eq, neq, is, isdistinct, cs, cd, and paths into it"
	case c.Category == "S":
		ops += ", like, ilike, match, imatch"
	case c.Category == "A":
		ops += ", cs, cd, ov"
	case c.Category == "R":
		ops += ", cs, cd, ov, sl, sr, nxr, nxl, adj"
	}
	return ops
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
