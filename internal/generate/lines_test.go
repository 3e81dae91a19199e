package generate

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// all reads an input to its end.
func all(in Input) (string, error) {
	var values []string
	for {
		r, err := in.Next()
		if errors.Is(err, io.EOF) {
			return strings.Join(values, "|"), nil
		}
		if err != nil {
			return strings.Join(values, "|"), err
		}
		values = append(values, string(r.Value))
	}
}

func TestCSV(t *testing.T) {
	for _, c := range []struct{ name, in, want, err string }{
		{"types", "a,b\n1,x\n-2.50,true\n", `{"a":1,"b":"x"}|{"a":-2.50,"b":true}`, ""},
		{"not numbers", "a\n007\n+1\n1.\n0x10\nNaN\n1 2\n", `{"a":"007"}|{"a":"+1"}|{"a":"1."}|{"a":"0x10"}|{"a":"NaN"}|{"a":"1 2"}`, ""},
		{"exponent", "a\n1e400\n", `{"a":1e400}`, ""},
		{"empty is null", "a,b\n,x\n", `{"a":null,"b":"x"}`, ""},
		{"quotes", "a\n\"say \"\"hi\"\"\nback\\slash\ttab\"\n", `{"a":"say \"hi\"\nback\\slash\ttab"}`, ""},
		{"bytes stay", "a\n\xff<&>é\n", "{\"a\":\"\xff<&>é\"}", ""},
		{"byte order mark", "\xef\xbb\xbfa\r\n1\r\n", `{"a":1}`, ""},
		{"header only", "a,b\n", "", ""},
		{"empty", "", "", "t.csv:1: the file is empty"},
		{"no name", "a,\n", "", "column 2 has no name"},
		{"twice", "a,a\n", "", `names "a" twice`},
		{"fields", "a,b\n1,2\n3\n", `{"a":1,"b":2}`, "t.csv:3: this row has 1 fields, the header 2"},
		{"bare quote", "a\nx\"y\n", "", "t.csv:2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := &File{Name: "t.csv", Format: FormatOf("t.CSV"), Open: func() (io.ReadCloser, error) {
				return io.NopCloser(strings.NewReader(c.in)), nil
			}}
			want := strings.ReplaceAll(strings.ReplaceAll(c.want, `\n`, `\u000a`), `\t`, `\u0009`)
			got, err := all(in)
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want %q", err, c.err)
			}
		})
	}
}

// endless is a file without line ends.
type endless struct{ given int64 }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	e.given += int64(len(p))
	return len(p), nil
}

func TestLineTooLong(t *testing.T) {
	source := &endless{}
	in := &File{Name: "x", Open: func() (io.ReadCloser, error) { return io.NopCloser(source), nil }}
	if _, err := in.Next(); err == nil || !strings.Contains(err.Error(), "x:1: this line is longer than") {
		t.Errorf("error %v", err)
	}
	if source.given > 2*maxLine {
		t.Errorf("%d bytes were read before giving up", source.given)
	}
}

func TestLongLine(t *testing.T) {
	long := strings.Repeat("y", 3*readBuffer)
	in := &File{Name: "x", Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("a\n" + long + "\nb")), nil }}
	if got, err := all(in); err != nil || got != "a|"+long+"|b" {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
