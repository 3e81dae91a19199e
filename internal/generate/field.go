package generate

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// field is a path to a value in a JSON object: user.id.
type field struct{ path []string }

// parseField reads a path; nil for an empty one.
func parseField(path string) (*field, error) {
	if path == "" {
		return nil, nil
	}
	steps := strings.Split(path, ".")
	for _, s := range steps {
		if s == "" {
			return nil, fmt.Errorf("field %q: want a name, or names with dots between them", path)
		}
	}
	return &field{steps}, nil
}

// raw is the value's JSON; nil if it is null, or not there, or the document
// is not an object.
func (f *field) raw(value []byte) json.RawMessage {
	at := json.RawMessage(value)
	for _, name := range f.path {
		var object map[string]json.RawMessage
		if json.Unmarshal(at, &object) != nil {
			return nil
		}
		at = object[name]
	}
	if string(at) == "null" {
		return nil
	}
	return at
}

// text is the value as a key: a string's content, otherwise its JSON.
func (f *field) text(value []byte) []byte {
	raw := f.raw(value)
	if len(raw) == 0 {
		return nil
	}
	var s string
	if raw[0] == '"' && json.Unmarshal(raw, &s) == nil {
		return []byte(s)
	}
	return raw
}

// partition is the value as a partition's number.
func (f *field) partition(value []byte) (int32, error) {
	text := f.text(value)
	if text == nil {
		return AnyPartition, nil
	}
	n, err := strconv.ParseInt(string(text), 10, 32)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("field %q is to name a partition, and holds %s: want a whole number from 0 on",
			strings.Join(f.path, "."), excerpt(text))
	}
	return int32(n), nil
}
