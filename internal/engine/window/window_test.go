package window

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/local/pgtest"
)

// connect gives a connection to a PostgreSQL of the test's own.
func connect(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func at(text string) int64 {
	parsed, err := time.Parse("2006-01-02 15:04:05", text)
	if err != nil {
		panic(err)
	}
	return stored(parsed)
}

func instant(t int64) time.Time { return time.UnixMicro(t - column.UnixEpochMicros).UTC() }

// truncated asks PostgreSQL for date_trunc of many instants.
func truncated(t *testing.T, conn *pgx.Conn, unit, zone string, instants []int64) []int64 {
	t.Helper()
	times := make([]time.Time, len(instants))
	for i, at := range instants {
		times[i] = instant(at)
	}
	query := "SELECT date_trunc($1, t, $3) FROM unnest($2::timestamptz[]) WITH ORDINALITY AS u(t, n) ORDER BY n"
	args := []any{unit, times, zone}
	if zone == "" {
		query = "SELECT date_trunc($1, t) FROM unnest($2::timestamp[]) WITH ORDINALITY AS u(t, n) ORDER BY n"
		args = args[:2]
	}
	rows, err := conn.Query(context.Background(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	starts, err := pgx.CollectRows(rows, pgx.RowTo[time.Time])
	if err != nil {
		t.Fatalf("date_trunc(%s, %s): %v", unit, zone, err)
	}
	out := make([]int64, len(starts))
	for i, s := range starts {
		out[i] = stored(s)
	}
	return out
}

func calendar(t *testing.T, unit Unit, zone string) *Calendar {
	t.Helper()
	var z *Zone
	if zone != "" {
		var err error
		if z, err = LoadZone(zone); err != nil {
			t.Fatal(err)
		}
	}
	c, err := NewCalendar(unit, z)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// zonesOfInterest have half-hour and negative daylight saving, changes at
// midnight and just after it, days that were left out or came twice, offsets
// of seconds, and none at all.
var zonesOfInterest = []string{
	"UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Europe/Dublin", "America/St_Johns",
	"America/Sao_Paulo", "America/Havana", "Asia/Kathmandu", "Pacific/Apia", "Pacific/Kwajalein", "Asia/Tehran",
	"Africa/Casablanca", "Antarctica/Troll", "America/Caracas", "Asia/Pyongyang", "Africa/Monrovia", "Asia/Gaza",
	"Asia/Manila", "Europe/Amsterdam", "America/Juneau", "Etc/GMT+12",
}

// TestCalendarAgainstPostgreSQL compares starts with date_trunc, and ends with
// the last instant that PostgreSQL puts into the window, at minute steps
// around changes of the clock.
func TestCalendarAgainstPostgreSQL(t *testing.T) {
	conn := connect(t)
	for _, zone := range zonesOfInterest {
		t.Run(zone, func(t *testing.T) {
			z, err := LoadZone(zone)
			if err != nil {
				t.Fatal(err)
			}
			around := []int64{at("2024-02-29 12:00:00"), at("2100-03-01 00:00:00")}
			if n := len(z.spans); n > 1 {
				// The first change, some of the middle, the last listed ones.
				for _, i := range []int{1, n / 7, n / 5, n / 4, n / 3, n - 2, n - 1} {
					around = append(around, z.spans[max(i, 1)].from)
				}
				for _, s := range z.spans[1:] {
					if s.from > at("2022-01-01 00:00:00") && s.from < at("2024-01-01 00:00:00") {
						around = append(around, s.from)
					}
				}
			}
			for _, middle := range around {
				for _, unit := range []Unit{Second, Minute, Hour, Day} {
					compareAround(t, conn, unit, zone, middle, 36*hour, minute)
				}
				compareAround(t, conn, Week, zone, middle, 15*day, 30*minute)
				compareAround(t, conn, Month, zone, middle, 62*day, 6*hour)
			}
		})
	}
}

// compareAround compares starts and ends from middle-reach to middle+reach.
func compareAround(t *testing.T, conn *pgx.Conn, unit Unit, zone string, middle, reach, step int64) {
	t.Helper()
	c := calendar(t, unit, zone)
	var instants []int64
	for at := middle - reach; at <= middle+reach; at += step {
		instants = append(instants, at)
	}
	want := truncated(t, conn, string(unit), zone, instants)
	last := map[int64]int64{}
	for i, at := range instants {
		got, ok := c.Start(at)
		if !ok || got != want[i] {
			t.Fatalf("date_trunc(%s, %s, %s) = %s, PostgreSQL says %s", unit, instant(at), zone, instant(got), instant(want[i]))
		}
		last[want[i]] = at
	}
	for start, at := range last {
		if at > middle+reach-2*step && at+step > middle+reach-day*40 && start == want[len(want)-1] {
			continue // the series may end before the window does
		}
		end := c.End(start)
		if unit == Second {
			at = max(at, start) // steps are longer than the window
		}
		if end <= at || end > at+step {
			t.Errorf("%s in %s from %s ends at %s, but PostgreSQL's last instant in steps of %s is %s",
				unit, zone, instant(start), instant(end), time.Duration(step)*time.Microsecond, instant(at))
		}
	}
}

// TestCalendarFarAway compares starts at random times of PostgreSQL's whole
// range.
func TestCalendarFarAway(t *testing.T) {
	conn := connect(t)
	random := rand.New(rand.NewPCG(1, 2))
	for _, zone := range []string{"", "UTC", "Europe/Paris", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia"} {
		for _, unit := range Units {
			var instants []int64
			for range 400 {
				instants = append(instants,
					// between 4000 BC and 290000 AD, between 1500 and 2700
					at("2000-01-01 00:00:00")-6000*365*day+random.Int64N(290_000*365)*day+random.Int64N(day),
					at("1500-01-01 00:00:00")+random.Int64N(1200*365)*day+random.Int64N(day))
			}
			want := truncated(t, conn, string(unit), zone, instants)
			c := calendar(t, unit, zone)
			for i, at := range instants {
				got, ok := c.Start(at)
				if !ok || got != want[i] {
					t.Fatalf("date_trunc(%s, %s, %q) = %s, PostgreSQL says %s", unit, instant(at), zone, instant(got), instant(want[i]))
				}
				if end := c.End(got); end <= at {
					t.Fatalf("%s in %q of %s ends at %s, before it", unit, zone, instant(at), instant(end))
				} else if next, ok := c.Start(end); ok && next == got {
					t.Fatalf("%s in %q of %s ends at %s, which is in it", unit, zone, instant(at), instant(end))
				}
			}
		}
	}
}

// TestRange has the times that PostgreSQL calls out of range.
func TestRange(t *testing.T) {
	conn := connect(t)
	for _, unit := range Units {
		c := calendar(t, unit, "")
		for _, at := range []int64{minTimestamp, minTimestamp + 1, minTimestamp + day + 7, endTimestamp - 1, endTimestamp - day} {
			var want time.Time
			err := conn.QueryRow(context.Background(), "SELECT date_trunc($1, $2::timestamp)", string(unit), instant(at)).Scan(&want)
			got, ok := c.Start(at)
			if ok != (err == nil) || ok && got != stored(want) {
				t.Errorf("date_trunc(%s, %s) = %s, %v; PostgreSQL says %s, %v", unit, instant(at), instant(got), ok, want, err)
			}
		}
	}
	for _, at := range []int64{minTimestamp - 1, endTimestamp, column.Infinity, column.NegativeInfinity} {
		if _, ok := calendar(t, Day, "UTC").Start(at); ok {
			t.Errorf("Start(%d) is in range", at)
		}
		if _, ok := Tumble(hour).Start(at); ok {
			t.Errorf("Tumble.Start(%d) is in range", at)
		}
	}
}

func TestFixedAgainstPostgreSQL(t *testing.T) {
	conn := connect(t)
	random := rand.New(rand.NewPCG(3, 4))
	sizes := []int64{1, 999, second, 7 * second, 5 * minute, hour, 36 * hour, 7 * day, 1000 * day}
	origins := []int64{column.UnixEpochMicros, 0, at("2001-02-03 04:05:06") + 7, at("3000-01-01 00:00:00")}
	for _, size := range sizes {
		for _, origin := range origins {
			var times []time.Time
			var instants []int64
			for range 200 {
				at := at("1960-01-01 00:00:00") + random.Int64N(100*365)*day + random.Int64N(day)
				instants, times = append(instants, at), append(times, instant(at))
			}
			instants, times = append(instants, origin, origin-1, origin-size), append(times, instant(origin), instant(origin-1), instant(origin-size))
			rows, err := conn.Query(context.Background(),
				"SELECT date_bin($1, t, $3) FROM unnest($2::timestamptz[]) WITH ORDINALITY AS u(t, n) ORDER BY n",
				time.Duration(size)*time.Microsecond, times, instant(origin))
			if err != nil {
				t.Fatal(err)
			}
			want, err := pgx.CollectRows(rows, pgx.RowTo[time.Time])
			if err != nil {
				t.Fatal(err)
			}
			f := NewFixed(size, origin)
			for i, at := range instants {
				got, ok := f.Start(at)
				if !ok || got != stored(want[i]) {
					t.Fatalf("date_bin(%s, %s, %s) = %s, PostgreSQL says %s", Duration(size), instant(at), instant(origin), instant(got), want[i])
				}
				if f.End(got) != got+size || at < got || at >= f.End(got) {
					t.Fatalf("window of %s: [%s, %s)", instant(at), instant(got), instant(f.End(got)))
				}
			}
		}
	}
}

// TestTransitions compares the list of offsets with PostgreSQL's zone data.
func TestTransitions(t *testing.T) {
	conn := connect(t)
	for _, zone := range zonesOfInterest {
		offsets, err := Transitions(zone)
		if err != nil {
			t.Fatal(err)
		}
		times := make([]time.Time, len(offsets))
		for i, o := range offsets {
			times[i] = o.At
		}
		rows, err := conn.Query(context.Background(),
			"SELECT extract(epoch FROM (t AT TIME ZONE $2) - (t AT TIME ZONE 'UTC'))::int FROM unnest($1::timestamptz[]) WITH ORDINALITY AS u(t, n) ORDER BY n", times, zone)
		if err != nil {
			t.Fatal(err)
		}
		want, err := pgx.CollectRows(rows, pgx.RowTo[int])
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range offsets {
			if o.Seconds != want[i] {
				t.Errorf("%s at %s: %d seconds, PostgreSQL says %d", zone, o.At, o.Seconds, want[i])
			}
		}
	}
}

func TestLoadZone(t *testing.T) {
	for _, name := range []string{"", "Local", "local", "Mars/Olympus", "../etc/passwd"} {
		if _, err := LoadZone(name); err == nil {
			t.Errorf("LoadZone(%q) succeeds", name)
		}
	}
	if _, err := NewCalendar("fortnight", nil); err == nil {
		t.Error("a calendar of fortnights")
	}
}

func TestString(t *testing.T) {
	for _, c := range []struct {
		assigner Assigner
		want     string
	}{
		{Tumble(5 * minute), "5 minutes from 1970-01-01"},
		{Tumble(day + hour + 1), "1 day 1 hour 1 microsecond from 1970-01-01"},
		{NewFixed(90*minute, at("2001-02-03 04:05:06")), "1 hour 30 minutes from 2001-02-03 04:05:06"},
		{NewFixed(hour, 0), "1 hour from 2000-01-01"},
		{calendar(t, Day, "Europe/Paris"), "calendar day in Europe/Paris"},
		{calendar(t, Week, ""), "calendar week"},
	} {
		if got := c.assigner.String(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	if got := Duration(0); got != "0 seconds" {
		t.Error(got)
	}
}

// TestEndOfTime has windows that reach beyond the last instant.
func TestEndOfTime(t *testing.T) {
	for _, c := range []Assigner{NewFixed(365_000*day, 0), calendar(t, Millennium, "UTC"), calendar(t, Millennium, ""), calendar(t, Day, "Asia/Tokyo")} {
		start, ok := c.Start(endTimestamp - 1)
		if !ok {
			t.Fatalf("%s: out of range", c)
		}
		if end := c.End(start); end < endTimestamp || end == column.Infinity {
			t.Errorf("%s: the last window ends at %d", c, end)
		}
	}
}

func BenchmarkStart(b *testing.B) {
	for _, c := range []struct {
		name string
		make func() Assigner
	}{
		{"tumble", func() Assigner { return Tumble(5 * minute) }},
		{"hour", func() Assigner { z, _ := LoadZone("Europe/Paris"); c, _ := NewCalendar(Hour, z); return c }},
		{"day", func() Assigner { z, _ := LoadZone("Europe/Paris"); c, _ := NewCalendar(Day, z); return c }},
		{"month", func() Assigner { z, _ := LoadZone("Europe/Paris"); c, _ := NewCalendar(Month, z); return c }},
	} {
		b.Run(fmt.Sprint(c.name), func(b *testing.B) {
			a := c.make()
			from := at("2026-03-28 00:00:00")
			for i := range b.N {
				a.Start(from + int64(i%1000)*minute)
			}
		})
	}
}
