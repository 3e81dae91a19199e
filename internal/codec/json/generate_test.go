package json_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/millstream-dev/millstream/internal/codec"
	"github.com/millstream-dev/millstream/internal/column"
)

// wideSchema has a column of each type that records can hold.
func wideSchema() []codec.Column {
	types := []struct {
		name string
		t    column.Type
	}{
		{"b", column.Of(column.Bool)}, {"i2", column.Of(column.Int2)}, {"i4", column.Of(column.Int4)},
		{"i8", column.Of(column.Int8)}, {"f4", column.Of(column.Float4)}, {"f8", column.Of(column.Float8)},
		{"n", column.Of(column.Numeric)}, {"n52", column.Type{Kind: column.Numeric, Precision: 5, Scale: 2}},
		{"t", column.Of(column.Text)}, {"vc", column.Of(column.Varchar)},
		{"vc4", column.Type{Kind: column.Varchar, Length: 4}}, {"u", column.Of(column.UUID)}, {"bytes", column.Of(column.Bytea)}, {"host", column.Of(column.Inet)}, {"net", column.Of(column.Cidr)}, {"words", column.Of(column.ArrayOf(column.Text))}, {"numbers", column.Of(column.ArrayOf(column.Int4))},
		{"docs", column.Of(column.ArrayOf(column.JSONB))}, {"short", column.Type{Kind: column.ArrayOf(column.Varchar), Length: 3}},
		{"d", column.Of(column.Date)}, {"ts", column.Of(column.Timestamp)}, {"tz", column.Of(column.Timestamptz)},
		{"j", column.Of(column.JSONB)}, {"Odd \"näme\"", column.Of(column.Text)},
	}
	var columns []codec.Column
	for _, x := range types {
		columns = append(columns, codec.Column{Name: x.name, Type: x.t, Needed: true,
			Path: []codec.PathStep{{Member: true, Name: x.name}}})
	}
	return columns
}

// steps makes a path of names and indexes.
func steps(parts ...any) (path []codec.PathStep) {
	for _, part := range parts {
		switch part := part.(type) {
		case string:
			path = append(path, codec.PathStep{Member: true, Name: part})
		case int:
			path = append(path, codec.PathStep{Index: part})
		}
	}
	return path
}

// pathSchema has paths that share prefixes and are prefixes of others.
func pathSchema() []codec.Column {
	at := func(name string, k column.Kind, path ...any) codec.Column {
		return codec.Column{Name: name, Type: column.Of(k), Path: steps(path...), Needed: true}
	}
	return []codec.Column{
		at("whole", column.JSONB, "a"), at("raw", column.Text, "a"), at("ab", column.Text, "a", "b"),
		at("abc", column.Text, "a", "b", "c"), at("first", column.Text, "a", 0),
		at("last", column.Text, "a", -1), at("list", column.Text, "a", "b", 1, "c"),
		at("tail", column.Text, "b", -2, -1), at("both", column.Text, "b", 1, -1),
		at("c", column.Int4, "c"), at("same", column.Text, "c"), at("far", column.Text, "b", 1000000),
	}
}

// generator makes records, good, odd and broken.
type generator struct{ *rand.Rand }

func (g generator) pick(options ...string) string { return options[g.IntN(len(options))] }

func (g generator) maybe(percent int) bool { return g.IntN(100) < percent }

func (g generator) space() string {
	if g.maybe(85) {
		return ""
	}
	return g.pick(" ", "  ", "\n", "\t\r\n ")
}

// digits gives 1 to n digits.
func (g generator) digits(n int) string {
	var b strings.Builder
	for range 1 + g.IntN(n) {
		b.WriteByte(byte('0' + g.IntN(10)))
	}
	return b.String()
}

func (g generator) whole() string {
	return g.pick("", "-") + g.pick("0", strconv.Itoa(1+g.IntN(40000)), "32767", "32768", "2147483647", "2147483648",
		"9223372036854775807", "9223372036854775808", "123456789012345678", "1"+g.digits(25))
}

func (g generator) number() string {
	switch g.IntN(4) {
	case 0:
		return g.whole()
	case 1:
		return g.pick("", "-") + g.pick("0", "1", "12", "9007199254740993", "16777217") + "." + g.digits(22)
	case 2:
		return g.pick("", "-") + g.pick("1", "0.1", "9.99", "123.456") + g.pick("e", "E") + g.pick("", "+", "-") +
			g.pick("0", "1", "5", "10", "22", "38", "39", "300", "308", "309", "400", "05")
	}
	return fmt.Sprintf("%d.%02d", g.IntN(2000)-1000, g.IntN(100))
}

func (g generator) timeText() string {
	day := fmt.Sprintf("%04d-%02d-%02d", g.IntN(3000), g.IntN(14), g.IntN(33))
	if g.maybe(70) {
		day = fmt.Sprintf("%04d-%02d-%02d", 1+g.IntN(9999), 1+g.IntN(12), 1+g.IntN(29))
	}
	if g.maybe(15) {
		return day
	}
	clock := fmt.Sprintf("%02d:%02d:%02d", g.IntN(25), g.IntN(61), g.IntN(62))
	if g.maybe(70) {
		clock = fmt.Sprintf("%02d:%02d:%02d", g.IntN(24), g.IntN(60), g.IntN(60))
	}
	if g.maybe(50) {
		clock += "." + g.digits(8)
	}
	return day + g.pick("T", " ", "t", "  ") + clock + g.pick("", "", "Z", "z", "+02", "-05:30", "+0530", " UTC", "+15:59", "+16", "+14:60", ".")
}

// word gives a string's content without escapes.
func (g generator) word() string {
	return g.pick("", "a", "abcd", "abcde", "abcd  ", "żółw", "żółty", "😀😀😀😀", "true", "f", "yes", "on", "0", "1", "null", " 12 ",
		"NaN", "-Infinity", "inf", "0x1F", "1_000", "1e5", "{}", "[1]", "now", "today", "now x", "today 04:05", "tomorrow 25:00", "yesterday UTC", "TODAY allballs", "epoch", "infinity", "-infinity", "soon",
		"allballs", "2024-02-30", "January 8, 1999", "1999-01-08 04:05:06 PST", "20240102T030405", "12/31/2024", "J2451187",
		"4714-11-24 BC", "4715-01-01 BC", "294276-12-31 23:59:59.9999999", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
		"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", "a0eebc999c0b4ef8bb6d6bb9bd380a11",
		"a0eebc99-9c0b4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g", g.number(), g.timeText(), g.timeText(), g.whole())
}

func (g generator) str() string {
	s := strconv.AppendQuote(nil, g.word())
	text := strings.ReplaceAll(string(s), `\"`, `"`)
	text = text[1 : len(text)-1]
	text = strings.NewReplacer(`"`, `\"`).Replace(text)
	if g.maybe(12) {
		text = g.pick(`\u0061`, `\n`, `\"`, `\\`, `\/`, `\u00e9x`, `\ud83d\ude00`, "\u007f", `\u0031`, `\t1`) + text
	}
	if g.maybe(2) {
		text += g.pick(`\u0000`, `\ud83d`, `\ude00`, `\ud83dx`, `\x`, "\n", "\x00", "\xff", "\xed\xa0\x80", "\xe2\x82")
	}
	return `"` + text + `"`
}

func (g generator) value(depth int) string {
	switch n := g.IntN(20); {
	case n < 6:
		return g.str()
	case n < 11:
		return g.number()
	case n < 13:
		return g.pick("true", "false")
	case n < 15:
		return "null"
	case depth > 3:
		return g.pick("{}", "[]", "{ }", "[ ]")
	case n < 18:
		return g.object(depth, []string{"a", "b", "c", `\u0062`, "d"}, 4)
	}
	return g.array(depth)
}

func (g generator) array(depth int) string {
	var b strings.Builder
	b.WriteString("[" + g.space())
	for i := range g.IntN(4) {
		if i > 0 {
			b.WriteString("," + g.space())
		}
		b.WriteString(g.value(depth+1) + g.space())
	}
	return b.String() + "]"
}

func (g generator) object(depth int, keys []string, most int) string {
	var b strings.Builder
	b.WriteString("{" + g.space())
	for i := range g.IntN(most) {
		if i > 0 {
			b.WriteString("," + g.space())
		}
		b.WriteString(`"` + g.pick(keys...) + `"` + g.space() + ":" + g.space() + g.value(depth+1) + g.space())
	}
	return b.String() + "}"
}

// fitting gives a value that mostly fits a column of wideSchema.
func (g generator) fitting(c codec.Column) string {
	var text string
	switch k := c.Type.Kind; {
	case g.maybe(4):
		return g.value(0)
	case k.IsArray() && g.maybe(15):
		return g.pick(`"{}"`, `"{1,NULL}"`, `"{\"a b\",c}"`, `"{{1}}"`, `"{"`, `[[1]]`, `{}`, `"{a"`, `"[2:3]={1,2}"`)
	case k.IsArray():
		c.Type = c.Type.Elem()
		parts := make([]string, g.IntN(4))
		for i := range parts {
			parts[i] = g.space() + g.fitting(c) + g.space()
		}
		return "[" + g.space() + strings.Join(parts, ",") + "]"
	case k == column.JSONB:
		return g.value(0)
	case k == column.Bool:
		return g.pick("true", "false", `"true"`, `"t"`, `"off"`, "null", "1", `" yes "`)
	case k == column.Int2:
		text = g.pick("", "-") + strconv.Itoa(g.IntN(33000))
	case k == column.Int4:
		text = g.pick("", "-") + strconv.Itoa(g.IntN(1<<31+1000))
	case k == column.Int8:
		text = g.pick("", "-") + strconv.FormatUint(g.Uint64N(1<<63+10), 10)
	case c.Type.Precision > 0:
		text = fmt.Sprintf("%d.%03d", g.IntN(1010), g.IntN(1000))
	case k.IsNumber():
		text = g.number()
	case k == column.UUID:
		return fmt.Sprintf(`"%08x-%04X-%04x-%04x-%012x"`, g.Uint32(), g.IntN(1<<16), g.IntN(1<<16), g.IntN(1<<16), g.Int64N(1<<48))
	case k == column.Time:
		return g.pick(`"12:34:56"`, `"23:59:59.999999"`, `"24:00:00"`, `"25:00"`, `"04:05 PM"`, `"040506"`, `"allballs"`, `"12:00+02"`, `"noon"`)
	case k == column.Inet || k == column.Cidr:
		return g.pick(`"192.0.2.1"`, `"10.0.0.0/8"`, `"10.1.2.3/8"`, `"::1"`, `"2001:db8::/32"`, `"10.1"`, `"1.2.3.256"`, `""`, `"::ffff:1.2.3.4"`, `"0.0.0.0/0"`, `"1.2.3.4/33"`)
	case k == column.Bytea:
		return g.pick(`"\\xdeadbeef"`, `"\\x0"`, `"abc"`, `"\\\\"`, `"a\\000"`, `"\\"`, `12`, `{"a": 1}`)
	case k == column.Date:
		return `"` + g.pick(g.timeText(), g.timeText()[:10], "2024-02-29", "infinity", "0044-03-15 BC") + `"`
	case k.IsTime():
		return `"` + g.timeText() + `"`
	case c.Type.Length > 0:
		return g.pick(`"abcd"`, `"żółw"`, `"ab   "`, `"abcd "`, `1234`, `"\u0061bcd"`, `"abcde"`, `true`)
	default:
		return g.str()
	}
	if g.maybe(30) {
		return `"` + g.pick("", " ") + text + g.pick("", " ") + `"`
	}
	return text
}

// record gives one record for the columns. Most have few fields, so that a
// good share of them decodes.
func (g generator) record(columns []codec.Column, fit bool) []byte {
	var parts []string
	for range g.IntN(5) {
		c := columns[g.IntN(len(columns))]
		key := strconv.Quote(c.Path[0].Name)
		value := g.value(0)
		if fit {
			value = g.fitting(c)
		}
		parts = append(parts, key+g.space()+":"+g.space()+value+g.space())
	}
	if g.maybe(30) {
		parts = append(parts, g.str()+":"+g.value(0))
	}
	g.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	b := []byte(g.space() + "{" + g.space() + strings.Join(parts, ","+g.space()) + "}" + g.space())
	if g.maybe(15) {
		b = g.mutate(b)
	}
	return b
}

// mutate breaks a record, most times.
func (g generator) mutate(b []byte) []byte {
	p := g.IntN(len(b) + 1)
	switch g.IntN(6) {
	case 0:
		return b[:p]
	case 1:
		return append(b[:p:p], b[min(p+1+g.IntN(3), len(b)):]...)
	case 2:
		insert := g.pick(",", ":", `"`, "\\", "{", "}", "[", "]", "0", "-", ".", "e", "\x00", "\xff", "\x1f", "\u00a0", "null", `\u00`, "//")
		return append(append(b[:p:p], insert...), b[p:]...)
	case 3:
		q := g.IntN(len(b))
		b[q] = byte(g.IntN(256))
		return b
	case 4:
		return append(b, b...)
	}
	return []byte(g.value(0))
}
