// Package datum is one value of each type, as PostgreSQL reads, prints,
// orders and sends it.
//
// Every function works on an element of a column.Vector, so that a value is
// converted where it lies. The session is fixed: UTF8, TimeZone UTC, DateStyle
// ISO and MDY, IntervalStyle postgres, extra_float_digits 1, COLLATE "C".
// What PostgreSQL refuses is refused with its SQLSTATE and message. Words for
// the present (now, today, …), which PostgreSQL takes, are refused by Input:
// the same record must give the same row at any time.
//
// The common forms of numbers, times and uuids are read without garbage;
// everything else takes the long way round and may allocate.
package datum
