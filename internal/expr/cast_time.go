package expr

import (
	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

var (
	errTimestampRange = sqlerr.New(sqlerr.DatetimeFieldOverflow, "timestamp out of range")
	errDateRange      = sqlerr.New(sqlerr.DatetimeFieldOverflow, "date out of range")
	errDateTimestamp  = sqlerr.New(sqlerr.DatetimeFieldOverflow, "date out of range for timestamp")
)

// finite tells timestamps other than the infinities.
func finite(timestamp int64) bool {
	return timestamp != column.Infinity && timestamp != column.NegativeInfinity
}

// timestampOfDate is a date's midnight.
func timestampOfDate(date int64) (int64, *sqlerr.Error) {
	switch {
	case date == column.DateInfinity:
		return column.Infinity, nil
	case date == column.DateNegInfinity:
		return column.NegativeInfinity, nil
	case date >= datum.EndTimestamp/datum.Day:
		return 0, errDateTimestamp
	}
	return date * datum.Day, nil
}

func dateToTimestamp(f *frame) {
	a, out := f.args[0].Int, f.out.Int
	for _, i := range f.sel {
		t, err := timestampOfDate(a[i])
		if err != nil {
			f.fail(i, err)
			continue
		}
		out[i] = t
	}
}

func timestampToDate(f *frame) {
	a, out := f.args[0].Int, f.out.Int
	for _, i := range f.sel {
		switch a[i] {
		case column.Infinity:
			out[i] = column.DateInfinity
		case column.NegativeInfinity:
			out[i] = column.DateNegInfinity
		default:
			out[i] = datum.DaysOf(a[i])
		}
	}
}
