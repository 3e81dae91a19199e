package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/millstream-dev/millstream/internal/serve/filter"
)

// Codes of problems. They are stable: programs may rely on them.
const (
	codeUnauthorized = "MS7001" // no key, or not the right one
	codeHost         = "MS7002" // the Host header names another server
	codeNotFound     = "MS7003" // no such route
	codeMethod       = "MS7004" // not with this method
	codeAccept       = "MS7005" // no format that the client takes
	codeInvalid      = "MS7006" // the request is not as described
	codeInternal     = "MS7007" // our fault; the log says more
	codeUnavailable  = "MS7008" // a part is away: try again
	codeCrossOrigin  = "MS7009" // a browser sent it from another site
	codeScope        = "MS7010" // the key lacks a scope
	codeRate         = "MS7011" // too many requests
	codeShare        = "MS7012" // too many long answers at once

	codeTable    = "MS7101" // no such table
	codeQuery    = "MS7102" // the query string is not the grammar
	codeTooLong  = "MS7103" // the query string is too long
	codeTooMuch  = "MS7104" // a limit of the grammar is met
	codeColumn   = "MS7105" // no such column
	codeOperator = "MS7106" // the operator does not fit the column
	codeFinal    = "MS7107" // finality is asked of what has no windows
	codeValue    = "MS7108" // PostgreSQL refuses a value
	codeTimeout  = "MS7109" // the statement took too long
	codeDenied   = "MS7110" // the role may not read it
	codeSQL      = "MS7111" // PostgreSQL refuses the statement
	codeCursor   = "MS7112" // the cursor is none, or of another order
	codeRange    = "MS7113" // a page that there is not
	codePrefer   = "MS7114" // a preference that is not known, with handling=strict
	codeSingle   = "MS7115" // one row is wanted, and there are none or several

	codeNotLive  = "MS7116" // a stream can't answer this
	codeStreams  = "MS7117" // there are too many streams
	codeNoEngine = "MS7118" // no engine runs in this process

	codeTopic     = "MS7201" // no such topic in the pipeline
	codeMedia     = "MS7202" // a content type or encoding that is not read
	codeBody      = "MS7203" // the body is not what its content type says
	codeBodySize  = "MS7204" // the body is too large
	codeRejected  = "MS7205" // no record of the body was accepted
	codeRecord    = "MS7206" // a record is not what its table asks for
	codeBodyCount = "MS7207" // the body has too many records

	codeBusy         = "MS7208" // too much is being written at once
	codeNotCommitted = "MS7209" // in the log, and not yet in the tables

	codeRefused   = "MS7301" // a statement that does more than read
	codeQueryRole = "MS7302" // the role of statements can't be used

	codeSparkReplays = "MS7401" // replays are asked for, and no engine takes them up
)

// Problem is an error as RFC 9457 describes it.
type Problem struct {
	Type    string `json:"type" doc:"A URI that names the kind of error." example:"urn:millstream:error:MS7105"`
	Title   string `json:"title" doc:"The status in words." example:"Bad Request"`
	Status  int    `json:"status" doc:"The HTTP status." example:"400"`
	Code    string `json:"code" doc:"The error's stable code." example:"MS7105"`
	Detail  string `json:"detail" doc:"What is wrong." example:"orders has no column \"amout\""`
	Message string `json:"message" doc:"The detail, where clients of PostgREST look for it."`
	Hint    string `json:"hint,omitempty" doc:"What to do about it." example:"did you mean \"amount\"?"`

	Parameter string `json:"parameter,omitempty" doc:"The query parameter that is at fault."`
	Position  int    `json:"position,omitempty" doc:"The character in that parameter's decoded value, or the byte in the body, counted from 1."`
	Line      int    `json:"line,omitempty" doc:"The line of the body, counted from 1."`
	SQLState  string `json:"sqlstate,omitempty" doc:"PostgreSQL's code of the error."`

	Accepted *int          `json:"accepted,omitempty" doc:"Records that were accepted, after a body was read."`
	Rejected *int          `json:"rejected,omitempty" doc:"Records that were rejected."`
	Errors   []RecordError `json:"errors,omitempty" doc:"The first rejected records, each with its reason."`

	cause error         // for the log
	allow string        // of 405
	total *int64        // of 416, rows that there are
	wait  time.Duration // until it is worth trying again; 0: a second, where it may be
}

// GetStatus is the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

func (p *Problem) Unwrap() error { return p.cause }

// ContentType makes JSON a problem document.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders are the headers that go with the status.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{"Cache-Control": {"no-store"}}
	switch p.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="millstream"`)
	case http.StatusMethodNotAllowed:
		h.Set("Allow", p.allow)
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		h.Set("Retry-After", seconds(max(p.wait, time.Second)))
	case http.StatusRequestedRangeNotSatisfiable:
		if p.total != nil {
			h.Set("Range-Unit", "items")
			h.Set("Content-Range", fmt.Sprintf("*/%d", *p.total))
		}
	}
	return h
}

func problem(status int, code, format string, args ...any) *Problem {
	detail := fmt.Sprintf(format, args...)
	return &Problem{
		Type:    "urn:millstream:error:" + code,
		Title:   http.StatusText(status),
		Status:  status,
		Code:    code,
		Detail:  detail,
		Message: detail,
	}
}

func (p *Problem) hint(format string, args ...any) *Problem {
	p.Hint = fmt.Sprintf(format, args...)
	return p
}

func (p *Problem) at(place filter.Place) *Problem {
	p.Parameter, p.Position = place.Parameter, place.Position
	return p
}

func (p *Problem) ranged(total int64) *Problem {
	p.total = &total
	return p
}

// after says when it is worth trying again.
func (p *Problem) after(wait time.Duration) *Problem {
	p.wait = wait
	return p
}

func (p *Problem) because(err error) *Problem {
	p.cause = err
	return p
}

// queryProblem is a fault of the query string.
func queryProblem(e *filter.Error) *Problem {
	p := problem(http.StatusBadRequest, codeQuery, "%s", e.Message)
	switch e.Kind {
	case filter.TooLong:
		p = problem(http.StatusRequestURITooLong, codeTooLong, "%s", e.Message)
	case filter.Limit:
		p = problem(http.StatusBadRequest, codeTooMuch, "%s", e.Message)
	}
	p.Hint = e.Hint
	return p.at(e.Place)
}

// fail answers with a problem. What is our fault or a part's is logged with
// its cause.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	var p *Problem
	if !errors.As(err, &p) {
		p = problem(http.StatusInternalServerError, codeInternal, "an internal error; the server's log says more").because(err)
	}
	if r.Context().Err() == nil {
		s.logProblem(r.Method, r.URL.Path, p)
	}
	h := w.Header()
	for name, values := range p.GetHeaders() {
		h[name] = values
	}
	h.Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(p) // a client that is gone needs no answer
}

// logProblem logs what is our fault or a part's; what is the client's is only
// answered.
func (s *Server) logProblem(method, path string, p *Problem) {
	if p.cause != nil && p.Status >= 500 {
		s.config.Log.Error("request failed", "method", method, "path", path, "status", p.Status, "code", p.Code, "error", p.cause)
	}
}

// humaError makes a problem of what huma finds wrong with a request.
func humaError(status int, message string, errs ...error) huma.StatusError {
	var details []string
	for _, err := range errs {
		if err != nil {
			details = append(details, err.Error())
		}
	}
	if len(details) > 0 {
		message += ": " + strings.Join(details, "; ")
	}
	code := codeInvalid
	if status == http.StatusInternalServerError && strings.HasPrefix(message, "cannot read request body") {
		status = http.StatusBadRequest // broken chunks, or a client that has gone
	}
	if status >= 500 {
		code = codeInternal
	}
	return problem(status, code, "%s", message)
}

// Huma makes its errors, and the schema of errors in the OpenAPI document,
// through this variable of the package.
func init() { huma.NewError = humaError }
