package watch

import (
	"fmt"
	"strconv"
	"strings"
)

const generated = "written by `go test ./internal/telemetry/watch -update`"

// manual is where each alert is explained.
const manual = "https://github.com/millstream-dev/millstream/blob/main/docs/operations.md"

// Rules gives the alert rules as Prometheus' rule file.
func Rules() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\ngroups:\n  - name: millstream\n    rules:\n", generated)
	for _, a := range Alerts {
		fmt.Fprintf(&b, "      - alert: %s\n        expr: %s\n        for: %s\n", a.Name, quote(a.Expr), a.For)
		fmt.Fprintf(&b, "        labels:\n          severity: %s\n", a.Severity)
		fmt.Fprintf(&b, "        annotations:\n          summary: %s\n          description: %s\n          runbook_url: %s\n",
			quote(a.Summary), quote(a.Means+" "+a.Cure), quote(manual+"#"+strings.ToLower(a.Name)))
	}
	return []byte(b.String())
}

// quote writes a string as YAML's and JSON's double quotes take it.
func quote(s string) string { return strconv.Quote(s) }

// Manual gives the part of the manual that explains each alert.
func Manual() string {
	var b strings.Builder
	for _, a := range Alerts {
		hold := " for " + a.For
		if a.For == "0m" {
			hold = ""
		}
		fmt.Fprintf(&b, "#### %s\n\n%s: `%s`%s.\n\n%s\n\n*Cure.* %s\n\n", a.Name, strings.ToUpper(a.Severity[:1])+a.Severity[1:], a.Expr, hold, a.Means, a.Cure)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
