package expr

import (
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// fitting are arguments that a function does something with, for each place
// that needs them: what the columns hold would mostly be out of its range.
var fitting = map[string]map[int][]string{
	"btrim":       {1: {"'a'", "' a'", "'éh'", "''", "s", "'日😀'"}},
	"ltrim":       {1: {"'a'", "' aA'", "'éh'", "''", "v"}},
	"rtrim":       {1: {"'a'", "' cd'", "'Wörld'", "''", "s"}},
	"replace":     {1: {"'a'", "''", "'o W'", "s", "'本'"}, 2: {"''", "'aa'", "s", "'é'"}},
	"translate":   {1: {"'abc'", "'aa'", "''", "'éhö日'", "s"}, 2: {"'xyz'", "'Ü'", "''", "'xy'"}},
	"left":        {1: counts},
	"right":       {1: counts},
	"lpad":        {1: counts, 2: {"'xy'", "''", "'é😀'", "s"}},
	"rpad":        {1: counts, 2: {"'xy'", "''", "'é😀'", "s"}},
	"repeat":      {1: {"0", "1", "2", "-1", "3", "12", "40", "NULL"}},
	"split_part":  {1: {"' '", "''", "'l'", "'Wö'", "s", "'ab'"}, 2: counts},
	"position":    {1: {"' '", "''", "'l'", "'Wö'", "s", "'😀'"}},
	"strpos":      {1: {"' '", "''", "'l'", "'Wö'", "s", "'😀'"}},
	"starts_with": {1: {"'a'", "''", "'hé'", "s", "'  '"}},
	"^@":          {1: {"'a'", "''", "'hé'", "s", "'  '"}},
	"overlay":     {2: counts, 3: counts},
	"chr":         {0: {"65", "233", "26085", "128512", "0", "-1", "55296", "1114111", "1114112", "i2", "i4"}},
	"format": {0: {"'%s'", "'a%%%s-%I'", "'%L|%s'", "'%2$s %1$s'", "'%-5s|%5s|'", "'%*s'", "'%1$*2$s'", "'%'", "'%x'", "'%0$s'", "'%3$L'",
		"'%-3I'", "'%99999999999s'", "'%1$'", "'%*1s'", "'é%s'", "'%é'", "s", "'%1$-4s'", "'%5'", "'%-'", "'%*'"}},
	"width_bucket":       {0: {"f8", "n", "0.5", "2", "i4", "3.3", "99"}, 1: {"0", "-1.5", "10", "'NaN'", "'-Infinity'"}, 2: {"10.5", "1", "-3", "m", "0"}, 3: {"5", "1", "0", "-3", "1000", "i2"}},
	"<<":                 {1: shifts},
	">>":                 {1: shifts},
	"trunc":              {1: {"0", "1", "2", "-1", "-3", "25", "i2"}},
	"make_date":          {0: years, 1: {"1", "2", "12", "0", "13", "-1", "2"}, 2: {"1", "28", "29", "31", "0", "32", "30"}},
	"make_timestamp":     {0: years, 1: {"1", "2", "12", "0", "13"}, 2: {"1", "28", "29", "31", "0"}, 3: {"0", "23", "24", "25", "-1"}, 4: {"0", "59", "60", "-1", "30"}, 5: seconds},
	"make_timestamptz":   {0: years, 1: {"1", "2", "12", "0", "13"}, 2: {"1", "28", "29", "31", "0"}, 3: {"0", "23", "24", "25", "2"}, 4: {"0", "59", "60", "30"}, 5: seconds, 6: {"'Europe/Paris'", "'UTC'", "'Asia/Kolkata'"}},
	"make_interval":      {0: {"0", "1", "-3", "i4"}, 1: {"0", "1", "-3", "i2"}, 2: {"0", "1", "i4"}, 3: {"0", "1", "-40", "i2"}, 4: {"0", "1", "i4"}, 5: {"0", "-90", "i4"}, 6: {"0", "1.5", "-0.0000005", "f8", "59.9999999", "0.1"}},
	"to_char":            {1: {"'YYYY-MM-DD HH24:MI:SS'", "'Month'", "'FMMonth'", "'month'", "'MONTH'", "'Day'", "'FMDay DDth'", "'dy DY Dy'", "'YYY YY Y'", "'Y,YYY'", "'IYYY-IW-ID'", "'IYY IY I'", "'DDD'", "'IDDD'", "'D'", "'WW W Q'", "'CC'", "'J'", "'RM'", "'rm'", "'FMRM'", "'HH12:MI AM'", "'hh:mi p.m.'", "'A.M. B.C. ad'", "'MS US'", "'FF1 FF2 FF3 FF4 FF5 FF6'", "'SSSS'", "'SSSSS'", "'TZ tz'", "'TZH:TZM'", "'OF'", "'\"text YYYY\" YYYY'", "'YYYYth'", "'DDTH'", "'FMDD FMMM'", "'TMMonth'", "'yyyy-mm-dd\"T\"hh24:mi:ssZ'", "'Yyyy'", "'é日'", "'\\\"YYYY'", "'\"a\\\"b\"'", "'FXYYYY'", "'MIth SSTH'", "'mon Mon MON'", "'FMHH12'", "'FMMS'", "'q'", "'\"unclosed'", "'fmday'", "'FMDDD'", "'FMCC'", "'FMYYYY'", "'FMWW th'", "'jth'", "'iyyy'", "'of'", "'tzh'", "s", "''"}},
	"?":                  {1: {"'a'", "'b'", "'x'", "'two'", "'ключ'", "''", "s"}},
	"@>":                 {1: documents},
	"<@":                 {0: documents},
	"jsonb_array_length": {0: {"'[1,2,3]'::jsonb", "j", "j -> 'b'", "'[]'::jsonb"}},
	"~":                  {1: patterns},
	"~*":                 {1: patterns},
	"!~":                 {1: patterns},
	"!~*":                {1: patterns},
	"regexp_like":        {1: patterns, 2: {"'i'", "''", "'n'"}},
	"regexp_count":       {1: patterns},
	"regexp_substr":      {1: patterns},
	"regexp_replace":     {1: patterns, 2: {"'-'", "''", "'<\\&>'", "'\\\\'", "'\\x'", "'é'", "'\\1'"}, 3: {"'g'", "'i'", "'gi'", "''", "'g'"}},
	"exp":                {0: decimalWords},
	"ln":                 {0: decimalWords},
	"log":                {0: decimalWords, 1: decimalWords},
	"log10":              {0: decimalWords},
	"power":              {0: decimalWords, 1: exponentWords},
	"pow":                {0: decimalWords, 1: exponentWords},
	"^":                  {0: decimalWords, 1: exponentWords},
	"get_byte":           {1: smallPlaces},
	"set_byte":           {1: smallPlaces, 2: {"0", "255", "256", "-1", "i4"}},
	"get_bit":            {1: smallPlaces},
	"set_bit":            {1: smallPlaces, 2: {"0", "1", "2", "i4"}},
	"encode":             {1: byteCodeWords},
	"decode":             {0: {"'00ff'", "'0 1 a F'", "'0g'", "'abc'", "'AAEC'", "'AAE='", "'AA=='", "'A==='", "'AAE'", "'A A\n=='", "'AA==AAE='", "'AA=A'", "'é'", "'a\\001b'", "'\\\\'", "'\\9'", "'a\\'", "s", "encode(y, 'hex')", "encode(y, 'base64')", "encode(y, 'escape')"}, 1: byteCodeWords},
	"to_timestamp":       {0: timeTexts, 1: timeFormats},
	"to_date":            {0: timeTexts, 1: timeFormats},
	"#>":                 {1: arrayWords},
	"#>>":                {1: arrayWords},
	"?|":                 {1: arrayWords},
	"?&":                 {1: arrayWords},
	"array_length":       {1: {"1", "1", "2", "0", "i4"}},
	"array_lower":        {1: {"1", "1", "2", "0"}},
	"array_upper":        {1: {"1", "1", "2", "0"}},
	"array_position":     {2: {"1", "2", "-1", "NULL", "i2"}},
	"trim_array":         {1: {"0", "1", "2", "-1", "5", "i2"}},
	"string_to_array":    {0: {"'a,b,,c'", "'xyz'", "''", "NULL", "s", "'é日é'", "','"}, 1: {"','", "''", "NULL", "'é'", "s"}, 2: {"''", "'b'", "NULL", "s"}},
	"array_to_string":    {1: {"','", "''", "NULL", "', '", "s"}, 2: {"'*'", "NULL", "''", "s"}},
	"set_masklen":        {1: {"0", "8", "24", "32", "33", "64", "128", "129", "-1", "-2", "i2"}},
	"make_time":          {0: {"0", "12", "23", "24", "25", "-1"}, 1: {"0", "59", "60", "-1"}, 2: seconds},
	"concat_ws":          {0: {"','", "''", "s", "NULL", "' - '"}},
}

var decimalWords = []string{"1.0", "2", "10.0", "0.5", "0.9", "1.1", "1.05", "0.999999", "1.0000000001", "100", "1000.000", "123456789.987654321", "0.000000001", "1e-30", "12345678901234567890", "-1.5", "-2", "0", "0.0000000000000000000000000001", "3.14159", "710.5", "-745", "5999.9", "-5999.9", "6000.1", "-6000.1", "'NaN'::numeric", "'Infinity'::numeric", "'-Infinity'::numeric", "n", "m", "i2::numeric", "m / 7", "1e100", "0.25", "99.999", "-0.1", "abs(m)"}

var exponentWords = []string{"0", "1", "2", "-1", "3", "-3", "17", "-17", "0.5", "-0.5", "1.5", "10", "100", "-100", "2.000", "0.3333333333", "1e-10", "12345", "-12345", "2147483648", "'NaN'::numeric", "'Infinity'::numeric", "'-Infinity'::numeric", "n", "m", "1000000", "1e20", "99.5"}

var smallPlaces = []string{"0", "1", "2", "7", "8", "31", "-1", "1000", "i2"}

var byteCodeWords = []string{"'hex'", "'base64'", "'escape'", "'HEX'", "'Escape'", "'utf8'", "s"}

// timeTexts are read in timeFormats.
var timeTexts = []string{"'2024-02-29 12:34:56'", "'2024-02-29'", "'29.02.2024'", "'20240229123456'", "'2024-2-9 1:2:3'", "'Feb 29 2024'", "'29 February 2024'", "'thursday 29 feb 24'",
	"'24-02-30'", "'2024-060'", "'2024-W09-4'", "'12:34:56.789'", "'12:34:56.123456 PM'", "'11 am'", "'13 pm'", "'0 am'", "'2024-02-29T12:34:56.5+05:30'", "'2024-02-29 12:34:56 -08'", "'2,024-02-29'",
	"' 2024 02 29 '", "'2024/02/29'", "'20240229'", "'1'", "'70'", "'519'", "'520'", "'999'", "'-44 03 15'", "'44 BC'", "'0044-03-15 B.C.'", "'21 24'", "'20 00'", "'6 01 bc'", "'2460370'", "'XII 2024'", "'viii 2024'", "'II'",
	"'99999999999'", "'abc'", "''", "'2024-13-01'", "'2024-00-10'", "'2024-02-29 24:00:00'", "'2024-02-29 23:60'", "'86399'", "'86400'", "'3 2024'", "'5 2 2024'", "'2nd 3rd 2024'", "'é2024'", "'2024é02é29'", "'2024x02x29'",
	"'-2024'", "'+2024'", "'2024--02-29'", "'2024 - 02 - 29'", "'20240229 +16'", "'2024 -05'", "'12 5 2024 3'", "s", "to_char(ts, 'YYYY-MM-DD HH24:MI:SS.US')", "to_char(tz, 'DD.MM.YYYY')", "ts::text", "d::text", "'294276-12-31 23:59:59'", "'5874897-12-31'", "'4714-11-23 BC'"}

var timeFormats = []string{"'YYYY-MM-DD HH24:MI:SS'", "'YYYY-MM-DD'", "'DD.MM.YYYY'", "'YYYYMMDDHH24MISS'", "'Mon DD YYYY'", "'DD Month YYYY'", "'Day DD Mon YY'", "'YY-MM-DD'", "'YYYY-DDD'", "'IYYY-\"W\"IW-ID'", "'HH24:MI:SS.MS'", "'HH12:MI:SS.US PM'",
	"'HH AM'", "'YYYY-MM-DD\"T\"HH24:MI:SS.MSTZH:TZM'", "'YYYY-MM-DD HH24:MI:SS TZH'", "'Y,YYY-MM-DD'", "'YYYY MM DD'", "'YYYYMMDD'", "'Y'", "'YY'", "'YYY'", "'YYYY'", "'YYYY BC'", "'YYYY-MM-DD B.C.'", "'CC YY'", "'CC'", "'CC Y bc'", "'J'", "'RM YYYY'",
	"'rm'", "'SSSS'", "'SSSSS'", "'WW YYYY'", "'W MM YYYY'", "'DDth MMrd YYYY'", "'FMYYYY-FMMM-FMDD'", "'FXYYYY-MM-DD'", "'FXYYYYMMDD'", "'fxYYYY/MM/DD'", "'YYYYxMMxDD'", "'IYYY-IDDD'", "'YYYY-IW'", "'Q YYYY'", "'D YYYY'", "'DD DD YYYY'", "'YYYY TZH'", "'YYYYMMDD TZH'",
	"'YYYY-MM-DD HH24:MI:SS.FF3'", "'HH24:MI:SS.FF6'", "'HH24:MI:SS.FF1'", "'YYYY-MM-DD OF'", "'TZ'", "'\"x\"YYYY'", "'\\\"YYYY'", "''", "'yyyy-mm-dd hh24:mi'", "'TMMonth YYYY'", "'DY'", "'YYYY-MM-DD HH24:MI:SS'", "'YYYY-MM-DD'", "s", "'IY-IW'", "'I'", "'HH24 A.M.'", "'DDD YYYY'", "'MS'", "'US'", "'é YYYY'", "'YYYY9MM'"}

// numberFormats are formats of to_char for numbers.
var numberFormats = []string{"'999'", "'9999999999'", "'000'", "'999,999.99'", "'FM999,990.00'", "'9.99'", "'FM9.99'", "'FM99.99'", "'0.9'", "'FM0.9'", "'S999'", "'999S'", "'S9.9'", "'9.9S'", "'MI999'", "'999MI'", "'999PL'", "'PL999'", "'SG999'", "'999SG'", "'999PR'", "'FM999PR'", "'9.9PR'",
	"'RN'", "'FMRN'", "'rn'", "'FMrn'", "'999th'", "'999TH'", "'FM9999999999th'", "'99V99'", "'9V'", "'0V9'", "'99D99'", "'9G999G999'", "'FM9G999'", "'L999'", "'B999'", "'C999'", "'9.99EEEE'", "'9EEEE'", "'9.9999999999999999999eeee'", "'EEEE'", "'FM9EEEE'", "'9EEEE9'", "'9..9'", "'9V.9'",
	"'S9S'", "'S9MI'", "'PR9'", "'9PR0'", "'9PRS'", "'\"n=\"999'", "'999 \"%\"'", "'\\\"9'", "''", "'x'", "'99 99'", "'9,9'", "',9'", "'0,000,000.000'", "'FM0000.0090'", "'FM9990.9900'", "'0009'", "'0990'", "'9909.909'", "'FM9.0'", "'.99'", "'FM.99'", "'99.'", "'FM99.'", "'é9'", "'SG9.9'", "'MI9.9'", "'9.9MI'",
	"'PL9.9'", "'S0'", "'S00.00'", "'00.00S'", "'999999999999999999999999.9999999999'", "'FM999999999999999999999999.9999999999'", "'SP9'", "'9SP'", "'d9'", "'fm9d9'", "s", "'RNSG'", "'9 MI'", "'FM9 MI'", "'FMS99'", "'FMS99.9'", "'FM99.9S'", "'0 PR'", "'9999MIPL'", "'PLMI9'", "'MIPL9'", "'FMPL9.99'", "'FMSG9.99'"}

var counts = []string{"0", "1", "2", "3", "-1", "-2", "5", "7", "40", "i2", "2147483647", "-2147483648", "-i2", "NULL"}

// focus limits the outermost functions to those with the names that
// MILLSTREAM_EXPR_FUNCTIONS lists, to look at them more closely.
func (g *generator) focus() {
	for _, name := range strings.Fields(os.Getenv("MILLSTREAM_EXPR_FUNCTIONS")) {
		for _, f := range functions.byName[name] {
			if f.Refusal == "" {
				g.focused = append(g.focused, f)
			}
		}
	}
}

// any makes an expression of any kind.
func (g *generator) any() *generated {
	if len(g.focused) > 0 {
		return g.function(pick(g, g.focused), 1+g.IntN(2))
	}
	return g.expression(g.kind(), 1+g.IntN(expressionDepth))
}

var shifts = []string{"0", "1", "3", "15", "16", "31", "32", "33", "63", "64", "-1", "i2"}

// inexact tells the functions whose last digit is not defined: what is
// computed of it would differ more and more.
func inexact(f *Function) bool {
	return slices.ContainsFunc(inexactFunctions(), func(g *Function) bool {
		return g.Name == f.Name && slices.Equal(g.Args, f.Args)
	})
}

// lastPlaces is how far apart the results of inexact functions may be,
// relative to their size: about 16 units in the last place.
const lastPlaces = 4e-15

// TestInexact compares the functions whose last digit is not defined: the same
// errors, and values but for the last places.
func TestInexact(t *testing.T) {
	batch, setup := testTable(3)
	o := newOracle(t, setup)
	inputs := []string{"f8", "f4", "0.5", "1", "-1", "0", "2", "-2.5::float8", "710", "-745.2", "'Infinity'::float8", "'-Infinity'::float8",
		"'NaN'::float8", "3", "1e-9::float8", "1e300::float8", "100", "i2", "-0.0::float8", "1.0000001::float8"}
	var texts []string
	for _, f := range inexactFunctions() {
		for _, x := range inputs {
			switch {
			case len(f.Args) == 1 && isWord(f.Name):
				texts = append(texts, f.Name+"(("+x+")::float8)")
			case len(f.Args) == 1:
				texts = append(texts, "("+f.Name+" ("+x+")::float8)")
			default:
				for _, y := range inputs {
					if isWord(f.Name) {
						texts = append(texts, f.Name+"(("+x+")::float8, ("+y+")::float8)")
					} else {
						texts = append(texts, "(("+x+")::float8 "+f.Name+" ("+y+")::float8)")
					}
				}
			}
		}
	}
	for i, theirs := range o.evaluate(t, texts) {
		ours, _ := evaluateOurs(texts[i], batch)
		if (ours.bindError != "") != (theirs.bindError != "") {
			t.Errorf("%s: %s %s; PostgreSQL: %s %s", texts[i], ours.bindError, ours.message, theirs.bindError, theirs.message)
			continue
		}
		for row, a := range ours.rows {
			b := theirs.rows[row]
			x, err := strconv.ParseFloat(a.value, 64)
			y, err2 := strconv.ParseFloat(b.value, 64)
			near := err == nil && err2 == nil && math.Abs(x-y) <= lastPlaces*math.Abs(y)
			if a != b && !near {
				t.Errorf("%s: row %d: %v, PostgreSQL: %v", texts[i], row, a, b)
			}
		}
	}
}

var years = []string{"2024", "1", "-1", "0", "-4713", "-4714", "5874897", "5874898", "294276", "294277", "1900", "i4", "2147483647", "2023"}

var seconds = []string{"0", "59.999999", "60", "60.1", "-1", "1.5", "'NaN'", "f8", "0.0000005", "-0.0000001"}

var documents = []string{"'{\"a\": 1.0}'::jsonb", "'[1]'::jsonb", "'\"x\"'::jsonb", "'1'::jsonb", "'{\"b\": [2, {}]}'::jsonb", "'[\"two\", [3]]'::jsonb", "'[]'::jsonb", "'{}'::jsonb", "j",
	"'[{\"k\": \"v\"}, null]'::jsonb", "'1.5'::jsonb", "'null'::jsonb", "'{\"a\": {}}'::jsonb", "j -> 'b'"}

// arrayWords are constants of text[].
var arrayWords = []string{"'{a}'", "'{b,2,c}'", "'{}'", "'{a,a}'", "'{b,-1}'", "'{0}'", "'{b, 1}'", "'{\"\"}'", "'{a,NULL}'", "'{3,0}'", "'{ключ}'", "'{4,k}'",
	"ARRAY['a', 'b']", "ARRAY['two']", "'{x,\"two\"}'::text[]", "'{b,99999999999}'", "'{b,+1}'", "'{b,\" 1\"}'", "'{b,1 }'", "'{\"a\\\"b\"}'", "NULL"}

// patterns are regular expressions, also such as are refused.
var patterns = []string{"'a'", "'b.*'", "'^a'", "'é+'", "'[a-c]+'", "'[^a]'", "'\\d+'", "'\\w+'", "'\\s'", "'a*'", "'x*'", "'(a'", "'ab)(c'", "'bcd)?'", "'^$'", "'$'", "'.'", "'W.r'", "'[[:alnum:]]+'", "'[[:space:]]+'", "'\\.'", "'a{2}'", "'[a-z]{1,3}'", "'(?:l'", "'ll)+'", "'\\S+'", "'\\W'", "'\\D+'", "'^.'", "'b'", "'[]a]'", "'[a-]'", "'a'", "'b'", "'bc'", "'\\n'", "'(^a'", "'b)'", "'ab'", "'a'", "'abc'", "'A'", "'H'", "'ß'", "'ı'", "'ǆ'", "'a.*?'", "'\\1'", "'(?=a)'", "'\\mfoo'", "'a**'", "'*a'", "'('", "'['", "'[[:alpha:]]'", "'\\Aa'", "'c\\Z'", "']'", "'}'", "'x'", "'y'", "'z'", "'\\\\'", "'[\\d.]+'", "'[\\w-]+'", "'a|b'", "'a|ab|abc'", "'(a|ab)(c|bcd)?'", "'l|ll'", "'^a|b'", "'x*|b'", "'日|本'", "'(?:a|A)b?'", "'|a'", "'a|'", "'A|é'"}

// similar are patterns of SIMILAR TO, with the percent signs doubled.
var similar = []string{"'%%a%%'", "'_b_'", "'(a|A)%%'", "'%%[a-c]%%'", "'a{1,2}'", "'.%%'", "'x%%y' ESCAPE 'x'", "'%%#%%%%' ESCAPE '#'", "'héllo %%'", "'\\%%'", "''", "'_+'", "'[^a]%%'", "'%%$'", "'a.b'", "'_*' ESCAPE ''", "s"}

// fit puts fitting arguments into their places, most times.
func (g *generator) fit(f *Function, kids []*generated) {
	words := fitting[f.Name]
	switch {
	case f.Name == "to_char" && f.Args[0].IsNumber():
		words = map[int][]string{1: numberFormats}
	case f.Name == "to_timestamp" && len(f.Args) == 1:
		words = nil
	}
	for place, words := range words {
		if place < len(kids) && (g.IntN(6) > 0 || f.Name == "width_bucket") {
			kids[place] = &generated{sql: "(" + pick(g, words) + ")"}
		}
	}
}
