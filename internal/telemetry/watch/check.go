package watch

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/millstream-dev/millstream/internal/telemetry"
)

var (
	nameText   = regexp.MustCompile(`\b(?:millstream|go|process)_[a-z0-9_]+`)
	matchText  = regexp.MustCompile(`\{([^}]*)\}`)
	labelText  = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)`)
	groupText  = regexp.MustCompile(`\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)`)
	quotedText = regexp.MustCompile(`"[^"]*"`)
)

// scrapeLabels are those that Prometheus adds, and the one that all our
// metrics carry.
var scrapeLabels = []string{"job", "instance", "pipeline"}

// Check tells what in an expression does not exist.
func Check(expr string, families []telemetry.Family) error {
	allowed := slices.Clone(scrapeLabels)
	named := false
	for _, name := range nameText.FindAllString(quotedText.ReplaceAllString(expr, `""`), -1) {
		f, part := find(name, families)
		if f == nil {
			return fmt.Errorf("there is no metric %s", name)
		}
		allowed = append(allowed, f.Labels...)
		if part == "_bucket" {
			allowed = append(allowed, "le")
		}
		named = true
	}
	var used []string
	for _, m := range matchText.FindAllStringSubmatch(expr, -1) {
		for _, l := range labelText.FindAllStringSubmatch(quotedText.ReplaceAllString(m[1], `""`), -1) {
			used = append(used, l[1])
		}
	}
	for _, m := range groupText.FindAllStringSubmatch(expr, -1) {
		for _, l := range strings.Split(m[1], ",") {
			if l = strings.TrimSpace(l); l != "" {
				used = append(used, l)
			}
		}
	}
	for _, l := range used {
		if named && !slices.Contains(allowed, l) {
			return fmt.Errorf("no metric of it has the label %s", l)
		}
	}
	return nil
}

// find gives the family of a series' name, and which part of it the series is.
func find(name string, families []telemetry.Family) (f *telemetry.Family, part string) {
	for i := range families {
		f := &families[i]
		if f.Type == "histogram" || f.Type == "summary" {
			for _, part := range []string{"_bucket", "_sum", "_count"} {
				if name == f.Name+part {
					return f, part
				}
			}
		}
		if name == f.Name && f.Type != "histogram" {
			return f, ""
		}
	}
	return nil, ""
}
