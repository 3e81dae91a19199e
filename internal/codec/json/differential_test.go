package json_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/millstream-dev/millstream/internal/codec"
	"github.com/millstream-dev/millstream/internal/codec/json"
	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
)

// newGenerator's records are the same each time, so that a run tells of the
// change that it tests; MILLSTREAM_TEST_SEED, a number, gives others.
func newGenerator(t testing.TB) generator {
	seed := uint64(1)
	if s := os.Getenv("MILLSTREAM_TEST_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	return generator{rand.New(rand.NewPCG(seed, 0))}
}

// maxReports bounds how many differences a test prints.
const maxReports = 15

// compare decodes payloads here and in PostgreSQL.
func compare(t *testing.T, s *server, columns []codec.Column, payloads [][]byte) {
	t.Helper()
	s.install(t, columns)
	want := s.decode(t, payloads)
	got, faults := ours(json.New(columns), columns, payloads)
	good, reports := 0, 0
	for i := range payloads {
		if faults[i].Reserved && want[i].Code == "" || faults[i].Size || faults[i].Err == datum.ErrDimensions {
			continue
		}
		if want[i].Code == "" {
			good++
		}
		if sameFloats(columns, got[i]).String() != sameFloats(columns, want[i]).String() && reports < maxReports {
			reports++
			t.Errorf("%s\n      we say %.300s\nPostgreSQL %.300s", clip(payloads[i]), got[i], want[i])
		}
	}
	t.Logf("%d records, %d of them good", len(payloads), good)
	if good < len(payloads)/5 || good > len(payloads)*19/20 {
		t.Errorf("of %d records %d are good: too lopsided to prove much", len(payloads), good)
	}
}

func records(g generator, columns []codec.Column, fit bool, n int) [][]byte {
	payloads := make([][]byte, n)
	for i := range payloads {
		payloads[i] = g.record(columns, fit)
	}
	return payloads
}

// TestSameAsPostgreSQL is the package's main promise: the values, or the
// SQLSTATE and message, that PostgreSQL gives.
func TestSameAsPostgreSQL(t *testing.T) {
	s := newServer(t)
	t.Run("all types", func(t *testing.T) {
		columns := wideSchema()
		compare(t, s, columns, records(newGenerator(t), columns, true, 6000))
	})
	t.Run("values of all shapes", func(t *testing.T) {
		columns := wideSchema()
		compare(t, s, columns, records(newGenerator(t), columns, false, 3000))
	})
	t.Run("one type at a time", func(t *testing.T) {
		for _, c := range wideSchema() {
			t.Run(c.Type.String(), func(t *testing.T) {
				g := newGenerator(t)
				columns := []codec.Column{c}
				var payloads [][]byte
				for range 400 {
					value := g.fitting(c)
					if g.maybe(30) {
						value = g.str()
					}
					payloads = append(payloads, []byte(`{`+strconv.Quote(c.Name)+`:`+value+`}`))
				}
				compareAny(t, s, columns, payloads)
			})
		}
	})
	t.Run("paths", func(t *testing.T) {
		columns := pathSchema()
		compare(t, s, columns, records(newGenerator(t), columns, false, 4000))
	})
	t.Run("not null", func(t *testing.T) {
		columns := wideSchema()
		for j := range columns {
			columns[j].NotNull = columns[j].Name == "t" || columns[j].Name == "b"
		}
		g := newGenerator(t)
		var payloads [][]byte
		for range 1000 {
			b := g.record(columns, true)
			if len(b) > 2 && b[0] == '{' && g.maybe(70) {
				b = append([]byte(`{"b":true,"t":"x",`), b[1:]...)
			}
			payloads = append(payloads, b)
		}
		compareAny(t, s, columns, payloads)
	})
}

// compareAny is compare whatever share of the records is good.
func compareAny(t *testing.T, s *server, columns []codec.Column, payloads [][]byte) {
	t.Helper()
	s.install(t, columns)
	want := s.decode(t, payloads)
	got, faults := ours(json.New(columns), columns, payloads)
	for i := range payloads {
		if faults[i].Reserved && want[i].Code == "" || faults[i].Size || faults[i].Err == datum.ErrDimensions {
			continue
		}
		if sameFloats(columns, got[i]).String() != sameFloats(columns, want[i]).String() {
			t.Errorf("%s\n      we say %.300s\nPostgreSQL %.300s", clip(payloads[i]), got[i], want[i])
		}
	}
}

// TestCheckedOnlyIsTheSame decodes the same records with all, none and some
// columns needed, in one batch and one by one: the verdicts must be equal, so
// what a view reads decides nothing, nor does what came before.
func TestCheckedOnlyIsTheSame(t *testing.T) {
	g := newGenerator(t)
	for name, columns := range map[string][]codec.Column{"types": wideSchema(), "paths": pathSchema()} {
		columns[len(columns)-1].NotNull = g.maybe(50)
		payloads := records(g, columns, name == "types", 5000)
		_, want := ours(json.New(columns), columns, payloads)
		odd := withNeeded(columns, func(j int) bool { return j%2 == 1 })
		unneeded := withNeeded(columns, none)
		_, some := ours(json.New(odd), odd, payloads)
		checker := json.New(unneeded)
		for i, payload := range payloads {
			_, alone := ours(checker, unneeded, [][]byte{payload})
			for kind, got := range map[string]faultText{"some": text(some, i), "none": text(alone, 0)} {
				if got != text(want, i) {
					t.Fatalf("%s, %s needed: %s\n got %+v\nwant %+v", name, kind, clip(payload), got, text(want, i))
				}
			}
		}
	}
}

// faultText is a fault that can be compared, without its row.
type faultText struct {
	column, position int
	path, message    string
	size, reserved   bool
}

func text(faults map[int]codec.Fault, row int) faultText {
	f, ok := faults[row]
	if !ok {
		return faultText{}
	}
	return faultText{f.Column, f.Position, f.Path, f.Err.Error(), f.Size, f.Reserved}
}

func TestEpochsAreTheSame(t *testing.T) {
	s := newServer(t)
	g := newGenerator(t)
	for unit := codec.EpochSeconds; unit <= codec.EpochNanos; unit++ {
		columns := []codec.Column{{Name: "at", Type: column.Of(column.Timestamptz), Epoch: unit, Path: steps("at"), Needed: true}}
		var payloads [][]byte
		for range 400 {
			text := g.pick("", "-") + g.pick("0", strconv.FormatInt(g.Int64N(1<<uint(1+g.IntN(62))), 10), "1700000000") +
				g.pick("", "", "."+g.digits(9), ".5", ".4999", ".0005", "e3", "e-3", "E2")
			if g.maybe(30) {
				text = `"` + text + `"`
			}
			payloads = append(payloads, []byte(`{"at":`+text+`}`))
		}
		s.install(t, columns)
		want := s.decode(t, payloads)
		got, _ := ours(json.New(columns), columns, payloads)
		for i := range payloads {
			// The server's arithmetic fails in its own words.
			if want[i].Code != "" {
				want[i] = outcome{Code: "22008", Message: "timestamp out of range"}
			}
			if got[i].String() != want[i].String() {
				t.Errorf("unit %d: %s: got %v, want %v", unit, payloads[i], got[i], want[i])
			}
		}
	}
}

func TestEpochFaults(t *testing.T) {
	for _, test := range []struct{ value, want string }{
		{`1e400`, "22008 timestamp out of range"},
		{`1e99999999`, "22008 timestamp out of range"},
		{`9223372036854775807`, "22008 timestamp out of range"},
		{`-9223372036854775808`, "22008 timestamp out of range"},
		{`"x"`, `22P02 invalid number of milliseconds since 1970: "x"`},
		{`""`, `22P02 invalid number of milliseconds since 1970: ""`},
		{`"NaN"`, `22P02 invalid number of milliseconds since 1970: "NaN"`},
		{`"Infinity"`, `22P02 invalid number of milliseconds since 1970: "Infinity"`},
		{`"2024-01-02"`, `22P02 invalid number of milliseconds since 1970: "2024-01-02"`},
		{`"now"`, `22P02 invalid number of milliseconds since 1970: "now"`},
		{`true`, `22P02 invalid number of milliseconds since 1970: "true"`},
		{`[1]`, `22P02 invalid number of milliseconds since 1970: "[1]"`},
		{`{"a":1}`, `22P02 invalid number of milliseconds since 1970: "{"a":1}"`},
		{`" 1 "`, "1970-01-01 00:00:00.001+00"},
		{`null`, "NULL"},
	} {
		columns := []codec.Column{{Name: "at", Type: column.Of(column.Timestamptz), Epoch: codec.EpochMillis, Path: steps("at"), Needed: true}}
		got, _ := ours(json.New(columns), columns, [][]byte{[]byte(`{"at":` + test.value + `}`)})
		if got[0].String() != test.want {
			t.Errorf("%s: got %v, want %s", test.value, got[0], test.want)
		}
	}
}
