package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
)

// bodyRecord is one record of a body.
type bodyRecord struct {
	value []byte
	line  int          // from 1
	fault *RecordError // why it is none
}

// splitJSON splits a JSON body: an object is one record, an array has one
// record for each element. What is wrong inside of an element is found when
// it is decoded, as long as the array's own shape stands.
func splitJSON(body []byte, most int) ([]bodyRecord, *Problem) {
	trimmed := bytes.TrimLeft(body, " \t\r\n")
	if len(trimmed) == 0 {
		return nil, problem(http.StatusUnprocessableEntity, codeBody, "the body is empty").hint("send a JSON object, an array of objects, or NDJSON")
	}
	if trimmed[0] != '[' {
		start := len(body) - len(trimmed)
		return []bodyRecord{{value: bytes.TrimRight(trimmed, " \t\r\n"), line: 1 + bytes.Count(body[:start], []byte("\n"))}}, nil
	}
	var records []bodyRecord
	d := json.NewDecoder(bytes.NewReader(body))
	_, err := d.Token() // the opening bracket
	line, counted := 1, 0
	for err == nil && d.More() {
		if len(records) == most {
			return nil, tooMany(most)
		}
		var raw json.RawMessage
		if err = d.Decode(&raw); err != nil {
			break
		}
		start := int(d.InputOffset()) - len(raw)
		line += bytes.Count(body[counted:start], []byte("\n"))
		counted = start
		records = append(records, bodyRecord{value: raw, line: line})
	}
	if err == nil {
		_, err = d.Token() // the closing bracket
	}
	if err == nil {
		if rest := bytes.TrimLeft(body[d.InputOffset():], " \t\r\n"); len(rest) > 0 {
			return nil, badJSON(body, len(body)-len(rest), "there is more after the array")
		}
		return records, nil
	}
	return nil, whereBad(body)
}

// whereBad finds the place of a syntax error: the decoder of a stream does
// not count the brackets and commas that it has passed.
func whereBad(body []byte) *Problem {
	var syntax *json.SyntaxError
	err := json.Unmarshal(body, new(json.RawMessage))
	if errors.As(err, &syntax) && int(syntax.Offset) < len(body) {
		return badJSON(body, max(int(syntax.Offset)-1, 0), err.Error())
	}
	return badJSON(body, len(body), "it ends too early")
}

func badJSON(body []byte, at int, message string) *Problem {
	at = min(at, len(body))
	p := problem(http.StatusUnprocessableEntity, codeBody, "the body is not valid JSON: %s", message).hint("nothing was accepted; NDJSON (application/x-ndjson) lets good lines in")
	p.Position = at + 1
	p.Line = 1 + bytes.Count(body[:at], []byte("\n"))
	return p
}

func tooMany(most int) *Problem {
	return problem(http.StatusRequestEntityTooLarge, codeBodyCount, "the body has more than %d records", most).hint("send it in parts")
}

// splitLines splits NDJSON; empty lines are no records.
func splitLines(body []byte, most int) ([]bodyRecord, *Problem) {
	var records []bodyRecord
	line := 0
	for text := range bytes.Lines(body) {
		line++
		if text = bytes.Trim(text, " \t\r\n"); len(text) == 0 {
			continue
		}
		if len(records) == most {
			return nil, tooMany(most)
		}
		records = append(records, bodyRecord{value: text, line: line})
	}
	if len(records) == 0 {
		return nil, problem(http.StatusUnprocessableEntity, codeBody, "the body is empty").hint("send one JSON object per line")
	}
	return records, nil
}
