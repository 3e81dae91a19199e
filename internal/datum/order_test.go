package datum

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/column"
)

// orderSeeds are further inputs whose order or equality is of interest.
var orderSeeds = map[column.Kind][]string{
	column.Float8:   {"0", "-0", "NaN", "-nan", "1e308", "-inf", "inf", "1.0"},
	column.Float4:   {"0", "-0", "NaN", "-nan", "-inf", "inf", "0.1"},
	column.Numeric:  {"1", "1.0", "1.00", "100", "1e2", "-0.0", "0", "0.000", "9223372036854775807", "9223372036854775807.0", "9223372036854775808", "9223372036854775808.000", "-9223372036854775808", "-9223372036854775808.00", "1e30", "1e30", "1000000000000000000000000000000.0000000000000000000000000000000000", "NaN", "Inf", "-Inf", "0.1", "0.10", "10", "12345678901234567890.1", "12345678901234567890.10000000000000000000000000"},
	column.Interval: {"1 month", "30 days", "720 hours", "29 days 24:00", "1 month -30 days", "0", "-1 month", "-30 days", "178956970 years", "-178956970 years", "2147483647 days", "9223372036854775807 us", "-9223372036854775808 us", "1 day", "24:00:00", "23:59:59.999999", "-1 us", "1 us"},
	column.JSONB:    {"null", "true", "false", "1", "1.0", "1.00", "-1", "10", `"a"`, `"b"`, `""`, `"\u00e9"`, `"\n"`, `"\""`, "[]", "{}", "[[]]", "[1]", "[1.0]", "[1,2]", "[2]", "[null]", `["a"]`, "[{}]", "[[1],2]", `{"a":1}`, `{"a":1.0}`, `{"a":2}`, `{"b":1}`, `{"a":1,"b":2}`, `{"aa":1}`, `{"a":[]}`, `{"a":{}}`, `{"a":null}`, `{"a":"x"}`, `[true,false]`, `[false,true]`, `["1.0"]`, `["1"]`, `{"1.0":1}`, `{"1":1}`, `[[[1]]]`, `[[[1.10]]]`, `[[[1.1]]]`, `[0.0]`, `[0]`, `[100]`, `[1e2]`, `"[]"`, `"{\"a\": 1.0}"`, `"{\"a\": 1}"`, `["a:",1]`, `[0.10, "0.10"]`, `[0.1, "0.1"]`, `[0.1, "0.10"]`, `{"n":1,"m":[1,{"k":"v"}]}`, `{"n":1,"m":[1,{"k":"w"}]}`},
	column.Text:     {"a", "A", "b", "é", "z", "日", "aa", "", " ", "😀", "\uffff"},
}

// maxOrdered is how many values of a type are compared pair by pair.
const maxOrdered = 220

// maxOrderedText leaves out the giants: each of their pairs takes long.
const maxOrderedText = 1000

// TestOrderAndKeysArePostgres compares Compare and AppendOrdered with ORDER BY,
// and AppendKey with =, over all pairs.
func TestOrderAndKeysArePostgres(t *testing.T) {
	conn := connect(t)
	for kind, f := range inputFunctions {
		from := kind
		switch kind {
		case column.Int2, column.Int8:
			from = column.Int4
		case column.Cidr:
			from = column.Inet
		case column.ArrayOf(column.Numeric):
			from = column.ArrayOf(column.Int4)
		case column.Float4:
			from = column.Float8
		case column.Date, column.Timestamp:
			from = column.Timestamptz
		}
		typ := column.Of(kind)
		v := column.NewVector(typ, 0)
		var inputs []string
		for _, in := range append(append(append([]string{}, orderSeeds[kind]...), seeds[from]...), mutations(from, 3000)...) {
			i := v.Grow()
			if len(inputs) == maxOrdered || Input(v, i, []byte(in)) != nil || len(Append(nil, v, i)) > maxOrderedText {
				v.Truncate(i)
				continue
			}
			inputs = append(inputs, in)
		}
		compareOrder(t, v, inputs, ranks(t, conn, kind, strings.ReplaceAll(f.in, "%d", "-1"), inputs))
	}
}

// ranks gives the place of each input in PostgreSQL's order; equal values
// share one.
func ranks(t *testing.T, conn *pgx.Conn, kind column.Kind, in string, inputs []string) []int {
	t.Helper()
	order := "v"
	if kind.Elem().IsString() {
		order = `v COLLATE "C"`
	}
	rows, err := conn.Query(context.Background(), fmt.Sprintf(`SELECT dense_rank() OVER (ORDER BY %s)
		FROM (SELECT n, %s AS v FROM unnest($1::text[]) WITH ORDINALITY AS u(i, n)) x ORDER BY n`, order, in), inputs)
	if err != nil {
		t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
	return out
}

func compareOrder(t *testing.T, v *column.Vector, inputs []string, rank []int) {
	t.Helper()
	keys := make([][]byte, len(inputs))
	var ordered [][]byte
	for i := range inputs {
		keys[i] = AppendKey(nil, v, i)
		if Ordered(v.Type.Kind) {
			ordered = append(ordered, AppendOrdered(nil, v, i))
		}
	}
	bad := 0
	for i := range inputs {
		for j := range inputs {
			want := min(max(rank[i]-rank[j], -1), 1)
			got := min(max(Compare(v, i, v, j), -1), 1)
			if got != want && bad < maxReported {
				bad++
				t.Errorf("%s: Compare(%q, %q) is %d, want %d", v.Type, inputs[i], inputs[j], got, want)
			}
			if same := bytes.Equal(keys[i], keys[j]); same != (want == 0) && bad < maxReported {
				bad++
				t.Errorf("%s: keys of %q and %q equal: %v", v.Type, inputs[i], inputs[j], same)
			}
			if ordered != nil && bytes.Compare(ordered[i], ordered[j]) != want && bad < maxReported {
				bad++
				t.Errorf("%s: the bytes of %q and %q do not compare as %d", v.Type, inputs[i], inputs[j], want)
			}
			if ordered != nil && want != 0 && bytes.HasPrefix(ordered[i], ordered[j]) {
				t.Errorf("%s: the bytes of %q are the beginning of those of %q", v.Type, inputs[j], inputs[i])
			}
			if i != j && want != 0 && bytes.HasPrefix(keys[i], keys[j]) {
				t.Errorf("%s: the key of %q is the beginning of that of %q", v.Type, inputs[j], inputs[i])
			}
		}
	}
	t.Logf("%s: %d values", v.Type, len(inputs))
}

func TestNullKey(t *testing.T) {
	v := column.NewVector(column.Of(column.Text), 2)
	v.Null[0] = true
	v.SetString(1, "")
	if bytes.Equal(AppendKey(nil, v, 0), AppendKey(nil, v, 1)) {
		t.Error("null and the empty text have the same key")
	}
	if got := string(AppendJSON(nil, v, 0)); got != "null" {
		t.Errorf("null as JSON: %s", got)
	}
}

// TestCivilIsPostgres compares the calendar with PostgreSQL's over its whole
// range.
func TestCivilIsPostgres(t *testing.T) {
	conn := connect(t)
	var micros []int64
	const spread = 500
	for i := range int64(spread) {
		m := int64(MinTimestamp) + i*((EndTimestamp/spread)-(MinTimestamp/spread))
		micros = append(micros, m, m+1)
	}
	for m := int64(-400 * 365 * Day); m < 40*365*Day; m += 29*Day + 17*Hour + 61*Second + 7 {
		micros = append(micros, m)
	}
	micros = append(micros, MinTimestamp, EndTimestamp-1, 0, -1, Day-1)
	rows, err := conn.Query(context.Background(), `SELECT extract(year FROM t)::int, extract(month FROM t)::int, extract(day FROM t)::int, extract(hour FROM t)::int, extract(minute FROM t)::int,
			extract(microseconds FROM t)::int, extract(dow FROM t)::int, extract(doy FROM t)::int, extract(isoyear FROM t)::int, extract(week FROM t)::int, (extract(julian FROM t::date))::int,
			timestamp_send(date_trunc('week', t))
		FROM (SELECT n, make_timestamp(2000,1,1,0,0,0) + make_interval(days => (u / 86400000000)::int) + (u % 86400000000) * interval '1 us' AS t
			FROM unnest($1::bigint[]) WITH ORDINALITY AS x(u, n)) y ORDER BY n`, micros)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var want [11]int
		var week []byte
		if err := rows.Scan(&want[0], &want[1], &want[2], &want[3], &want[4], &want[5], &want[6], &want[7], &want[8], &want[9], &want[10], &week); err != nil {
			t.Fatal(err)
		}
		m := micros[n]
		n++
		c := Civil(m)
		julian := JulianDay(c.Year, c.Month, c.Day)
		isoYear, isoWeek := ISOWeek(julian)
		// extract has no year 0.
		shown := func(year int) int {
			if year <= 0 {
				return year - 1
			}
			return year
		}
		got := [11]int{shown(c.Year), c.Month, c.Day, c.Hour, c.Minute, c.Second*Second + c.Micros, Weekday(julian), DayOfYear(c.Year, c.Month, c.Day), shown(isoYear), isoWeek, julian}
		if got != want {
			t.Fatalf("%d: got %v, want %v", m, got, want)
		}
		back, ok := c.Stored()
		if !ok || back != m {
			t.Fatalf("%d: back %d %v", m, back, ok)
		}
		if y, mo, d := DateOfJulian(julian); y != c.Year || mo != c.Month || d != c.Day {
			t.Fatalf("%d: julian day %d is %d-%d-%d", m, julian, y, mo, d)
		}
	}
	if err := rows.Err(); err != nil || n != len(micros) {
		t.Fatalf("%d of %d rows: %v", n, len(micros), err)
	}
}

func TestISOWeekStart(t *testing.T) {
	for year := -4000; year < 4000; year++ {
		for _, week := range []int{1, 26, 52} {
			start := ISOWeekStart(year, week)
			if y, w := ISOWeek(start); y != year || w != week || Weekday(start) != 1 {
				t.Fatalf("week %d of %d begins at %d, in week %d of %d, weekday %d", week, year, start, w, y, Weekday(start))
			}
		}
	}
}

func TestStoredRange(t *testing.T) {
	for _, c := range []CivilTime{{Year: 294277, Month: 1, Day: 1}, {Year: -4713, Month: 11, Day: 23}, {Year: 5874898, Month: 6, Day: 1}, {Year: math.MinInt32, Month: 1, Day: 1}} {
		if m, ok := c.Stored(); ok {
			t.Errorf("%v is out of range, got %d", c, m)
		}
	}
	if m, ok := (CivilTime{Year: 1999, Month: 12, Day: 31, Hour: 24}).Stored(); !ok || m != 0 {
		t.Errorf("24:00: got %d %v", m, ok)
	}
}

func TestEveryKindHasAnInput(t *testing.T) {
	for k := column.Bool; k < column.Unknown; k++ {
		if _, ok := inputFunctions[k]; !ok {
			t.Errorf("%s is not tested", k)
		}
	}
	if !slices.Contains(seeds[column.Timestamptz], "now") {
		t.Error("the words for the present are not tested")
	}
}
