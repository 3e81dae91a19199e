package serve

import (
	"bytes"
	"strings"

	"github.com/millstream-dev/millstream/internal/serve/catalog"
)

// format is a way to write rows. A further format is one more of them.
type format struct {
	name        string
	suffix      string // of the path; "" for none
	contentType string
	accepts     []string // media types that ask for it
	// stripped asks for the parameter nulls=stripped of the media type, and
	// leaves out nulls.
	stripped bool
	// single wants exactly one row.
	single bool
	// list is the select list over r, the row, of what the encoder takes.
	list func(*statement) string
	// described has the encoder take values in binary, of the types that a
	// statement's description gives; list is given them.
	described func(st *statement, types []uint32) string
	encoder   func(columns []string, types []uint32) encoder
}

// encoder writes the rows of one answer: each method appends to dst what is
// to be sent.
type encoder interface {
	head(dst []byte) ([]byte, error)
	row(dst []byte, values [][]byte) ([]byte, error)
	tail(dst []byte) ([]byte, error)
}

// formats in order of preference.
var formats = []*format{jsonFormat, csvFormat, ndjsonFormat, arrowFormat, parquetFormat, objectFormat, strippedFormat, strippedObjectFormat}

// jsonFormat is an array of objects, one to a line. PostgreSQL itself writes
// them, so each value is what to_json gives: NaN and the infinities as
// strings, times in ISO 8601.
var jsonFormat = &format{
	name:        "JSON",
	suffix:      ".json",
	contentType: "application/json; charset=utf-8",
	accepts:     []string{"application/json", "application/vnd.pgrst.array+json"},
	list:        func(*statement) string { return "row_to_json(r.*)::text" },
	encoder:     func([]string, []uint32) encoder { return &lines{"[", ",\n", "]\n", 0} },
}

// ndjsonFormat is an object to a line.
var ndjsonFormat = &format{
	name:        "NDJSON",
	suffix:      ".ndjson",
	contentType: "application/x-ndjson; charset=utf-8",
	accepts:     []string{"application/x-ndjson", "application/jsonl"},
	list:        jsonFormat.list,
	encoder:     func([]string, []uint32) encoder { return &lines{"", "\n", "\n", 0} },
}

// objectFormat is the one row that the answer must have, as PostgREST's
// clients ask for it.
var objectFormat = &format{
	name:        "one JSON object",
	contentType: "application/vnd.pgrst.object+json; charset=utf-8",
	accepts:     []string{"application/vnd.pgrst.object+json"},
	single:      true,
	list:        jsonFormat.list,
	encoder:     func([]string, []uint32) encoder { return &lines{"", "\n", "\n", 0} },
}

// strippedFormat and strippedObjectFormat leave out columns that are null.
var strippedFormat = &format{
	name:        "JSON without nulls",
	contentType: "application/vnd.pgrst.array+json; nulls=stripped; charset=utf-8",
	accepts:     jsonFormat.accepts,
	stripped:    true,
	list:        func(*statement) string { return "json_strip_nulls(row_to_json(r.*))::text" },
	encoder:     jsonFormat.encoder,
}

var strippedObjectFormat = &format{
	name:        "one JSON object without nulls",
	contentType: "application/vnd.pgrst.object+json; nulls=stripped; charset=utf-8",
	accepts:     objectFormat.accepts,
	stripped:    true,
	single:      true,
	list:        strippedFormat.list,
	encoder:     objectFormat.encoder,
}

// lines writes texts with something before, between and after them.
type lines struct {
	before, between, after string
	rows                   int
}

func (l *lines) head(dst []byte) ([]byte, error) { return append(dst, l.before...), nil }

func (l *lines) row(dst []byte, values [][]byte) ([]byte, error) {
	if l.rows++; l.rows > 1 {
		dst = append(dst, l.between...)
	}
	return append(dst, values[0]...), nil
}

func (l *lines) tail(dst []byte) ([]byte, error) {
	if l.rows == 0 && l.before == "" {
		return dst, nil
	}
	return append(dst, l.after...), nil
}

// csvFormat is what COPY … CSV HEADER writes, booleans as true and false: a
// null is nothing, an empty string is "".
var csvFormat = &format{
	name:        "CSV",
	suffix:      ".csv",
	contentType: "text/csv; charset=utf-8; header=present",
	accepts:     []string{"text/csv"},
	list: func(st *statement) string {
		list := make([]string, len(st.outputs))
		for i, o := range st.outputs {
			list[i] = "r." + catalog.Quote(o.name)
			if o.boolean {
				list[i] += "::text"
			}
		}
		return strings.Join(list, ", ")
	},
	encoder: func(columns []string, _ []uint32) encoder { return csvEncoder(columns) },
}

// csvEncoder writes CSV with these columns.
type csvEncoder []string

func (c csvEncoder) head(dst []byte) ([]byte, error) {
	for i, name := range c {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendCSV(dst, []byte(name), len(c) == 1)
	}
	return append(dst, '\n'), nil
}

func (csvEncoder) row(dst []byte, values [][]byte) ([]byte, error) {
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		if v != nil {
			dst = appendCSV(dst, v, len(values) == 1)
		}
	}
	return append(dst, '\n'), nil
}

func (csvEncoder) tail(dst []byte) ([]byte, error) { return dst, nil }

// appendCSV appends one field, quoted where COPY quotes it: \. alone on a
// line would be taken for the end of data.
func appendCSV(dst, v []byte, alone bool) []byte {
	if len(v) > 0 && !bytes.ContainsAny(v, ",\"\n\r") && (!alone || string(v) != `\.`) {
		return append(dst, v...)
	}
	dst = append(dst, '"')
	for _, c := range v {
		if c == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}
