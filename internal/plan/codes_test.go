package plan_test

import (
	"regexp"
	"testing"

	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/plan"
)

func exprCodes() map[string]string { return expr.Codes() }

// TestCodes: each code is described, and none means two things.
func TestCodes(t *testing.T) {
	shape := regexp.MustCompile(`^MS[13]\d{3}$`)
	other := expr.Codes()
	for code, text := range plan.Codes() {
		if !shape.MatchString(code) {
			t.Errorf("%q is not of the form MS1xxx or MS3xxx", code)
		}
		if len(text) < 20 {
			t.Errorf("%s is hardly described: %q", code, text)
		}
		if other[code] != "" {
			t.Errorf("%s is a code of package expr, too", code)
		}
	}
}
