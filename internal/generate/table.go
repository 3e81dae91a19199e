package generate

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/millstream-dev/millstream/internal/codec"
	"github.com/millstream-dev/millstream/internal/column"
)

// nullShare is the share of NULLs in columns that may be NULL.
const nullShare = 0.02

// Columns describe a foreign table for which records are made.
type Columns struct {
	Columns []codec.Column // without those that are generated
	// EventTime is the index of the event time in Columns, -1 for none.
	EventTime int
	// Disorder is how far records may be out of order in event time: less
	// than the table's watermark delay, so that none is late.
	Disorder time.Duration
}

// Table is traffic that fits a foreign table: values that suit each column's
// type, and its name where that says something. The same seed gives the same
// values.
type Table struct {
	table  Columns
	times  Times
	random *rand.Rand
	made   int64
}

// NewTable makes traffic for a table.
func NewTable(c Columns, seed uint64, times Times) *Table {
	return &Table{table: c, times: times, random: rand.New(rand.NewPCG(seed, 1))}
}

// Next gives an event. The traffic never ends.
func (t *Table) Next() (Record, error) {
	at := t.times.next(t.made)
	t.made++
	var document any = map[string]any{}
	for i, c := range t.table.Columns {
		var value any
		switch {
		case i == t.table.EventTime:
			value = t.time(c, t.disordered(at))
		case !c.NotNull && t.random.Float64() < nullShare:
			value = nil
		default:
			value = t.value(c, at)
		}
		document = place(document, c.Path, value)
	}
	text, err := json.Marshal(document)
	return Record{Value: text, Partition: AnyPartition}, err
}

func (t *Table) disordered(at time.Time) time.Time {
	if t.table.Disorder <= 0 {
		return at
	}
	return at.Add(-time.Duration(t.random.Int64N(int64(t.table.Disorder))))
}

// place puts a value where a path leads. Where two columns' paths contradict
// each other, the first one's shape stays.
func place(document any, path []codec.PathStep, value any) any {
	if len(path) == 0 {
		if document != nil {
			return document
		}
		return value
	}
	step, rest := path[0], path[1:]
	if step.Member {
		object, ok := document.(map[string]any)
		if !ok {
			if document != nil {
				return document
			}
			object = map[string]any{}
		}
		object[step.Name] = place(object[step.Name], rest, value)
		return object
	}
	array, ok := document.([]any)
	if !ok && document != nil {
		return document
	}
	// From the end, -1 is the only element of an array of one.
	index := step.Index
	if index < 0 {
		index = -1 - index
	}
	for len(array) <= index {
		array = append(array, nil)
	}
	at := index
	if step.Index < 0 {
		at = len(array) + step.Index
	}
	array[at] = place(array[at], rest, value)
	return array
}

// value suits a column's type, and its name.
func (t *Table) value(c codec.Column, at time.Time) any {
	switch k := c.Type.Kind; {
	case k.IsArray():
		c.Type = c.Type.Elem()
		out := make([]any, t.random.IntN(4))
		for i := range out {
			out[i] = t.value(c, at)
		}
		return out
	case k == column.Bool:
		return t.random.IntN(2) == 0
	case k.IsInteger():
		return t.integer(c)
	case k.IsFloat():
		return json.RawMessage(strconv.FormatFloat(t.number(c.Name), 'f', 2, 64))
	case k == column.Numeric:
		return t.numeric(c)
	case k.IsString():
		return t.text(c)
	case k == column.UUID:
		return t.uuid()
	case k == column.Time:
		return at.UTC().Format("15:04:05.000")
	case k == column.Inet:
		return fmt.Sprintf("192.0.2.%d", t.random.IntN(256))
	case k == column.Cidr:
		return fmt.Sprintf("10.%d.0.0/16", t.random.IntN(256))
	case k == column.Bytea:
		return fmt.Sprintf(`\x%016x`, t.random.Uint64())
	case k.IsTime():
		return t.time(c, at)
	case k == column.JSONB:
		return map[string]any{"n": t.random.IntN(100)}
	}
	return nil
}

// ranges are what numbers of a name lie in; the first that is part of a
// column's name counts.
var ranges = []struct {
	part     string
	from, to float64
}{
	{"lat", -90, 90}, {"lon", -180, 180}, {"lng", -180, 180},
	{"temp", -10, 35}, {"humid", 20, 95}, {"percent", 0, 100}, {"ratio", 0, 1},
	{"price", 1, 500}, {"amount", 1, 500}, {"cost", 1, 500}, {"total", 1, 2000},
	{"quantity", 1, 10}, {"qty", 1, 10}, {"count", 1, 10},
	{"age", 18, 90}, {"year", 1970, 2030}, {"status", 200, 204}, {"port", 1024, 9999},
	{"latency", 1, 250}, {"duration", 1, 250}, {"speed", 0, 130}, {"id", 1, 1000},
}

func rangeOf(name string) (from, to float64) {
	name = strings.ToLower(name)
	for _, r := range ranges {
		if strings.Contains(name, r.part) {
			return r.from, r.to
		}
	}
	return 0, 100
}

func (t *Table) number(name string) float64 {
	from, to := rangeOf(name)
	return from + t.random.Float64()*(to-from)
}

func (t *Table) integer(c codec.Column) any {
	if strings.EqualFold(c.Name, "id") {
		if c.Type.Kind == column.Int2 {
			return t.made % math.MaxInt16
		}
		return t.made
	}
	return int64(math.Round(t.number(c.Name)))
}

// numeric keeps within precision and scale.
func (t *Table) numeric(c codec.Column) any {
	scale, n := 2, t.number(c.Name)
	if c.Type.Precision > 0 {
		scale = max(int(c.Type.Scale), 0)
		greatest := math.Pow10(int(c.Type.Precision-c.Type.Scale)) - math.Pow10(-scale)
		n = math.Mod(n, greatest) // so that it does not round up to one digit more
	}
	return json.RawMessage(strconv.FormatFloat(n, 'f', scale, 64))
}

// words are the texts of a name; the first that is part of a column's name
// counts.
var words = []struct {
	part  string
	texts []string
}{
	{"country", []string{"DE", "ES", "FR", "GB", "IN", "JP", "US"}},
	{"city", []string{"Berlin", "Lagos", "Lima", "Lyon", "Osaka", "Pune"}},
	{"currency", []string{"EUR", "GBP", "JPY", "USD"}},
	{"status", []string{"new", "open", "paid", "shipped", "closed"}},
	{"level", []string{"debug", "info", "warn", "error"}},
	{"method", []string{"GET", "POST", "PUT", "DELETE"}},
	{"name", []string{"Ada", "Bo", "Chen", "Dina", "Eli", "Femi"}},
	{"type", SampleTypes},
	{"path", []string{"/", "/about", "/cart", "/checkout", "/search"}},
	{"url", []string{"https://example.com/", "https://example.com/cart"}},
}

func (t *Table) text(c codec.Column) any {
	text := t.word(strings.ToLower(c.Name))
	if n := int(c.Type.Length); n > 0 && len(text) > n {
		text = text[:n] // ASCII all
	}
	return text
}

func (t *Table) word(name string) string {
	if strings.Contains(name, "mail") {
		return fmt.Sprintf("user%d@example.com", t.random.IntN(1000))
	}
	for _, w := range words {
		if strings.Contains(name, w.part) {
			return w.texts[t.random.IntN(len(w.texts))]
		}
	}
	const values = 20 // few enough for groups to fill
	return fmt.Sprintf("%s_%d", strings.TrimSuffix(name, "_id"), t.random.IntN(values))
}

func (t *Table) uuid() string {
	hi, lo := t.random.Uint64(), t.random.Uint64()
	hi = hi&^0xf000 | 0x4000 // version 4
	lo = lo&^(3<<62) | 1<<63 // its variant
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", hi>>32, hi>>16&0xffff, hi&0xffff, lo>>48, lo&(1<<48-1))
}

// time writes a time as the column wants it.
func (t *Table) time(c codec.Column, at time.Time) any {
	at = at.UTC()
	switch c.Epoch {
	case codec.EpochSeconds:
		return at.Unix()
	case codec.EpochMillis:
		return at.UnixMilli()
	case codec.EpochMicros:
		return at.UnixMicro()
	case codec.EpochNanos:
		return at.UnixNano()
	}
	switch c.Type.Kind {
	case column.Date:
		return at.Format(time.DateOnly)
	case column.Timestamp:
		return at.Format("2006-01-02T15:04:05.000000")
	}
	return at.Format(eventTime)
}
