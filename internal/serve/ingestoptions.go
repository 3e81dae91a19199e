package serve

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/millstream-dev/millstream/internal/engine"
)

const (
	// headerKey gives all records of a body one key.
	headerKey = "Millstream-Key"
	// headerHeader gives all records of a body a header.
	headerHeader = "Millstream-Header"
)

// What an answer waits for.
const (
	ackNone      = "none"      // nothing
	ackLog       = "log"       // that the log has the records
	ackCommitted = "committed" // that the tables have them
)

// options are what a request says beside its body.
type options struct {
	ack     string
	key     func(value []byte) []byte // a record's key by its value
	headers []engine.Header           // of all records
	repeat  string                    // the request's name, "" for none
	request string                    // what the records' idempotency keys begin with
}

// ingestOptions reads query string and headers.
func ingestOptions(r *http.Request) (*options, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, problem(http.StatusBadRequest, codeInvalid, "the query string is not well encoded")
	}
	for name, values := range query {
		known := name == "key" || name == "ack" || name == "header"
		switch {
		case !known:
			return nil, badOption(name, "unknown parameter %q", printable(name)).hint("there are ack=none|log|committed, key=FIELD and header=NAME:VALUE")
		case len(values) > 1 && name != "header":
			return nil, badOption(name, "the parameter %s is given %d times", name, len(values)).hint("give it once")
		}
	}
	o := &options{ack: query.Get("ack")}
	switch o.ack {
	case "":
		o.ack = ackLog
	case ackNone, ackLog, ackCommitted:
	default:
		return nil, badOption("ack", "ack is %q", printable(o.ack)).hint("it is none, log or committed")
	}
	if o.key, err = keyOf(query.Get("key"), r.Header.Get(headerKey)); err != nil {
		return nil, err
	}
	if o.repeat, err = repeatKey(r); err != nil {
		return nil, err
	}
	o.headers, err = headersOf(append(query["header"], r.Header.Values(headerHeader)...))
	return o, err
}

func badOption(parameter, format string, args ...any) *Problem {
	p := problem(http.StatusBadRequest, codeInvalid, format, args...)
	p.Parameter = parameter
	return p
}

// keyOf gives the function that makes a record's key: of a field's value, of
// what the request's header says, or none.
func keyOf(field, header string) (func(value []byte) []byte, error) {
	switch {
	case field != "" && header != "":
		return nil, badOption("key", "the key is given twice, by key=%s and by the header %s", printable(field), headerKey)
	case field != "":
		return func(value []byte) []byte { return fieldKey(value, field) }, nil
	case header != "":
		return func([]byte) []byte { return []byte(header) }, nil
	}
	return func([]byte) []byte { return nil }, nil
}

// fieldKey is the text of a member of an object; nil without one.
func fieldKey(value []byte, field string) []byte {
	var object map[string]json.RawMessage
	if json.Unmarshal(value, &object) != nil {
		return nil
	}
	raw := object[field]
	if raw == nil || string(raw) == "null" {
		return nil
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return []byte(text)
	}
	return raw
}

// ownHeaders begin the names of record headers that mean something to the
// engine.
const ownHeaders = "millstream-"

// headersOf reads NAME:VALUE.
func headersOf(given []string) ([]engine.Header, error) {
	var out []engine.Header
	size := 0
	for _, text := range given {
		name, value, ok := strings.Cut(text, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		switch {
		case !ok || name == "":
			return nil, badOption("header", "%q is no header of a record", printable(text)).hint("write NAME:VALUE")
		case !utf8.ValidString(text):
			return nil, badOption("header", "a header is not UTF-8")
		case strings.HasPrefix(strings.ToLower(name), ownHeaders):
			return nil, badOption("header", "headers that begin with %s are the engine's", ownHeaders).hint("take another name")
		}
		size += len(name) + len(value)
		out = append(out, engine.Header{Key: name, Value: []byte(value)})
	}
	if len(out) > maxRecordHeaders || size > maxHeaderText {
		return nil, badOption("header", "the headers of a record are more than %d, or longer than %d bytes", maxRecordHeaders, maxHeaderText).hint("put what is long into the records")
	}
	return out, nil
}
