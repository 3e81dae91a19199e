package serve

import (
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

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
		return nil, problem(http.StatusNotAcceptable, codeAccept, "there is no format for Accept: %s", printable(accept)).hint("there are application/json, application/x-ndjson, text/csv, %s and %s", arrowMedia, parquetMedia)
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
		case f.stripped != (params["nulls"] == "stripped"):
			continue
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
