package serve

import (
	"net/http"

	"github.com/millstream-dev/millstream/internal/serve/apikey"
)

// rule is what a route asks of those who call it.
type rule struct {
	open  bool         // nobody is asked for a key
	scope apikey.Scope // that the key must have; 0: any key will do
}

var (
	open   = rule{open: true}
	ingest = rule{scope: apikey.Ingest}
	read   = rule{scope: apikey.Read}
	admin  = rule{scope: apikey.Admin}
)

// rules has a rule for each pattern of the router; a test compares the two. A
// route without one asks for the scope admin, so that what is forgotten is
// closed. Where no key is set up, on loopback, no rule asks for anything.
var rules = map[string]rule{
	// What an orchestrator asks.
	"GET /livez":  open,
	"GET /readyz": open,
	"GET /health": open,
	// How a page gets in.
	"GET /v1/session":    open,
	"POST /v1/session":   open,
	"DELETE /v1/session": open,
	"GET /style.css":     open,
	// The dashboard's files, which hold nothing of the pipeline.
	"GET /{$}":           open,
	"GET /tables":        open,
	"GET /tables/{name}": open,
	"GET /topics":        open,
	"GET /topics/{name}": open,
	"GET /quarantine":    open,
	"GET /late":          open,
	"GET /query":         open,
	"GET /assets/{file}": open,

	"GET /docs":                      read,
	"GET /openapi.json":              read,
	"GET /metrics":                   read,
	"GET /v1/tables":                 read,
	"GET /v1/tables/{name}":          read,
	"GET /v1/tables/{name}/live":     read,
	"GET /v1/live":                   read,
	"GET /v1/query":                  read,
	"GET /v1/pipeline":               read,
	"GET /v1/pipeline/live":          read,
	"GET /v1/topics":                 read,
	"GET /v1/topics/{topic}/records": admin, // payloads
	"GET /v1/quarantine":             admin, // payloads
	"GET /v1/late":                   admin, // payloads
	"POST /v1/topics/{topic}":        ingest,
	"POST /v1/quarantine/replay":     admin,
	"POST /v1/quarantine/drop":       admin,
	"POST /v1/late/replay":           admin,
	"POST /v1/late/drop":             admin,

	anywhere: {}, // whoever has a key is told that there is no such route
}

// ruleOf gives the rule of the route that a request meets.
func (r *router) ruleOf(req *http.Request) rule {
	_, pattern := r.Handler(req)
	if pattern == "" {
		pattern = anywhere
	}
	if found, ok := rules[pattern]; ok {
		return found
	}
	return admin
}
