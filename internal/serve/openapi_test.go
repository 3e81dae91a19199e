package serve

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/millstream-dev/millstream/internal/serve/apikey"
)

// apiDescription is the part of an OpenAPI document that the tests look at.
type apiDescription struct {
	OpenAPI    string                          `json:"openapi"`
	Paths      map[string]map[string]apiAction `json:"paths"`
	Components struct {
		Schemas         map[string]apiSchema `json:"schemas"`
		SecuritySchemes map[string]any       `json:"securitySchemes"`
	} `json:"components"`
}

type apiAction struct {
	Description string                `json:"description"`
	Parameters  []map[string]any      `json:"parameters"`
	Security    []map[string][]string `json:"security"`
	Responses   map[string]struct {
		Content map[string]struct {
			Schema apiSchema `json:"schema"`
		} `json:"content"`
	} `json:"responses"`
}

type apiSchema struct {
	Ref         string                    `json:"$ref"`
	Type        any                       `json:"type"`
	Description string                    `json:"description"`
	Properties  map[string]map[string]any `json:"properties"`
	Items       *apiSchema                `json:"items"`
}

func readDescription(t *testing.T, f *fixture, header ...string) (d apiDescription, tag string) {
	t.Helper()
	status, body, h := f.get("/openapi.json", header...)
	if err := json.Unmarshal([]byte(body), &d); err != nil || status != 200 {
		t.Fatalf("%d %v", status, err)
	}
	return d, h.Get("ETag")
}

// rows gives the schema of a relation's rows.
func (d apiDescription) rows(name string) apiSchema {
	items := d.Paths["/v1/tables/"+name]["get"].Responses["200"].Content["application/json"].Schema.Items
	if items == nil {
		return apiSchema{}
	}
	return d.Components.Schemas[strings.TrimPrefix(items.Ref, "#/components/schemas/")]
}

// TestOpenAPI holds that the document describes every route and relation, and
// follows the catalogue.
func TestOpenAPI(t *testing.T) {
	pool := database(t, windows, `COMMENT ON TABLE pairs IS 'Events per window'; COMMENT ON COLUMN pairs.n IS 'How many';
		CREATE TABLE "a b/c" (x integer NOT NULL, y double precision, z text[], j jsonb); CREATE TABLE "a_b_c" (x integer)`)
	f := start(t, pool, nil)
	d, tag := readDescription(t, f)
	if !strings.HasPrefix(d.OpenAPI, "3.1") {
		t.Errorf("version %s", d.OpenAPI)
	}
	pages := map[string]bool{"/": true, "/{$}": true, "/docs": true, "/style.css": true, "/openapi.json": true, "/metrics": true}
	for _, pattern := range f.router.patterns {
		method, path, ok := strings.Cut(pattern, " ")
		if !ok || pages[path] || !strings.HasPrefix(path, "/v1/") {
			continue
		}
		if _, there := d.Paths[path][strings.ToLower(method)]; !there {
			t.Errorf("%s is not described", pattern)
		}
	}
	row := d.rows("pairs")
	if row.Description != "Events per window" || d.Paths["/v1/tables/pairs"]["get"].Description != "Events per window" || row.Properties["n"]["description"] != "How many" {
		t.Errorf("pairs: %+v", row)
	}
	for _, column := range []string{"window_start", "window_end", "k", "n", "_final"} {
		if row.Properties[column] == nil {
			t.Errorf("pairs' rows lack %s: %+v", column, row)
		}
	}
	if got := row.Properties["window_start"]["format"]; got != "date-time" {
		t.Errorf("window_start's format is %v", got)
	}
	other := d.rows("a%20b%2Fc")
	if got, err := json.Marshal(other.Properties); err != nil || string(got) != `{"j":{},"x":{"format":"int32","type":"integer"},"y":{"oneOf":[{"type":"number"},{"enum":["NaN","Infinity","-Infinity"],"type":"string"},{"type":"null"}]},"z":{"items":{"type":"string"},"type":["array","null"]}}` {
		t.Errorf("columns: %s, %v", got, err)
	}
	if len(d.rows("a_b_c").Properties) != 1 {
		t.Error("two tables of like names share a schema")
	}
	if status, _, _ := f.get("/openapi.json", "If-None-Match", tag); status != http.StatusNotModified {
		t.Errorf("the same again: %d", status)
	}
	exec(t, pool, "CREATE TABLE later (x integer); COMMENT ON TABLE pairs IS 'Another'")
	for len(d.rows("later").Properties) == 0 { // it appears with the next reading of the catalogue
		d, _ = readDescription(t, f)
	}
	if d.rows("pairs").Description != "Another" {
		t.Error("the comment is not followed")
	}
	if _, page, _ := f.get("/docs"); !strings.Contains(page, "<code>later</code>") || !strings.Contains(page, "How many") || !strings.Contains(page, "DELETE /v1/session") {
		t.Error("the page lacks what the document has")
	}
}

// TestOpenAPITellsKeys holds that operations say what the guard asks for.
func TestOpenAPITellsKeys(t *testing.T) {
	pool := database(t, "CREATE TABLE a (x integer)")
	d, _ := readDescription(t, start(t, pool, nil))
	for path, methods := range d.Paths {
		for method, op := range methods {
			if op.Security != nil {
				t.Errorf("%s %s asks for a key, and there is none", method, path)
			}
		}
	}
	key := newKey(t, pool, "one", apikey.All, nil)
	f := start(t, pool, nil)
	d, _ = readDescription(t, f, "X-API-Key", key)
	for path, methods := range d.Paths {
		for method, op := range methods {
			resp := f.do(strings.ToUpper(method), placeholder.ReplaceAllString(path, "a"), nil)
			readAll(t, resp)
			if asked := len(op.Security) > 0; asked != (resp.StatusCode == 401) {
				t.Errorf("%s %s: the document asks for a key: %t; without one the answer is %d", method, path, asked, resp.StatusCode)
			}
			for _, way := range op.Security {
				for name := range way {
					if d.Components.SecuritySchemes[name] == nil {
						t.Errorf("%s %s: there is no scheme %s", method, path, name)
					}
				}
			}
		}
	}
}
