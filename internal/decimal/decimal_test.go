package decimal

import "testing"

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
