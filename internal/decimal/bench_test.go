package decimal

import "testing"

// TestFastPathsMakeNoGarbage holds the small forms to no allocation.
func TestFastPathsMakeNoGarbage(t *testing.T) {
	a, b := New(123456, 2), New(-789, 3)
	buf := make([]byte, 0, 64)
	in := []byte("-12345.678")
	encoded := a.Encode(nil)
	for name, f := range map[string]func(){
		"parse":  func() { _, _ = Parse(in) },
		"encode": func() { buf = a.Encode(buf[:0]) },
		"decode": func() { _ = Decode(encoded) },
		"print":  func() { buf = a.Append(buf[:0]) },
		"key":    func() { buf = AppendKey(buf[:0], encoded) },
		"add":    func() { _, _ = a.Add(b) },
		"mul":    func() { _, _ = a.Mul(b) },
		"cmp":    func() { _ = a.Cmp(b) },
		"round":  func() { _, _ = a.Round(1) },
		"binary": func() { buf = a.AppendBinary(buf[:0]) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	in := []byte("12345.678")
	b.ReportAllocs()
	for b.Loop() {
		_, _ = Parse(in)
	}
}

func BenchmarkAdd(b *testing.B) {
	x, y := New(123456, 2), New(-789, 3)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = x.Add(y)
	}
}

func BenchmarkDiv(b *testing.B) {
	x, y := New(123456, 2), FromInt64(7)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = x.Div(y)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range operands {
		f.Add([]byte(s))
	}
	for _, s := range []string{"", " ", ".", "-", "1e", "1e+", "1e99999999999", "0e-99999", "..", "1.2.3", "nan", "inf"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 1000 {
			return
		}
		d, err := Parse(in)
		if _, fitted := ParseFit(in, 10, 2); fitted != nil && len(fitted.Code) != 5 {
			t.Fatalf("%q: %v", in, fitted)
		}
		if err != nil {
			return
		}
		back, err := Parse(d.Append(nil))
		if err != nil || back.Cmp(d) != 0 || back.Scale() != d.Scale() {
			t.Fatalf("%q: %s came back as %s, %v", in, d, back, err)
		}
		if e := Decode(d.Encode(nil)); e.Cmp(d) != 0 || e.Scale() != d.Scale() {
			t.Fatalf("%q: %s was decoded as %s", in, d, e)
		}
	})
}
