package datum

import (
	"testing"

	"github.com/millstream-dev/millstream/internal/column"
)

func TestInputPrintsBack(t *testing.T) {
	for _, c := range []struct {
		kind     column.Kind
		in, want string
	}{
		{column.Timestamptz, "2024-01-02T03:04:05.678Z", "2024-01-02 03:04:05.678+00"},
		{column.Timestamptz, "Jan 5 1999 3:04 PM America/New_York", "1999-01-05 20:04:00+00"},
		{column.Timestamp, "0044-03-15 BC", "0044-03-15 00:00:00 BC"},
		{column.Date, "1/2/2003", "2003-01-02"},
		{column.Interval, "1 year 2 mons -3 days 04:05:06", "1 year 2 mons -3 days +04:05:06"},
		{column.JSONB, `{"bb": 1.10, "a":[1e2,"\u00e9"], "bb": null}`, `{"a": [100, "é"], "bb": null}`},
		{column.Float8, "1e22", "1e+22"},
		{column.UUID, "{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
	} {
		v := column.NewVector(column.Of(c.kind), 1)
		if err := Input(v, 0, []byte(c.in)); err != nil {
			t.Errorf("%s %q: %v", c.kind, c.in, err)
			continue
		}
		if got := string(Append(nil, v, 0)); got != c.want {
			t.Errorf("%s %q: got %q, want %q", c.kind, c.in, got, c.want)
		}
	}
}
