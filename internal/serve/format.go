package serve

import (
	"bytes"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/millstream-dev/millstream/internal/serve/catalog"
)

// format is a way to write rows. A further format is one more of them.
type format struct {
	name        string
	suffix      string // of the path
	contentType string
	accepts     []string // media types that ask for it
	// wrap makes the statement give what row takes.
	wrap func(*statement) string
	head func(dst []byte, columns []string) []byte
	row  func(dst []byte, values [][]byte, first bool) []byte
	tail func(dst []byte) []byte
}

// formats in order of preference.
var formats = []*format{jsonFormat, csvFormat}

// jsonFormat is an array of objects, one to a line. PostgreSQL itself writes
// them, so each value is what to_json gives: NaN and the infinities as
// strings, times in ISO 8601.
var jsonFormat = &format{
	name:        "JSON",
	suffix:      ".json",
	contentType: "application/json; charset=utf-8",
	accepts:     []string{"application/json"},
	wrap:        func(st *statement) string { return "SELECT row_to_json(r)::text FROM (" + st.sql + ") AS r" },
	head:        func(dst []byte, _ []string) []byte { return append(dst, '[') },
	row: func(dst []byte, values [][]byte, first bool) []byte {
		if !first {
			dst = append(dst, ',', '\n')
		}
		return append(dst, values[0]...)
	},
	tail: func(dst []byte) []byte { return append(dst, ']', '\n') },
}

// csvFormat is what COPY … CSV HEADER writes, booleans as true and false: a
// null is nothing, an empty string is "".
var csvFormat = &format{
	name:        "CSV",
	suffix:      ".csv",
	contentType: "text/csv; charset=utf-8; header=present",
	accepts:     []string{"text/csv"},
	wrap: func(st *statement) string {
		list := make([]string, len(st.columns))
		for i, c := range st.columns {
			list[i] = "r." + catalog.Quote(c)
			if st.boolean[i] {
				list[i] += "::text"
			}
		}
		return "SELECT " + strings.Join(list, ", ") + " FROM (" + st.sql + ") AS r"
	},
	head: func(dst []byte, columns []string) []byte {
		for i, c := range columns {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendCSV(dst, []byte(c), len(columns) == 1)
		}
		return append(dst, '\n')
	},
	row: func(dst []byte, values [][]byte, _ bool) []byte {
		for i, v := range values {
			if i > 0 {
				dst = append(dst, ',')
			}
			if v != nil {
				dst = appendCSV(dst, v, len(values) == 1)
			}
		}
		return append(dst, '\n')
	},
	tail: func(dst []byte) []byte { return dst },
}

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

// negotiate chooses the format by the Accept header.
func negotiate(accept string) (*format, *Problem) {
	if strings.TrimSpace(accept) == "" {
		return formats[0], nil
	}
	var best *format
	bestQuality := 0.0
	for _, f := range formats {
		if q := quality(accept, f); q > bestQuality {
			best, bestQuality = f, q
		}
	}
	if best == nil {
		return nil, problem(http.StatusNotAcceptable, codeAccept, "there is no format for Accept: %s", printable(accept)).hint("there are application/json and text/csv")
	}
	return best, nil
}

// quality is how much a client wants a format: the most specific range of
// the header counts.
func quality(accept string, f *format) float64 {
	q, specificity := 0.0, -1
	for part := range strings.SplitSeq(accept, ",") {
		media, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		s := -1
		switch {
		case slices.Contains(f.accepts, media):
			s = 2
		case strings.HasSuffix(media, "/*") && media != "*/*" && slices.ContainsFunc(f.accepts, func(a string) bool {
			return strings.HasPrefix(a, strings.TrimSuffix(media, "*"))
		}):
			s = 1
		case media == "*/*":
			s = 0
		}
		if s < 0 || s < specificity {
			continue
		}
		value := 1.0
		if text, ok := params["q"]; ok {
			if value, err = strconv.ParseFloat(text, 64); err != nil {
				continue
			}
		}
		q, specificity = value, s
	}
	return q
}

// maxEchoed is how much of a header a message repeats.
const maxEchoed = 100

func printable(s string) string {
	if len(s) > maxEchoed {
		s = s[:maxEchoed] + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s)
}
