package spark

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/pipeline"
)

// signature is a function or operator of the SQL reference.
type signature struct {
	text     string
	name     string
	operator bool
	args     []string
	result   string
}

var (
	referenceRow = regexp.MustCompile("^\\| `(.*)` \\| `([^`]+)` \\| .* \\|$")
	functionForm = regexp.MustCompile(`^(\w+)\((.*)\)$`)
	operatorForm = regexp.MustCompile(`^(?:(` + typeNames + `) )?(\S+) (` + typeNames + `)$`)
)

const typeNames = `smallint|integer|bigint|real|double precision|numeric|text\[\]|text|boolean|uuid|date|timestamp without time zone|timestamp with time zone|interval|jsonb|bytea|time without time zone|inet|cidr|any(?:compatible)?array|anycompatible|anyelement`

// reference reads all functions and operators from the SQL reference, which is
// made from the engine's own table of them.
func reference(t *testing.T) (out []signature) {
	t.Helper()
	functions, _, _ := strings.Cut(expr.Document(), "| aggregate |")
	for _, row := range strings.Split(functions, "\n")[2:] {
		m := referenceRow.FindStringSubmatch(row)
		if m == nil {
			continue
		}
		s := signature{text: strings.ReplaceAll(m[1], `\|`, "|"), result: m[2]}
		if f := functionForm.FindStringSubmatch(s.text); f != nil {
			s.name = f[1]
			if f[2] != "" {
				s.args = strings.Split(strings.ReplaceAll(f[2], "any, …", "any, any"), ", ")
			}
		} else if o := operatorForm.FindStringSubmatch(s.text); o != nil {
			s.name, s.operator = o[2], true
			for _, arg := range []string{o[1], o[3]} {
				if arg != "" {
					s.args = append(s.args, arg)
				}
			}
		} else {
			t.Fatalf("what is %q in the SQL reference?", s.text)
		}
		out = append(out, s)
	}
	return out
}

// values by type. Those of groups are aggregates; a type without one has
// constants. Sums of floats are not among them: their last digits depend on
// the order of rows, and a function over them may turn that into any value.
var rowValues = map[string][]string{
	"smallint": {"small", "small", "2::smallint"}, "integer": {"n", "n", "length(name)", "2", "3"}, "bigint": {"id", "big", "7::bigint"}, "real": {"r", "r", "0.5::real"},
	"double precision": {"f", "f", "0.25::double precision"}, "numeric": {"price", "price", "1.5"}, "text": {"name", "name", "code::text", "'an'", "'b'"},
	"boolean": {"flag", "flag", "(n > 10)"}, "uuid": {"ref", "ref", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid"}, "date": {"day", "day", "DATE '2026-03-02'"},
	"timestamp without time zone": {"clock", "clock", "TIMESTAMP '2026-03-02 12:30:00'"}, "timestamp with time zone": {"at", "at", "TIMESTAMPTZ '2026-03-09 01:30:00Z'"},
	"interval": {"(at - TIMESTAMPTZ '2026-03-08 00:00:00Z')", "INTERVAL '1 month 90 minutes'", "INTERVAL '2 days'"}, "jsonb": {"doc", "doc", `'{"a": 1}'::jsonb`},
	"text[]": {"'{a,b}'"}, "any": {"name", "n", "price", "flag"},
	"bytea": {"sha256(decode(md5(name), 'hex'))", `'\xdeadbeef00'::bytea`}, "time without time zone": {"clock::time", "TIME '12:30:00'"},
	"inet": {"('10.0.0.' || (n % 200))::inet", "INET '10.0.0.0/8'"}, "cidr": {"CIDR '10.0.0.0/8'"},
	"anyarray": {"ARRAY[n, 2, NULL]", "'{1,2}'::integer[]"}, "anycompatiblearray": {"ARRAY[n, 2, NULL]"}, "anycompatible": {"n", "2"}, "anyelement": {"n", "2"},
}

var groupValues = map[string][]string{
	"smallint": {"min(small)", "max(small)"}, "integer": {"min(n)", "max(n)", "2"}, "bigint": {"count(*)", "sum(n)", "max(big)"}, "real": {"max(r)", "min(r)"},
	"double precision": {"max(f)", "min(f)"}, "numeric": {"sum(price)", "avg(n)", "max(price)", "sum(big)"}, "text": {"min(name)", "max(name)", "min(code::text)", "'a'"},
	"boolean": {"bool_and(flag)", "bool_or(n > 100)"}, "uuid": {"max(ref::text)::uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid"}, "date": {"min(day)", "max(day)"},
	"timestamp without time zone": {"min(clock)", "max(clock)"}, "timestamp with time zone": {"min(at)", "max(at)"},
	"interval": {"(max(at) - min(at))", "INTERVAL '1 month 90 minutes'"}, "jsonb": {"max(doc::text)::jsonb", `'{"a": 1}'::jsonb`},
	"text[]": {"'{a,b}'"}, "any": {"min(name)", "count(*)", "max(price)"},
	"bytea": {"decode(md5(min(name)), 'hex')", `'\xdeadbeef00'::bytea`}, "time without time zone": {"max(clock)::time", "TIME '12:30:00'"},
	"inet": {"('10.0.0.' || (min(n) % 200))::inet", "INET '10.0.0.0/8'"}, "cidr": {"CIDR '10.0.0.0/8'"},
	"anyarray": {"ARRAY[min(n), 2, NULL]", "'{1,2}'::integer[]"}, "anycompatiblearray": {"ARRAY[max(n), 2, NULL]"}, "anycompatible": {"min(n)", "2"}, "anyelement": {"max(n)", "2"},
}

// deck deals the functions of the reference, each before any comes again.
type deck struct {
	generator
	all   []signature
	stack []signature
	check func(view string) bool // whether both engines take it
}

func newDeck(t *testing.T, g generator) *deck {
	return &deck{generator: g, all: reference(t), check: accepted}
}

// accepted tells whether a view runs on both engines.
func accepted(view string) bool {
	def, err := pipeline.Parse("generated.sql", eventsSQL+view, "generated", "")
	if err != nil {
		return false
	}
	_, err = pipeline.DescribeSpark(def, "")
	return err == nil
}

// tries is how many choices of arguments a function gets.
const tries = 30

// deal gives an expression of the next function. probe makes a view of an
// expression, to try it.
func (d *deck) deal(values map[string][]string, probe func(string) string) string {
	for {
		if len(d.stack) == 0 {
			d.stack = slices.Clone(d.all)
			d.Shuffle(len(d.stack), func(i, j int) { d.stack[i], d.stack[j] = d.stack[j], d.stack[i] })
		}
		s := d.stack[0]
		d.stack = d.stack[1:]
		if e, ok := d.fit(s, values, probe); ok {
			return e
		}
	}
}

// fit looks for arguments that a function takes.
func (d *deck) fit(s signature, values map[string][]string, probe func(string) string) (string, bool) {
	for range tries {
		if e := d.call(s, values); d.check(probe(e)) {
			return e, true
		}
	}
	return "", false
}

// fixed are arguments that name a thing and can't be any text: by function,
// and by place.
var fixed = map[string]map[int][]string{
	"extract":            {0: {"hour", "epoch", "day", "second"}},
	"date_part":          {0: {"'minute'", "'epoch'", "'hour'"}},
	"date_trunc":         {0: {"'hour'", "'day'", "'minute'"}, 2: {"'Europe/Paris'", "'Asia/Tokyo'"}},
	"date_bin":           {0: {"INTERVAL '15 minutes'", "INTERVAL '7 seconds'"}},
	"make_timestamptz":   {6: {"'Europe/Paris'"}},
	"timezone":           {0: {"'America/New_York'", "'Europe/Paris'", "INTERVAL '2 hours'"}},
	"to_char":            {1: {"'YYYY-MM-DD HH24:MI:SS.US'", "'Day DD Month'"}},
	"regexp_like":        {1: {"'^a'"}, 2: {"'i'"}},
	"regexp_replace":     {1: {"'[an]'"}, 3: {"'g'", "'gi'"}},
	"format":             {0: {"'%%'", "'%s is %L'"}},
	"repeat":             {1: {"2", "3"}},
	"chr":                {0: {"65 + abs(n) % 26", "233"}},
	"make_date":          {0: {"2026"}, 1: {"3"}, 2: {"28"}},
	"make_timestamp":     {0: {"2026"}, 1: {"2"}, 2: {"27"}, 3: {"13"}, 4: {"14"}},
	"jsonb_build_object": {0: {"'k'"}},
	"like_escape":        {1: {"'x'"}},
	"<<":                 {1: {"2"}},
	">>":                 {1: {"2"}},
}

// call writes a function with arguments.
func (d *deck) call(s signature, values map[string][]string) string {
	args := make([]string, len(s.args))
	for i, t := range s.args {
		args[i] = d.pick(values[t]...)
		if s.name == "make_timestamptz" {
			if list := fixed["make_timestamp"][i]; list != nil {
				args[i] = d.pick(list...)
			}
		}
		if list := fixed[s.name][i]; list != nil && t != "inet" {
			args[i] = d.pick(list...)
		}
	}
	e := d.write(s, args)
	if s.result == "interval" {
		return "(" + e + ")::text" // no table has intervals
	}
	return e
}

func (d *deck) write(s signature, args []string) string {
	switch {
	case s.operator && len(args) == 1:
		return "(" + s.name + " " + args[0] + ")"
	case s.operator:
		return "(" + args[0] + " " + s.name + " " + args[1] + ")"
	case s.name == "extract":
		return "extract(" + args[0] + " FROM " + args[1] + ")"
	case s.name == "timezone":
		return "(" + args[1] + " AT TIME ZONE " + args[0] + ")"
	case s.name == "like_escape":
		return "(" + args[0] + " LIKE 'xa%' ESCAPE " + args[1] + ")"
	case s.name == "position":
		return "position(" + args[0] + " IN " + args[1] + ")"
	case s.name == "overlaps":
		return fmt.Sprintf("((%s, %s) OVERLAPS (%s, %s))", args[0], args[1], args[2], args[3])
	}
	return s.name + "(" + strings.Join(args, ", ") + ")"
}

// TestDeck: of the reference's functions each makes views that both engines
// take, over rows and over groups. It needs no Spark.
func TestDeck(t *testing.T) {
	for name, position := range map[string]struct {
		values map[string][]string
		probe  func(string) string
	}{"rows": {rowValues, rowProbe}, "groups": {groupValues, groupProbe}} {
		t.Run(name, func(t *testing.T) {
			d := newDeck(t, generator{rand.New(rand.NewPCG(1, 5))})
			if len(d.all) < 400 {
				t.Fatalf("the reference has %d functions", len(d.all))
			}
			for _, s := range d.all {
				if _, ok := d.fit(s, position.values, position.probe); !ok {
					t.Errorf("%s makes no view", s.text)
				}
			}
		})
	}
}

func rowProbe(e string) string {
	return "CREATE MATERIALIZED VIEW v AS SELECT id, " + e + " AS x FROM events;"
}

func groupProbe(e string) string {
	return "CREATE MATERIALIZED VIEW v AS SELECT window_start, " + e + " AS x FROM tumble(events, at, INTERVAL '1 hour') GROUP BY window_start;"
}

// TestGeneratedViews: what is generated is taken by both engines, so that no
// run on Spark ends with a refusal. MILLSTREAM_TEST_SPARK_WRITE names a file
// that keeps it.
func TestGeneratedViews(t *testing.T) {
	for seed := range uint64(3) {
		text := newDeck(t, generator{rand.New(rand.NewPCG(seed, 5))}).views(60)
		if n := strings.Count(text, "MATERIALIZED VIEW"); n != 60 {
			t.Errorf("seed %d: %d views", seed, n)
		}
		if !accepted(strings.TrimPrefix(text, eventsSQL)) {
			t.Errorf("seed %d: the views are refused together", seed)
		}
		if dir := os.Getenv("MILLSTREAM_TEST_SPARK_WRITE"); dir != "" {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("generated-%d.sql", seed)), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}
