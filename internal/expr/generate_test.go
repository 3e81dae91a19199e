package expr

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/millstream-dev/millstream/internal/column"
)

// generated is an expression made by the generator, with the expressions it
// was made of, so that a failing one can be made smaller.
type generated struct {
	sql  string
	kids []*generated
}

// testColumn is a column of the table that generated expressions read.
type testColumn struct {
	name   string
	t      column.Type
	values []string // text form; the generator adds NULLs
}

var testColumns = []testColumn{
	{"b", column.Of(column.Bool), []string{"t", "f"}},
	{"i2", column.Of(column.Int2), []string{"0", "1", "-1", "7", "-32768", "32767", "12", "100"}},
	{"i4", column.Of(column.Int4), []string{"0", "1", "-1", "3", "-2147483648", "2147483647", "42", "-5", "1000000"}},
	{"i8", column.Of(column.Int8), []string{"0", "1", "-1", "9", "-9223372036854775808", "9223372036854775807", "2147483648", "-77", "9007199254740993"}},
	{"f4", column.Of(column.Float4), []string{"0", "-0", "1.5", "-2.5", "NaN", "Infinity", "-Infinity", "3.4028235e38", "1e-45", "0.1", "16777217", "2.5"}},
	{"f8", column.Of(column.Float8), []string{"0", "-0", "0.5", "-1.5", "2.5", "NaN", "Infinity", "-Infinity", "1.7976931348623157e308", "5e-324", "0.1", "1e15", "123456789.123456789", "9.2e18", "1e22", "-1e-7"}},
	{"n", column.Of(column.Numeric), []string{"0", "1.0", "1.00", "-1.5", "2.5", "NaN", "Infinity", "-Infinity", "99999999999999999999.99", "0.000000000000000000001", "12345.678901", "-0.5", "1e30", "9223372036854775807.5", "3"}},
	{"m", column.Type{Kind: column.Numeric, Precision: 10, Scale: 2}, []string{"0.00", "1.25", "-99999999.99", "12.50", "7"}},
	{"s", column.Of(column.Text), []string{"", "a", "Abc", "ABC", "héllo Wörld", "ǅ ß ﬀ İı", "日本語", "😀x", "a%b_c\\d", "12", " 12 ", "-3.5", "true", "2024-02-29", "2024-02-29 12:34:56.789+02", "{\"a\":1}", "x'y\"z", "   ", "1e3", "ab\tc\nd"}},
	{"v", column.Type{Kind: column.Varchar, Length: 6}, []string{"", "abc", "ABCdef", "ünï", "10", "ab    "}},
	{"u", column.Of(column.UUID), []string{"00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "ffffffff-ffff-ffff-ffff-ffffffffffff"}},
	{"y", column.Of(column.Bytea), []string{`\x`, `\x00`, `\xdeadbeef`, "abc", `\x6100ff5c`, `\x20616263642020`, `\x` + strings.Repeat("0a", 60)}},
	{"ia", column.Of(column.ArrayOf(column.Int4)), []string{"{}", "{1}", "{1,2,3}", "{NULL}", "{3,NULL,1}", "{-1,2147483647}", "{1,1}"}},
	{"sa", column.Of(column.ArrayOf(column.Text)), []string{"{}", "{a}", `{a,"b c",NULL}`, `{"",é}`, `{12,"NULL"}`, `{"\\","{}",x}`, "{a,a,b}"}},
	{"na", column.Of(column.ArrayOf(column.Numeric)), []string{"{}", "{1.0}", "{1.00,NULL}", "{NaN,-5.5}", "{3}"}},
	{"t", column.Of(column.Time), []string{"00:00:00", "12:34:56.789", "23:59:59.999999", "24:00:00", "04:05:06"}},
	{"ip", column.Of(column.Inet), []string{"192.0.2.1", "192.0.2.0/24", "10.1.2.3/8", "::1", "2001:db8::1/64", "0.0.0.0/0", "255.255.255.255", "::ffff:1.2.3.4", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}},
	{"nw", column.Of(column.Cidr), []string{"192.0.2.0/24", "10.0.0.0/8", "2001:db8::/32", "192.0.2.1/32", "0.0.0.0/0"}},
	{"d", column.Of(column.Date), []string{"2000-01-01", "2024-02-29", "1999-12-31", "infinity", "-infinity", "4714-11-24 BC", "5874897-12-31", "0001-01-01", "0001-12-31 BC", "1970-01-01", "2021-01-03"}},
	{"ts", column.Of(column.Timestamp), []string{"2000-01-01 00:00:00", "2024-02-29 23:59:59.999999", "infinity", "-infinity", "4714-11-24 00:00:00 BC", "294276-12-31 23:59:59.999999", "1969-12-31 23:59:59.5", "2024-03-31 02:30:00", "2024-10-27 02:30:00", "0001-01-01 00:00:00", "0044-03-15 12:00:00 BC", "1850-06-01 12:13:14.25"}},
	{"tz", column.Of(column.Timestamptz), []string{"2000-01-01 00:00:00+00", "2024-02-29 23:59:59.999999+00", "infinity", "-infinity", "4714-11-24 00:00:00+00 BC", "294276-12-31 23:59:59.999999+00", "1969-12-31 23:59:59.5+00", "2024-03-31 01:00:00+00", "2024-10-27 00:30:00+00", "2024-10-27 01:30:00+00", "1901-01-01 00:00:00+00", "2050-07-01 12:00:00+00"}},
	{"j", column.Of(column.JSONB), []string{`{}`, `[]`, `null`, `1`, `"x"`, `true`, `1.50`, `{"a": 1, "b": [1, 2.0, {"c": null}], "": "e"}`, `[1, "two", null, [3], {"k": "v"}]`, `{"a": {"a": "q\"\\\n\u0001é"}, "b": null}`, `1e400`, `-7`, `"12"`, `{"a": "12", "ключ": false}`}},
}

// literals are spelled constants of each kind, some of them broken.
var literalWords = map[column.Kind][]string{
	column.Bool:        {"true", "false", "NULL::boolean", "'t'::boolean", "'no'::bool"},
	column.Int2:        {"1::smallint", "(-32768)::smallint", "'7'::int2", "NULL::smallint", "0::int2"},
	column.Int4:        {"0", "1", "2", "-1", "3", "-5", "2147483647", "-2147483648", "NULL::integer", "10"},
	column.Int8:        {"5::bigint", "9223372036854775807", "-9223372036854775808", "3000000000", "NULL::bigint", "0::int8"},
	column.Float4:      {"1.5::real", "'NaN'::real", "0::real", "3e38::real", "NULL::real"},
	column.Float8:      {"0.5::float8", "'Infinity'::float8", "'-0'::float8", "1e300::double precision", "1e-300::double precision", "NULL::float8", "'NaN'::float8"},
	column.Numeric:     {"1.5", "0.0", "100.00", "-2.50", "12345678901234567890", "NULL::numeric", "'NaN'::numeric", "1e-5", "3.14159::numeric(4,2)", "0.5"},
	column.Text:        {"'a'::text", "''::text", "'%b%'::text", "NULL::text", "'Äß'::text", "'x_'::text", "'12'::text", "'a'::text"},
	column.Varchar:     {"'abcdefgh'::varchar(3)", "'x'::varchar", "NULL::varchar(2)"},
	column.UUID:        {"'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", "NULL::uuid"},
	column.Time:        {"TIME '04:05:06'", "'24:00'::time", "NULL::time", "TIME '23:00'"},
	column.Inet:        {"'192.0.2.7'::inet", "'::/0'::inet", "NULL::inet", "inet '10.0.0.0/8'"},
	column.Cidr:        {"'192.0.2.0/24'::cidr", "NULL::cidr", "'10'::cidr"},
	column.Bytea:       {`'\x0102'::bytea`, `'a\000b'::bytea`, "NULL::bytea", "''::bytea", "'bc'::bytea"},
	column.Date:        {"DATE '2024-02-29'", "'infinity'::date", "NULL::date", "DATE '1999-12-31'"},
	column.Timestamp:   {"TIMESTAMP '2024-02-29 12:00:00.5'", "'-infinity'::timestamp", "NULL::timestamp", "TIMESTAMP '2001-01-31'"},
	column.Timestamptz: {"TIMESTAMPTZ '2024-03-31 01:30:00+02'", "'infinity'::timestamptz", "NULL::timestamptz", "timestamp with time zone '1980-01-01 00:00:00Z'"},
	column.Interval:    {"INTERVAL '5 minutes'", "INTERVAL '1 month'", "INTERVAL '1 day'", "'-3 days 2 hours'::interval", "INTERVAL '1 year 1 month 1 day'", "INTERVAL '10' MINUTE", "2 * INTERVAL '1 hour'", "INTERVAL '200000 years'", "INTERVAL '1 week' - INTERVAL '1 day'", "INTERVAL '1.5 months' * 1.5", "-INTERVAL '1 second'"},
	column.JSONB:       {`'{"a": [1, 2]}'::jsonb`, `'[]'::jsonb`, `'null'::jsonb`, "NULL::jsonb", `'"s"'::jsonb`},
}

// untyped are literals without a type.
var untyped = []string{"NULL", "'1'", "'a'", "''", "'2024-01-01'", "'1.5'", "'t'", "'{}'", "'NaN'", "'infinity'"}

var unitWords = []string{"year", "month", "day", "hour", "minute", "second", "milliseconds", "microseconds", "epoch", "dow", "doy",
	"isodow", "isoyear", "week", "quarter", "century", "decade", "millennium", "julian", "timezone", "timezone_hour", "timezone_minute", "fortnight"}

var zoneWords = []string{"Europe/Paris", "UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "europe/berlin", "Pacific/Apia", "Nowhere/City"}

type generator struct {
	*rand.Rand
	byResult map[column.Kind][]*Function
	casts    map[column.Kind][]column.Kind
	wanted   column.Kind // by the function that is being made
	focused  []*Function
}

func newGenerator(seed uint64) *generator {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1)), byResult: map[column.Kind][]*Function{}, casts: map[column.Kind][]column.Kind{}}
	for _, f := range functions.list {
		if f.Refusal == "" && !inexact(f) {
			results := []column.Kind{f.Result}
			switch f.Result {
			case anyArray, anyCompatibleArray:
				results = nil
				for _, k := range arrayElements {
					if k = column.ArrayOf(k); !slices.Contains(results, k) {
						results = append(results, k)
					}
				}
			}
			for _, k := range results {
				g.byResult[k] = append(g.byResult[k], f)
			}
		}
	}
	for _, k := range column.Values() {
		for _, from := range column.Values() {
			if _, ok := casts[[2]column.Kind{from, k}]; ok {
				g.casts[k] = append(g.casts[k], from)
			}
		}
	}
	g.focus()
	return g
}

func pick[T any](g *generator, list []T) T { return list[g.IntN(len(list))] }

var valueKinds = []column.Kind{column.Bool, column.Int2, column.Int4, column.Int8, column.Float4, column.Float8, column.Numeric,
	column.Text, column.Varchar, column.UUID, column.Date, column.Timestamp, column.Timestamptz, column.JSONB, column.Bytea, column.Time, column.Inet, column.Cidr,
	column.ArrayOf(column.Int4), column.ArrayOf(column.Text), column.ArrayOf(column.Numeric), column.ArrayOf(column.Timestamptz), column.ArrayOf(column.Bytea)}

// arrayElements are the types of whose arrays the generator makes most.
var arrayElements = []column.Kind{column.Int4, column.Text, column.Int4, column.Text, column.Numeric, column.Int8, column.Float8, column.Date, column.JSONB, column.Bool, column.Varchar}

func (g *generator) kind() column.Kind { return pick(g, valueKinds) }

func compose(kids []*generated, format string) *generated {
	args := make([]any, len(kids))
	for i, k := range kids {
		args[i] = k.sql
	}
	return &generated{fmt.Sprintf(format, args...), kids}
}

// expression makes an expression of about the kind asked for.
func (g *generator) expression(kind column.Kind, depth int) *generated {
	if depth <= 0 || g.IntN(6) == 0 {
		return g.leaf(kind)
	}
	if g.IntN(25) == 0 {
		return g.wild(depth)
	}
	g.wanted = kind
	switch n := g.IntN(10); {
	case !kind.IsArray() && g.IntN(30) == 0:
		return compose([]*generated{g.expression(column.ArrayOf(kind), depth-1), {sql: pick(g, []string{"1", "2", "-1", "i2", "i4", "NULL", "0"})}}, "(%s)[%s]")
	case n < 2:
		return g.conditional(kind, depth)
	case n < 4 && len(g.casts[kind]) > 0:
		return g.cast(kind, depth)
	case kind == column.Bool && n < 8:
		return g.boolean(depth)
	case len(g.byResult[kind]) > 0:
		return g.function(pick(g, g.byResult[kind]), depth)
	}
	return g.leaf(kind)
}

func (g *generator) leaf(kind column.Kind) *generated {
	if kind != column.Interval && g.IntN(4) > 0 {
		for _, c := range g.Perm(len(testColumns)) {
			if testColumns[c].t.Kind == kind {
				return &generated{sql: testColumns[c].name}
			}
		}
	}
	if g.IntN(12) == 0 {
		return &generated{sql: pick(g, untyped)}
	}
	if kind.IsArray() {
		return g.array(kind)
	}
	return &generated{sql: "(" + pick(g, literalWords[kind]) + ")"}
}

// array makes a constructor of an array, or an empty one.
func (g *generator) array(kind column.Kind) *generated {
	switch g.IntN(6) {
	case 0:
		return &generated{sql: "('{}'::" + kind.Name() + ")"}
	case 1:
		return &generated{sql: "(NULL::" + kind.Name() + ")"}
	}
	kids := make([]*generated, 1+g.IntN(3))
	for i := range kids {
		kids[i] = g.leaf(kind.Elem())
	}
	return compose(kids, "(ARRAY["+strings.TrimSuffix(strings.Repeat("%s, ", len(kids)), ", ")+"]::"+kind.Name()+")")
}

// concrete puts an element type in the place of polymorphic ones.
func (g *generator) concrete(f *Function) []column.Kind {
	element := pick(g, arrayElements)
	if isPolymorphic(f.Result) && g.wanted.IsArray() {
		element = g.wanted.Elem()
	}
	out := slices.Clone(f.Args)
	for i, k := range out {
		switch k {
		case anyArray, anyCompatibleArray:
			out[i] = column.ArrayOf(element)
		case anyElement, anyCompatible:
			out[i] = element
		}
	}
	return out
}

// argument makes an argument of a kind, or of another that may be cast.
func (g *generator) argument(kind column.Kind, depth int) *generated {
	if g.IntN(8) == 0 {
		near := []column.Kind{}
		for _, from := range g.casts[kind] {
			if casts[[2]column.Kind{from, kind}].context == implicitCast {
				near = append(near, from)
			}
		}
		if len(near) > 0 {
			return g.expression(pick(g, near), depth)
		}
	}
	return g.expression(kind, depth)
}

func (g *generator) function(f *Function, depth int) *generated {
	kids := make([]*generated, len(f.Args))
	for i, k := range g.concrete(f) {
		kids[i] = g.argument(k, depth-1)
	}
	g.fit(f, kids)
	if f.Variadic {
		more := make([]*generated, 1+g.IntN(4))
		for i := range more {
			more[i] = g.expression(g.kind(), depth-1)
		}
		kids = slices.Concat(kids, more)
	}
	switch f.Name {
	case "extract", "date_part", "date_trunc":
		kids[0] = &generated{sql: "'" + pick(g, unitWords) + "'"}
		if g.IntN(15) == 0 && f.Name != "extract" {
			kids[0] = &generated{sql: pick(g, []string{"s", "NULL", "CASE WHEN b THEN 'mons' ELSE 'MilliSeconds' END", "'mm'", "'Timezone_Hours'"})}
		}
		if len(kids) == 3 {
			kids[2] = &generated{sql: "'" + pick(g, zoneWords) + "'"}
		}
		if f.Name == "extract" {
			unit := strings.Trim(kids[0].sql, "'")
			return compose(kids[1:], "extract("+unit+" from %s)")
		}
	case "timezone":
		if f.Args[0] == column.Interval {
			return compose([]*generated{kids[1], kids[0]}, "(%s AT TIME ZONE %s)")
		}
		zone := pick(g, zoneWords)
		return compose(kids[1:], "(%s AT TIME ZONE '"+zone+"')")
	case "like_escape":
		return compose([]*generated{kids[0], kids[1]}, "(%s LIKE %s ESCAPE "+pick(g, []string{"'x'", "''", "'ab'", "'\\'"})+")::text")
	case "~~":
		return compose(kids, "(%s LIKE %s)")
	case "~":
		if len(kids) == 2 && g.IntN(3) == 0 {
			return compose(kids[:1], "(%s "+pick(g, []string{"", "NOT "})+"SIMILAR TO "+pick(g, similar)+")")
		}
	case "~~*":
		return compose(kids, "(%s "+pick(g, []string{"ILIKE", "~~*"})+" %s)")
	case "!~~*":
		return compose(kids, "(%s NOT ILIKE %s)")
	case "overlaps":
		return compose(kids, "((%s, %s) OVERLAPS (%s, %s))")
	case "make_interval":
		if g.IntN(2) == 0 {
			return compose([]*generated{kids[1], kids[6]}, "make_interval(months => %s, secs => %s)")
		}
	case "exp", "ln", "log", "log10", "power", "pow", "^":
		// Other arguments would choose the overload of doubles.
		for i := range kids {
			kids[i] = compose(kids[i:i+1], "(%s)::numeric")
		}
	case "position":
		return compose(kids, "pg_catalog.position(%s, %s)")
	case "overlay":
		return compose(kids, "overlay(%s placing %s from %s"+[]string{"", " for %s"}[len(kids)-3]+")")
	case "round":
		if len(kids) == 2 {
			kids[1] = &generated{sql: pick(g, []string{"0", "1", "2", "-1", "-3", "25", "i2", "NULL"})}
		}
	case "substring", "substr":
		for i := range kids[1:] {
			if g.IntN(3) > 0 {
				kids[i+1] = &generated{sql: pick(g, []string{"0", "1", "2", "-1", "-3", "5", "2147483647", "-2147483648"})}
			}
		}
	}
	if isWord(f.Name) {
		return compose(kids, f.Name+"("+strings.TrimSuffix(strings.Repeat("%s, ", len(kids)), ", ")+")")
	}
	name := strings.ReplaceAll(f.Name, "%", "%%")
	if len(kids) == 1 {
		return compose(kids, "("+name+" %s)")
	}
	return compose(kids, "(%s "+name+" %s)")
}

func (g *generator) cast(kind column.Kind, depth int) *generated {
	kid := g.expression(pick(g, g.casts[kind]), depth-1)
	t := column.Of(kind)
	switch {
	case kind == column.Varchar && g.IntN(2) == 0:
		t.Length = int32(1 + g.IntN(5))
	case kind == column.Numeric && g.IntN(2) == 0:
		t.Precision, t.Scale = int32(1+g.IntN(12)), int32(g.IntN(8)-2)
	}
	return compose([]*generated{kid}, "(%s)::"+t.String())
}

func (g *generator) conditional(kind column.Kind, depth int) *generated {
	e := func() *generated { return g.expression(kind, depth-1) }
	condition := func() *generated { return g.expression(column.Bool, depth-1) }
	switch g.IntN(7) {
	case 0:
		return compose([]*generated{condition(), e(), e()}, "CASE WHEN %s THEN %s ELSE %s END")
	case 1:
		return compose([]*generated{condition(), e(), condition(), e()}, "CASE WHEN %s THEN %s WHEN %s THEN %s END")
	case 2:
		other := g.kind()
		return compose([]*generated{g.expression(other, depth-1), g.argument(other, depth-1), e(), e()}, "CASE %s WHEN %s THEN %s ELSE %s END")
	case 3:
		return compose([]*generated{e(), e()}, "COALESCE(%s, %s)")
	case 4:
		return compose([]*generated{e(), g.argument(kind, depth-1)}, "NULLIF(%s, %s)")
	case 5:
		return compose([]*generated{e(), e(), e()}, "GREATEST(%s, %s, %s)")
	}
	return compose([]*generated{e(), g.argument(kind, depth-1)}, "LEAST(%s, %s)")
}

func (g *generator) boolean(depth int) *generated {
	e := func() *generated { return g.expression(column.Bool, depth-1) }
	kind := g.kind()
	x := func() *generated { return g.argument(kind, depth-1) }
	c := func() *generated { return g.leaf(kind) }
	switch g.IntN(17) {
	case 15:
		y := g.argument(column.Text, depth-1)
		return compose([]*generated{x(), y, x(), g.argument(column.Text, depth-1)}, "((%s, %s) "+pick(g, comparisons).name+" (%s, %s))")
	case 16:
		return compose([]*generated{x(), g.leaf(column.Int4), c(), g.leaf(column.Int4), c(), g.leaf(column.Int4)}, "((%s, %s) "+pick(g, []string{"", "NOT "})+"IN ((%s, %s), (%s, %s)))")
	case 14:
		return compose([]*generated{x(), g.expression(column.ArrayOf(kind.Elem()), depth-1)}, "(%s "+pick(g, []string{"= ANY", "<> ALL", "< ANY", ">= ALL"})+" (%s))")
	case 0:
		return compose([]*generated{e(), e()}, "(%s AND %s)")
	case 1:
		return compose([]*generated{e(), e(), e()}, "(%s OR %s OR %s)")
	case 2:
		return compose([]*generated{e()}, "(NOT %s)")
	case 3:
		return compose([]*generated{x()}, "(%s IS "+pick(g, []string{"", "NOT "})+"NULL)")
	case 4:
		return compose([]*generated{e()}, "(%s IS "+pick(g, []string{"TRUE", "NOT TRUE", "FALSE", "NOT FALSE", "UNKNOWN", "NOT UNKNOWN"})+")")
	case 5:
		return compose([]*generated{x(), x()}, "(%s IS "+pick(g, []string{"", "NOT "})+"DISTINCT FROM %s)")
	case 6:
		return compose([]*generated{x(), x(), x()}, "(%s "+pick(g, []string{"", "NOT "})+"BETWEEN "+pick(g, []string{"", "SYMMETRIC "})+"%s AND %s)")
	case 7:
		return compose([]*generated{x(), c(), c(), c()}, "(%s "+pick(g, []string{"", "NOT "})+"IN (%s, %s, %s))")
	case 8:
		return compose([]*generated{g.expression(column.Text, depth-1), g.expression(column.Text, depth-1)},
			"(%s "+pick(g, []string{"", "NOT "})+"LIKE %s"+pick(g, []string{"", " ESCAPE '_'", " ESCAPE 'a'", " ESCAPE ''"})+")")
	case 9:
		return compose([]*generated{x()}, "(%s "+pick(g, []string{"= ANY", "<> ALL", "< ANY", ">= ALL"})+" (ARRAY["+pick(g, literalWords[kind.Elem()])+", "+pick(g, literalWords[kind.Elem()])+"]))")
	}
	return compose([]*generated{x(), x()}, "(%s "+pick(g, comparisons).name+" %s)")
}

// wild puts together what may not fit, for the choice of overloads and its
// errors.
func (g *generator) wild(depth int) *generated {
	operand := func() *generated {
		if g.IntN(3) == 0 {
			return &generated{sql: pick(g, untyped)}
		}
		return g.expression(g.kind(), depth-2)
	}
	f := pick(g, functions.list)
	for f.Refusal != "" || inexact(f) || f.Name == "extract" || f.Name == "timezone" || f.Name == "like_escape" {
		f = pick(g, functions.list)
	}
	switch g.IntN(4) {
	case 0:
		kids := []*generated{operand(), operand()}
		if isWord(f.Name) {
			return compose(kids, f.Name+"(%s, %s)")
		}
		return compose(kids, "(%s "+strings.ReplaceAll(f.Name, "%", "%%")+" %s)")
	case 1:
		kids := []*generated{operand()}
		if isWord(f.Name) {
			return compose(kids, f.Name+"(%s)")
		}
		return compose([]*generated{operand(), kids[0]}, "(%s "+strings.ReplaceAll(f.Name, "%", "%%")+" %s)")
	case 2:
		return compose([]*generated{operand()}, "(%s)::"+g.kind().Name())
	}
	return compose([]*generated{operand(), operand(), operand()}, pick(g, []string{"COALESCE(%s, %s, %s)", "(%s IN (%s, %s))", "CASE %s WHEN %s THEN 1 ELSE %s END", "(%s BETWEEN %s AND %s)"}))
}
