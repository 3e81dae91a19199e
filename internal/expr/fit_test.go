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
	"concat_ws":          {0: {"','", "''", "s", "NULL", "' - '"}},
}

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
	if arrayOperators[f.Name] {
		kids[1] = &generated{sql: pick(g, arrayWords)}
	}
	for place, words := range fitting[f.Name] {
		if place < len(kids) && (g.IntN(6) > 0 || f.Name == "width_bucket") {
			kids[place] = &generated{sql: "(" + pick(g, words) + ")"}
		}
	}
}
