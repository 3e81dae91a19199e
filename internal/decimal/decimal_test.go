package decimal

import (
	"strings"
	"testing"
)

func TestTextRoundTrip(t *testing.T) {
	for in, want := range map[string]string{
		"0": "0", "-0.00": "0.00", "1e3": "1000", "1.50": "1.50", "-.5": "-0.5", "5.": "5", "1e-3": "0.001",
		"123456789012345678901234567890.5": "123456789012345678901234567890.5", " NaN ": "NaN", "-inf": "-Infinity",
	} {
		d, err := Parse([]byte(in))
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if got := Decode(d.Encode(nil)).String(); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

// TestLongFractionIsCut shows that a modifier bounds the work on a number of
// millions of digits.
func TestLongFractionIsCut(t *testing.T) {
	const millions = 8_000_000
	nines := strings.Repeat("9", millions)
	for in, want := range map[string]string{
		"1.004" + nines:                    "1.00",
		"-1.005" + nines:                   "-1.01",
		"12345" + nines + "e-" + "8000000": "12346.00",
		"0.00" + nines:                     "0.01",
	} {
		d, err := ParseFit([]byte(in), 7, 2)
		if err != nil || d.String() != want {
			t.Errorf("%.10s…: got %s, %v, want %s", in, d, err, want)
		}
	}
	if _, err := Parse([]byte(nines)); err == nil || err.Code != "22003" {
		t.Errorf("millions of digits: %v", err)
	}
}
