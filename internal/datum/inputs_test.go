package datum

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/millstream-dev/millstream/internal/column"
)

// seeds are inputs that were picked by hand, and the stock of mutations.
var seeds = map[column.Kind][]string{
	column.Bool: {"t", "f", "true", "false", "tru", "fals", "yes", "no", "y", "n", "on", "off", "o", "of", "1", "0", "TRUE", " true ", "\ttrue\n", "", " ", "10", "truex", "nope", "ye", "00", "tRuE", "null"},
	column.Int4: {"0", "1", "-1", "+1", " 12 ", "\t7\n", "2147483647", "2147483648", "-2147483648", "-2147483649", "32767", "32768", "-32768", "-32769",
		"9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "99999999999999999999999", "abc", "", " ", "-", "+", "1.5", "1e3",
		"0x10", "1_000", "--1", "+-1", "1 2", "12abc", "99999999999abc", "32768x", "2147483648x", "9223372036854775808x", "-9223372036854775809x", "-0", "007", "۱", "1\u00a0"},
	column.Float8: {"0", "-0", "1", "-1.5", "+2.5", ".5", "5.", ".", "1e10", "1E-10", "1e", "1e+", "1e400", "-1e400", "1e-400", "1e38", "1e39", "3.4028235e38", "3.4028236e38", "1e-45", "1e-46", "7e-46", "4.9e-324", "2e-324", "1e-310",
		"1.7976931348623157e308", "1.7976931348623159e308", "NaN", "nan", "-nan", "+nan", "inf", "-inf", "+inf", "Infinity", "-infinity", "+INFINITY", "infinit", " 1.5 ", "1.5x", "", " ", "0x1p3", "0x1.8", "0xA", "0x", "0x1p", "0X1P-2", "0x1.", "0x.8", "0x1p99999", "0x1p-99999", "0x0p5", "-0x1p3", "0x_1",
		"123456789012345678901234567890", "0.1", "0.30000000000000004", "100000", "1000000", "999999.5", "1e15", "1e14", "123456789012345", "1234567890123456", "0.0001", "0.00001", "0.000099999", "1_0", "nan(1)", "1e5.5", "16777217", "0.1e1e1", "1d5", "0e999999", "1e-99999999999", "1e99999999999", "1e23", "9e22", "8.5e22", "16777216", "116777217", "9007199254740993", "5e22", "2e22", "1e22", "1e21"},
	column.Numeric: {"0", "-0", "0.00", "-0.00", "1", "-1.50", "+2.5", ".5", "5.", ".", "-.", "1e10", "1E-10", "1e", "1e+", "1e 5", "NaN", " nan ", "-NaN", "inf", "-inf", "+inf", "Infinity", "infinit", "inf x", " 1.5 ", "1.5x", "", " ", "1 5",
		"1e131071", "1e131072", "1e-16383", "1e-16384", "0e-16384", "0e500000", "1e1073741823", "1e-1073741823", "1e1073741822", "1e-1073741822", "1e9999999999", "1e-9999999999", "0e1073741823", "0.0e5",
		"123456789012345678901234567890.123456789012345678901234567890", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "99999999999999999.99", "0.5", "1.5", "2.5", "-2.5", "999.994", "999.995", "-999.995", "99999.5", "12345", "0x10", "1_000", "1e-5", "0.00001", "00012.3400", "1..2", "1.2.3", "+-1", "- 1", "1e5e5", "9.99e2", "1234567.891", "0.0000000000000000000000000000001", "49999", "50000", "-50000", "150", "1\u00a0", "nan1", "1e-0", "1e+0005", "00e1", "1e+ 5"},
	column.Text:    {"", " ", "a", "héllo", "日本語", "\t\"quoted\"\\\n\r\b\f\x01\x1f\x7f", "😀", "a b  "},
	column.Varchar: {"", " ", "a", "abc", "abcd", "abc   ", "abc x", "日本語", "日本語文", "日本語  ", "ab\t ", "abc\t"},
	column.UUID: {"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", "a0eebc999c0b4ef8bb6d6bb9bd380a11", "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
		"{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}", "", "{", "{}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111", "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0-eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99--9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", " a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11 "},
	column.Timestamptz: {"2024-01-02T03:04:05.678Z", "2024-01-02 03:04:05", "2024-01-02", "2024-01-02 03:04", "2024-01-02T03:04:05+02", "2024-01-02T03:04:05-0230", "2024-01-02T03:04:05+05:30", "2024-01-02T03:04:05+05:30:15", "2024-01-02T03:04:05.1234567", "2024-01-02T03:04:05.9999999", "2024-01-02T23:59:59.9999999", "2024-01-02T03:04:05.1234565", "2024-01-02T03:04:05.",
		"2024-02-29", "2023-02-29", "2024-13-01", "2024-00-01", "2024-01-32", "2024-01-00", "0000-01-01", "0001-01-01 BC", "4714-11-24 BC", "4714-11-23 BC", "4713-01-01 BC", "294276-12-31 23:59:59.999999", "294277-01-01", "294277-01-01 00:00:00+15", "294276-12-31 23:59:59-01", "5874897-12-31", "5874898-01-01", "4714-11-24 00:00:00+01 BC", "4714-11-24 00:00:00-01 BC", "99999999-01-01", "99999999999-01-01",
		"infinity", "-infinity", "+infinity", "Infinity", "epoch", "EPOCH", "now", "today", "tomorrow", "yesterday", "today 12:00", "tomorrow 03:04:05", "now 12:00", "yesterday allballs", "today foo", "12:00 today", "2024-01-02 today", "allballs", "2024-01-02 allballs", "never", "invalid", "current", "undefined",
		"January 8, 1999", "Jan 8 1999", "8 Jan 1999", "1999 Jan 8", "Jan-08-1999", "08-Jan-1999", "1999-Jan-08", "08-Jan-99", "99-Jan-08", "January 8 04:05:06 1999 PST", "1/8/1999", "1/18/1999", "18/1/1999", "01/02/03", "1.8.1999", "1999.008", "J2451187", "J2451187.5", "J2451187.25 UTC", "J2451187+05", "JD 2451187", "julian 2451187", "J-5", "J0", "J2147483647", "J2147483648",
		"19990108", "990108", "19990108T040506", "19990108 040506", "19990108T040506.789", "19990108T0405", "19990108 040506-08", "19990108T040506+08", "990108 0405", "19990108T04:05:06", "1999-01-08T04", "19990108 04", "1999-01-08 4:5:6", "1999-1-8", "1999-1-8 4:05 PM", "1999-01-08 04:05 AM", "12:00 AM 1999-01-08", "1999-01-08 12:30 PM", "1999-01-08 13:30 PM", "1999-01-08 00:30 PM", "04:05:06.789 1999-01-08", "1999-01-08 04:05:06 PST", "1999-07-08 04:05:06 PST", "1999-07-08 04:05:06 PDT", "1999-01-08 04:05:06 America/New_York", "1999-07-08 04:05:06 america/new_york", "1999-07-08 04:05:06 Europe/Paris", "1999-07-08 04:05:06 Asia/Kolkata", "1800-01-01 00:00 America/New_York", "2024-03-10 02:30:00 America/New_York", "2024-11-03 01:30:00 America/New_York", "2024-03-31 02:30 Europe/Berlin", "2024-10-27 02:30 Europe/Berlin", "2050-07-01 12:00 Europe/London", "2500-07-01 12:00 America/Los_Angeles", "1999-01-08 04:05:06 MSK", "2012-01-08 04:05:06 MSK", "2015-07-08 04:05:06 MSK", "1999-01-08 04:05:06 MSD", "2014-10-26 01:30 Europe/Moscow",
		"1999-01-08 04:05:06 UTC", "1999-01-08 04:05:06 utc", "1999-01-08 04:05:06 GMT", "1999-01-08 04:05:06 Z", "1999-01-08 04:05:06 zulu", "1999-01-08 04:05:06 EST5EDT", "1999-07-08 04:05:06 EST5EDT", "1999-01-08 04:05:06 FOO", "1999-01-08 04:05:06 Foo/Bar", "1999-01-08 04:05:06 GMT+3", "1999-01-08 04:05:06 UTC-8", "1999-01-08 04:05:06 UTC+05:30", "1999-01-08 04:05:06 FOO3", "1999-01-08 04:05:06 xyz-12", "1999-01-08 04:05:06 MET DST", "1999-01-08 04:05:06 DST", "1999-01-08 04:05:06 Europe/Paris DST", "1999-07-08 04:05:06 IST", "1999-07-08 04:05:06 BST", "1999-07-08 CEST", "2024-01-02 MESZ", "1999-01-08 04:05:06 NOVST", "2030-01-08 04:05:06 VET", "1999-01-08 04:05:06 UYT", "1999-01-08 04:05:06 eat",
		"2024-01-02 24:00:00", "2024-01-02 24:00:01", "2024-01-02 23:59:60", "2024-01-02 23:59:60.5", "2024-01-02 12:30:60", "2024-01-02 12:30:61", "2024-01-02 12:60:00", "2024-01-02 25:00:00", "2024-01-02 12:60", "2024-01-02 -5:00", "2024-01-02T12:00:00+16:00", "2024-01-02T12:00:00+15:59:59", "2024-01-02T12:00:00-15:60", "2024-01-02T12:00:00+99", "2024-01-02T12:00:00+9999999999", "2024-01-02T12:00:00+5-3", "2024-01-02T12:00:00 +5", "2024-01-02T12:00:00+ 5", "2024-01-02T12:00:00+053000",
		"", " ", "abc", "2024", "2024-01", "12:00", "2024-01-02T", "T12:00", "2024-01-02Tabc", "y2001m02d04", "y2001m02d04h05mm06s07.5", "2001y", "Mon Jan 08 1999", "Monday, January 8, 1999 04:05:06", "1999-01-08 AD", "1999-01-08 04:05:06 BC", "1999-01-08 BC 04:05:06 PST", "at 1999-01-08", "on 1999-01-08 at 04:05", "1999-008", "1999-366", "1996-366", "1999 008", "99.008", "2024-01-02 03:04:05 pm am", "2024-01-02 2024-01-02", "2024--01-02", "2024-01-02-03", "2024/01/02", "2024.01.02", "01.02.2024", "2024-1", "99-1-8", "100-1-8", "99-Jan-8", "Feb 29 2023", "Feb 30", "sept 5 2020", "september 5, 2020 5:06", "1999-01-08T04:05:06.789+01:00[Europe/Paris]", "1704164645", "1704164645.5", "1704164645678", "20240102030405", "2024-01-02T03:04:05,678Z", "2024-01-02T03:04:05 . 5", "2024-01-02 !@#", "é", "2024-01-02 é", "2024-01-02\u00a003:04", "[2024-01-02]", "2024-01-02T03:04:05z", "2024-01-02t03:04:05z", "2024-01-02 03:04:05  Z  ", "2024-01-02 03:04:05.123 456", "2024-01-02 .5", "0024-01-02", "24-01-02", "002024-01-02", "2024-001-02", "2024-01-02 03:04:05 UTC UTC", "2024-01-02 03.5", "epoch 2024-01-02", "2024-01-02 epoch", "infinity 5", "J2451187 12:00", "1999-01-08 040506.789 PST", "1999-01-08 040506.", "Jan 5 12 1999", "5 5 1999", "1999 5 5", "1/2", "1/2/3/4", "a-b-c", "jan", "jan 1", "-1", "+1", "1:2:3:4 2024-01-01", "::", "2024-01-02 12::30", "2024-01-02 12:", "2024-01-02 1:2:", "2024-01-02T12:00:00+:30", "2024-01-02T12:00:00+5:", "2024-01-02T12:00:00+05:-30", strings.Repeat("2024-01-02 ", 20), strings.Repeat("9", 200), strings.Repeat(" ", 300) + "2024-01-02", "2024-01-02 03:04:05." + strings.Repeat("3", 140), "2024-01-02 03:04:05." + strings.Repeat("3", 40), "yesterdayxx", "wednesdayyy 2024-01-02", "2024-01-02 dow 5", "isoyear 2024", "2024-01-02 America", "2024-01-02 12:00 Etc/GMT+5", "2024-01-02 12:00 W-SU", "2024-01-02 12:00 Antarctica/McMurdo", "2024-01-02 12:00 US/Pacific"},
	column.Interval: {"1 day", "1 days", "-1 day", "1 hour", "1.5 hours", "90 minutes", "1:30", "1:30:15.5", "-1:30", "+1:30", "1 day 2:03:04", "-1 day +02:03", "1 -02:03", "1 year 2 mons 3 days 04:05:06.789", "1 year -2 mons", "1-2", "-1-2", "+1-11", "1-12", "1 2", "1 2:03", "1", "1.5", "-1.5", "0.5 month", "1.5 months", "0.3 year", "1.7 weeks", "2 weeks", "1 decade", "1.25 century", "0.001 millennium", "1 millennia", "5 us", "5 usecs", "5 microseconds", "5 milliseconds", "5.5 ms", "1 quarter", "1 qtr", "@ 1 minute", "@ 1 hour 5 min ago", "1 day ago", "ago", "1 ago", "", " ", "abc", "1 abc", "day", "1 day 1 day", "1 day 2 days", "1 hour 2:00", "P1D", "PT1H", "P1Y2M3DT4H5M6.789S", "P0001-02-03T04:05:06", "P1W", "P1.5Y", "P1.5M", "PT1.5H", "P-1D", "P1DT", "P", "PT", "P1", "P1H", "PT1D", "p1d", " P1D", "P1D ", "P00010203T040506", "P00010203", "PT040506", "P1-2", "P1-2-3", "P1-2-3T4", "P1-2-3T4:5", "P1-2-3T4:5:6.7", "P1Y-2", "PT1:2:3:4", "P1e3D", "P1e20D", "P-", "P1Y1Y", "P-infD", "P1D-infinity", "P-nanD", "P0x10D", "P1e-400D", "PT-1H", "P1Y-1M",
		"2147483647 days", "2147483648 days", "-2147483648 days", "2147483647 months", "178956970 years", "178956971 years", "178956970 years 8 months", "9223372036854775807 us", "9223372036854775808 us", "-9223372036854775808 us", "9223372036854 seconds", "9223372036855 seconds", "2562047788 hours", "2562047789 hours", "2562047788:00:54.775807", "2562047788:00:54.775808", "1e5 days", "0", "0 days", "-0.5 days", "1 mon -1 days", "1 month ago 2 days", "infinity", "-infinity", "1 timezone", "1 year 1 day 1", "1.1.1 days", "1:2:3:4", "1 : 2", "24:00:00", "100:00:00", "1:60", "1:59:60", "1:59:61", "0.1 us", "0.5 us", "0.6 us", "1.5 us", "2.5 us", "0.0000005 s", "0.0000015 s", "- 1 day", "+ 1 day", "1 day - 2 hours", "12:34.5", "1 y 2 m 3 d", "3m", "3mon", "3h5m", "5s", "1d 2h", "1w", "1c", "4 decs", "1 cent", "1 mil", "1 millenniummm", "1 microsecondsfoo", "1 secs", "1 sec 5 msecs", "1.5 sec 5 msecs", "1 year, 2 months", "1y", "y1", "2001-02-03", "2001/02", "2 days 01:00:00.000001", "-00:00:00.000001", "P2147483648Y", "999999999999999999999 days", "1 day é"},
	column.ArrayOf(column.Int4): {"{}", "{1}", "{1,2}", " { 1 , 2 } ", "{NULL}", "{null,1}", `{"1"}`, `{"NULL"}`, "{1,}", "{,1}", "{", "}", "", "1", "{1", "{1}}", "{1} x", "{1 2}", "{a}", "{1,a}", "{1,{2}}", "{{1},{2}}", "{{}}", "[1:2]={1,2}", "[2:3]={1,2}", "[:3]={1,2}", "[2.:3]={1,2}", "[]={1}", "[2]={1", "[2] {1,2}", "[2:3I={1,2}", "[21:2]={1},}", "[2:1][x]={1}", "[-2:-1]={1,2}", "[+1:--3]={1}", "[1:2]= x", `{\1}`, `{"1}`, "{99999999999}", "{1,,2}", "{ }", "{\t1}"},
	column.ArrayOf(column.Text): {"{}", "{a}", `{a,"b c"}`, "{a b}", `{""}`, "{NULL}", `{"NULL"}`, "{nUlL}", `{\N}`, `{a\,b}`, `{"a\"b"}`, `{"a"b}`, `{a"b"}`, `{"a" }`, `{ "a"}`, `{"a" b}`, "{é,日}", "{a,b", `{a\}`, `{"\\"}`, "{a{b}", "{a}b", "{{a,b},{c,d}}", `{"{"}`, "{ a , b }", "{,}", `{"",""}`},
	column.Time:                 {"04:05", "4:5:6", "04:05:06.789", "00:00", "23:59:59.999999", "23:59:59.9999999", "24:00:00", "24:00:01", "12:00:60", "23:59:60", "12:60", "25:00", "04:05 AM", "04:05 PM", "12:00 AM", "13:00 PM", "12:30:15 pm", "040506", "0405", "040506.5", "T040506", "T04:05", "allballs", "04:05:06+02", "04:05 -8", "04:05:06Z", "04:05:06 EST", "04:05:06 UTC", "2024-01-02 04:05:06", "2024-01-02", "04:05 2024-01-02", "now", "today", "noon", "", " ", "abc", "04:05 x", "-04:05", "1:2:3:4", "infinity", "epoch", " 04:05 ", "04:05.5", "4", "04", "99", "04:", ":05", "2003-04-12 04:05:06 America/New_York", "04:05:06 America/New_York"},
	column.Inet:                 {"192.0.2.1", "192.0.2.1/24", "192.0.2.0/24", "0.0.0.0/0", "255.255.255.255", "1.2.3.4/32", "1.2.3.4/33", "1.2.3.4/", "1.2.3.4/-1", "1.2.3.4/08", "1.2.3", "1.2.3/24", "1.2", "1", "10/8", "10.1/16", "1.2.3.4.5", "1.2.3.256", "01.02.03.04", "001.2.3.4", "0001.2.3.4", "1..2.3", ".1.2.3", "1.2.3.", "", " ", " 1.2.3.4", "1.2.3.4 ", "a.b.c.d", "::", "::1", "::/0", "::1/128", "::1/129", "1::", "2001:db8::1", "2001:DB8::1", "2001:db8:0:0:1:0:0:1", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", ":::", ":1", "1:", "::1.2.3.4", "::ffff:1.2.3.4", "::ffff:1.23.4", "::ffff:.2.3.4", "::...1", "::1.2./24", "::1.2.3.4.", "::1.2.3.4.5", "::.", "::./8", "::00.1", "::0.0", "::1.2", "::1.", "::1.2.", "::1..2", "::01.2", "::1.256", "1:2:3:4:5:6:1.2", "1:2:3:4:5:6:7:1.2", "::ffff:1.2/100", "::ffff:1.2.3.4", "::ffff:0102:0304", "::0102:0304", "1::1.2.3.4", "64:ff9b::192.0.2.33", "::ffff:0:0", "::1:2", "::12345", "::g", "fe80::1%eth0", "::1/64", "2001:db8::/32", "2001:db8::1/32", "0:0:0:0:0:0:0:0", "1:0:0:2:0:0:0:3", "0:0:1::", "::1:0:0", "1:2:3:4:5:6::", "::3:4:5:6:7:8", "1:2:3:4:5:6:1.2.3.4", "1.2.3.4/1x", "224.0.0.0", "240.1", "224", "192.168", "128.1", "10", "10.0.0.0", "172.16.0.0/12", "0x0a.1.2.3", "0xa0"},
	column.Bytea:                {"", "a", "abc", `\x`, `\x00`, `\xDEADbeef`, `\x 01 02`, `\x0 1`, `\x0`, `\x0g`, `\xé1`, `\x1é`, `\x 1`, `\x1 `, `\X00`, `a\000b`, `a\377`, `\400`, `\\`, `a\`, `\1`, `\12`, `\128`, `é`, `\é`, "\\x0\n1", " x ", `\x00\`, `x\x00`},
	column.JSONB:                {"null", "true", "false", "1", "-1", "1.10", "1e2", "1E+2", "1e-2", "-0", "-0.0", "0.0", "01", "1.", ".5", "+1", "1e", "1e+", "-", `""`, `"a"`, `"\u00e9"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ude00"`, `"\ud83dx"`, `"\ud83d\n"`, `"\u0000"`, `"\u000"`, `"\u00zz"`, `"\x"`, `"\/"`, `"\b\f\n\r\t\"\\"`, "\"\x01\"", "\"\x7f\"", "\"\n\"", `"abc`, `"abc\`, `[]`, `{}`, `[1,2,3]`, `[1,]`, `[,1]`, `[1 2]`, `[`, `]`, `{`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a":1 "b":2}`, `{a:1}`, `{1:1}`, `{"a":1,"a":2}`, `{"bb":1,"a":2,"ccc":3,"b":4}`, `{"a":{"z":1,"y":[{}, {"q":null}]},"é":1,"zz":2}`, ` { "a" : [ 1 , true , null ] } `, "", " ", "nul", "nulll", "True", "NaN", "Infinity", "1 2", `"a" "b"`, "[1]x", "1e400000", "1e-400000", "[1e400000 x]", "[1e400000, x]", `[1e400000, "\u0000"]`, `["\u0000", 1e400000]`, "1e131071", "1e-16383", "1e-16384", "123456789012345678901234567890.123", `{"a":1e400000,"b":x}`, "\u00a01", "\ufeff1", `"\u0001\u001f\u007f\u0080"`, `{"\u0061":1,"a":2}`, `{"":1}`, "tru", "true1", "true_", "1a", "1_", "1é", "-a", "--1", `'a'`, "[1,2", `{"a":[}`, "[[[[[]]]]]", "\f1", "\v1", "[\t1,\r\n2]", `"\U0041"`, `{"a":1}}`, `{"aé":1,"abc":2,"日":3}`},
}

// alphabets are the characters that mutations draw from.
var alphabets = map[column.Kind]string{
	column.Bool:                 "tfyno01 TRUEalsue",
	column.Int4:                 "0123456789-+ .ex_",
	column.Float8:               "0123456789-+ .eExpnainfty",
	column.Numeric:              "0123456789-+ .eENanif",
	column.Text:                 "aé \"\\\n日",
	column.Varchar:              "aé 日 ",
	column.UUID:                 "0123456789abcdefABCDEFg-{} ",
	column.Timestamptz:          "0123456789-+ .:/,TZJbcapmdyJuln",
	column.Interval:             "0123456789-+ .:PTYMDWHSdaysmonhurec@",
	column.ArrayOf(column.Int4): "{{}}0123,,\" NUL-",
	column.ArrayOf(column.Text): "{{}}ab,,\"\" \\NULé[",
	column.Time:                 "0123456789:.: +",
	column.Inet:                 "0123456789..::/abf",
	column.Bytea:                "\\\\x0123789abF gé\n",
	column.JSONB:                `0123456789-+ .eE{}[],:"\utrfalsn`,
}

// dates, times and zones are the parts of generated times.
var (
	dates = []string{"2024-02-29", "1999-01-08", "0044-03-15", "12024-01-02", "Jan 8, 1999", "8 January 1999", "1999 Mar 5", "08-Jan-99", "1/8/1999", "12/31/69", "20240229", "990108", "1999.060", "J2451187", "Fri Jan 8 1999", "2024-7-4", "1970-01-01", "1583-10-15", "9999-12-31"}
	times = []string{"", "04:05", "4:5:6", "23:59:59.999999", "00:00", "T040506", "T04:05:06.7", "12:00 AM", "12:30 pm", "11:59:59.5 PM", "24:00:00", "allballs", "t0405", "04:05:60", "040506.789"}
	zones = []string{"", "Z", "+02", "-08:00", "+0530", "+14:59:59", "UTC", "EST", "PDT", "MSK", "America/New_York", "europe/london", "Australia/Lord_Howe", "Asia/Kathmandu", "EST5EDT", "foo-4", "CET DST", "America/Sao_Paulo", "Africa/Casablanca", "Europe/Dublin", "Pacific/Apia", "KST", "uyt", "anat"}
	eras  = []string{"", "", "", "AD", "BC"}
)

// combinations gives n combinations of a date, a time, a zone and an era.
func combinations(n int) []string {
	r := rand.New(rand.NewPCG(5, 15))
	pick := func(list []string) string { return list[r.IntN(len(list))] }
	out := make([]string, 0, n)
	for range n {
		date := pick(dates)
		if r.IntN(3) == 0 {
			date = fmt.Sprintf("%d-%d-%d", 1850+r.IntN(250), 1+r.IntN(12), 1+r.IntN(28))
		}
		time := pick(times)
		if r.IntN(3) == 0 {
			time = fmt.Sprintf("%d:%02d:%02d.%d", r.IntN(24), r.IntN(60), r.IntN(60), r.IntN(100_000_000))
		}
		parts := []string{date, time, pick(zones), pick(eras)}
		if r.IntN(10) == 0 {
			r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		}
		out = append(out, strings.Join(parts, " "))
	}
	return out
}

// floats gives n numbers: any bits, whole numbers, and round ones, whose
// shortest decimal may lie halfway between two floats.
func floats(n, bits int) []string {
	r := rand.New(rand.NewPCG(6, uint64(bits)))
	out := make([]string, 0, n)
	for i := range n {
		f := math.Float64frombits(r.Uint64())
		if bits == 32 {
			f = float64(math.Float32frombits(r.Uint32()))
		}
		switch i % 3 {
		case 1:
			f = float64(r.Int64N(1 << (1 + r.IntN(62))))
		case 2:
			f = float64(r.IntN(100_000)) * math.Pow(10, float64(r.IntN(24)))
		}
		if bits == 32 {
			f = float64(float32(f))
		}
		out = append(out, strconv.FormatFloat(f, 'e', -1, bits))
	}
	return out
}

// mutations makes n inputs of a kind from its seeds: characters changed, put
// in, taken out, and halves of two joined.
func mutations(kind column.Kind, n int) []string {
	r := rand.New(rand.NewPCG(uint64(kind), 15))
	stock, alphabet := seeds[kind], []rune(alphabets[kind])
	out := make([]string, 0, n)
	for len(out) < n {
		s := []rune(stock[r.IntN(len(stock))])
		if len(s) > 200 {
			continue
		}
		for range 1 + r.IntN(3) {
			at := r.IntN(len(s) + 1)
			c := alphabet[r.IntN(len(alphabet))]
			switch op := r.IntN(4); {
			case op == 0:
				s = append(s[:at:at], append([]rune{c}, s[at:]...)...)
			case op == 1 && at < len(s):
				s = append(s[:at:at], s[at+1:]...)
			case op == 2 && at < len(s):
				s[at] = c
			case op == 3:
				other := []rune(stock[r.IntN(len(stock))])
				s = append(s[:at:at], other[r.IntN(len(other)+1):]...)
			}
		}
		out = append(out, string(s))
	}
	return out
}

func TestInputIsPostgres(t *testing.T) {
	conn := connect(t)
	numeric := func(p, s int32) column.Type { return column.Type{Kind: column.Numeric, Precision: p, Scale: s} }
	for _, c := range []struct {
		typ  column.Type
		from column.Kind // whose seeds
		n    int
	}{
		{column.Of(column.Bool), column.Bool, 500},
		{column.Of(column.Int2), column.Int4, 1500},
		{column.Of(column.Int4), column.Int4, 1500},
		{column.Of(column.Int8), column.Int4, 1500},
		{column.Of(column.Float4), column.Float8, 3000},
		{column.Of(column.Float8), column.Float8, 3000},
		{column.Of(column.Numeric), column.Numeric, 4000},
		{numeric(5, 2), column.Numeric, 2000},
		{numeric(3, -3), column.Numeric, 2000},
		{numeric(3, 5), column.Numeric, 2000},
		{numeric(1000, 1000), column.Numeric, 500},
		{column.Of(column.Text), column.Text, 200},
		{column.Of(column.Varchar), column.Varchar, 200},
		{column.Type{Kind: column.Varchar, Length: 3}, column.Varchar, 1000},
		{column.Of(column.UUID), column.UUID, 1500},
		{column.Of(column.Date), column.Timestamptz, 8000},
		{column.Of(column.Timestamp), column.Timestamptz, 8000},
		{column.Of(column.Timestamptz), column.Timestamptz, 12000},
		{column.Of(column.Interval), column.Interval, 10000},
		{column.Of(column.JSONB), column.JSONB, 8000},
		{column.Of(column.Bytea), column.Bytea, 3000},
		{column.Of(column.Time), column.Time, 5000},
		{column.Of(column.Inet), column.Inet, 8000},
		{column.Of(column.Cidr), column.Inet, 8000},
		{column.Of(column.ArrayOf(column.Int4)), column.ArrayOf(column.Int4), 4000},
		{column.Of(column.ArrayOf(column.Text)), column.ArrayOf(column.Text), 4000},
		{column.Of(column.ArrayOf(column.Numeric)), column.ArrayOf(column.Int4), 1000},
	} {
		inputs := append(append([]string{}, seeds[c.from]...), mutations(c.from, c.n)...)
		switch c.typ.Kind {
		case column.Float4:
			inputs = append(inputs, floats(4000, 32)...)
		case column.Float8:
			inputs = append(inputs, floats(4000, 64)...)
		}
		if c.typ.Kind.IsTime() {
			inputs = append(inputs, combinations(c.n/2)...)
		}
		sameAsPostgres(t, conn, c.typ, inputs)
	}
}
