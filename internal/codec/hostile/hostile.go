// Package hostile is a collection of JSON records that break naive decoders,
// each with what must become of it.
//
// The expectations hold for one schema, that of the topic raw_data:
//
//	"timestamp" timestamptz      NOT NULL
//	type        text             NOT NULL
//	value       double precision
//
// SQLSTATE and message are PostgreSQL's, as json_to_record and the insertion
// of its result give them; the decoder's tests compare them with a real
// server. Cause tells the few that PostgreSQL takes and we refuse.
package hostile

import (
	"bytes"
	"fmt"
	"strings"
)

// Cause is why a record is refused.
type Cause uint8

// The causes.
const (
	Good     Cause = iota // decodes
	Input                 // PostgreSQL refuses it too
	Size                  // a limit of size or depth, which need not be PostgreSQL's
	Reserved              // a word for the present, which PostgreSQL takes
)

// Record is one payload and its fate.
type Record struct {
	Name    string
	Payload []byte
	Cause   Cause
	Code    string // SQLSTATE
	Message string // primary message
	Column  string // "" where the document itself is bad
	// Position of the value, or of the document's first bad byte; -1 where
	// there is none.
	Position int
	// Timestamp, Type and Value are a good record's columns as text, "" for
	// NULL.
	Timestamp, Type, Value string
}

// mark stands before the byte that an expectation points to.
const mark = "‸"

const (
	badJSON = "invalid input syntax for type json"
	good    = `"timestamp": "2024-01-02T03:04:05Z", "type": "a"`
	stamp   = "2024-01-02 03:04:05+00"
)

func refuse(name, code, column, message, payload string) Record {
	position := strings.Index(payload, mark)
	return Record{Name: name, Payload: []byte(strings.Replace(payload, mark, "", 1)), Cause: Input,
		Code: code, Message: message, Column: column, Position: position}
}

func syntax(name, payload string) Record {
	return refuse(name, "22P02", "", badJSON, payload)
}

// encoding gives a record with a byte sequence that UTF8 does not hold.
func encoding(name, payload, sequence string) Record {
	return refuse(name, "22021", "", `invalid byte sequence for encoding "UTF8": `+sequence, payload)
}

func badValue(name, code, message, value string) Record {
	return refuse(name, code, "value", message, `{`+good+`, "value": `+mark+value+`}`)
}

func badNumber(name, value, text string) Record {
	return badValue(name, "22P02", `invalid input syntax for type double precision: "`+text+`"`, value)
}

func badTime(name, code, message, value string) Record {
	return refuse(name, code, "timestamp", message, `{"timestamp": `+mark+value+`, "type": "a"}`)
}

func accept(name, payload, timestamp, typ, value string) Record {
	return Record{Name: name, Payload: []byte(payload), Position: -1, Timestamp: timestamp, Type: typ, Value: value}
}

func oversize(name, code, message string, position int, payload []byte) Record {
	return Record{Name: name, Payload: payload, Cause: Size, Code: code, Message: message, Position: position}
}

// nested gives a record with an unknown field of so many levels.
func nested(open, inner, end string, levels int) []byte {
	head := `{` + good + `, "x": `
	return []byte(head + strings.Repeat(open, levels) + inner + strings.Repeat(end, levels) + `}`)
}

// Records gives all records but those of Huge; each call makes them anew.
func Records() []Record {
	var all []Record
	for _, group := range [][]Record{truncated(), grammar(), bytesAndEscapes(), shapes(), values(), times(), nulls(), accepted(), deep()} {
		all = append(all, group...)
	}
	return all
}

// Huge gives records beyond or near the limit of 64 MiB: some 300 MB.
func Huge() []Record {
	const limit = 64 << 20
	text := func(size int) []byte {
		head, tail := `{`+good+`, "x": "`, `"}`
		return []byte(head + strings.Repeat("x", size-len(head)-len(tail)) + tail)
	}
	fits := accept("64 MiB", "", stamp, "a", "")
	fits.Payload = text(limit)
	message := func(size int) string {
		return fmt.Sprintf("record of %d bytes is longer than the limit of %d bytes", size, limit)
	}
	return []Record{
		fits,
		oversize("one byte over 64 MiB", "54000", message(limit+1), limit, text(limit+1)),
		oversize("string of 100 MB", "54000", message(100_000_000), limit, text(100_000_000)),
	}
}

func truncated() []Record {
	return []Record{
		syntax("empty", mark),
		syntax("only spaces", "  \n"+mark),
		syntax("cut behind the brace", `{`+mark),
		syntax("cut in a key", `{"times`+mark),
		syntax("cut behind a key", `{"timestamp"`+mark),
		syntax("cut behind the colon", `{"timestamp":`+mark),
		syntax("cut in a string", `{"timestamp":"2024-01-02`+mark),
		syntax("cut behind a value", `{"timestamp":"2024-01-02"`+mark),
		syntax("cut behind the comma", `{"timestamp":"2024-01-02",`+mark),
		syntax("cut in a number", `{"value":1.`+mark),
		syntax("cut in an exponent", `{"value":1e+`+mark),
		syntax("cut in a word", `{"value":tru`+mark),
		syntax("cut in an escape", `{"type":"\`+mark),
		syntax("cut in a Unicode escape", `{"type":"\u12`+mark),
		syntax("cut in an array", `{"x":[1,2`+mark),
		syntax("good until the last byte", `{`+good+`, "value": 1`+mark),
	}
}

func grammar() []Record {
	return []Record{
		syntax("not JSON", mark+`hello`),
		syntax("CSV", `2024`+mark+`-01-02T03:04:05Z,a,1`),
		syntax("XML", mark+`<event/>`),
		syntax("two objects", `{`+good+`} `+mark+`{`+good+`}`),
		syntax("trailing comma", `{`+good+`,`+mark+`}`),
		syntax("trailing comma in an array", `{`+good+`,"x":[1,`+mark+`]}`),
		syntax("leading comma", `{`+mark+`,`+good+`}`),
		syntax("doubled comma", `{"type":"a",`+mark+`,"value":1}`),
		syntax("no comma", `{"type":"a" `+mark+`"value":1}`),
		syntax("no colon", `{"type" `+mark+`"a"}`),
		syntax("doubled colon", `{"type":`+mark+`:"a"}`),
		syntax("single quotes", `{`+mark+`'type':'a'}`),
		syntax("bare key", `{`+mark+`type:"a"}`),
		syntax("number as a key", `{`+mark+`1:"a"}`),
		syntax("comment", `{`+good+` `+mark+`/* none */}`),
		syntax("wrong closing bracket", `{"x":[1`+mark+`}}`),
		syntax("wrong closing brace", `{`+good+mark+`]`),
		syntax("one brace too many", `{`+good+`}`+mark+`}`),
		syntax("NaN as a word", `{`+good+`,"value":`+mark+`NaN}`),
		syntax("Infinity as a word", `{`+good+`,"value":-`+mark+`Infinity}`),
		syntax("leading zero", `{`+good+`,"value":0`+mark+`1}`),
		syntax("leading plus", `{`+good+`,"value":`+mark+`+1}`),
		syntax("leading point", `{`+good+`,"value":`+mark+`.5}`),
		syntax("hexadecimal", `{`+good+`,"value":0`+mark+`x10}`),
		syntax("underscores", `{`+good+`,"value":1`+mark+`_000}`),
		syntax("word in capitals", `{`+good+`,"value":`+mark+`TRUE}`),
		syntax("word too long", `{`+good+`,"value":null`+mark+`s}`),
		syntax("bad JSON behind a bad column", `{"timestamp":"x","type":"a","value":"y"`+mark),
		syntax("form feed as space", `{`+mark+"\f"+good+`}`),
		syntax("byte order mark", mark+"\ufeff{"+good+"}"),
		syntax("no-break space", `{`+mark+"\u00a0"+good+`}`),
	}
}

func bytesAndEscapes() []Record {
	unsupported := func(name, payload string) Record {
		return refuse(name, "22P05", "", "unsupported Unicode escape sequence", payload)
	}
	return []Record{
		encoding("NUL in a string", `{`+good+`,"x":"a`+mark+"\x00"+`"}`, "0x00"),
		encoding("NUL behind the record", `{`+good+`}`+mark+"\x00", "0x00"),
		encoding("byte 0xff", `{"timestamp":"2024-01-02","type":"`+mark+"\xff"+`"}`, "0xff"),
		encoding("Latin-1", `{"type":"caf`+mark+"\xe9"+`"}`, `0xe9 0x22 0x7d`),
		encoding("overlong", `{"type":"`+mark+"\xc0\xaf"+`"}`, "0xc0 0xaf"),
		encoding("surrogate as UTF-8", `{"type":"`+mark+"\xed\xa0\x80"+`"}`, "0xed 0xa0 0x80"),
		encoding("beyond Unicode", `{"type":"`+mark+"\xf4\x90\x80\x80"+`"}`, "0xf4 0x90 0x80 0x80"),
		encoding("cut character", `{"type":"`+mark+"\xe2\x82"+`"}`, "0xe2 0x82 0x22"),
		encoding("UTF-16", mark+"\xff\xfe{\x00}\x00", "0xff"),
		encoding("bad bytes in an unknown key", `{`+good+`,"`+mark+"\x80"+`":1}`, "0x80"),
		encoding("bad bytes behind bad JSON", `{"type":nonsense,"x":"`+mark+"\xfe"+`"}`, "0xfe"),
		encoding("gzip", "\x1f"+mark+"\x8b\x08\x00\x00\x00\x00\x00\x00\x03", "0x8b"),
		syntax("newline in a string", `{"type":"a`+mark+"\n"+`b"}`),
		syntax("tab in a key", `{"a`+mark+"\t"+`b":1}`),
		syntax("unknown escape", `{"type":"\`+mark+`x41"}`),
		syntax("bad hexadecimal digit", `{"type":"\u00`+mark+`g0"}`),
		syntax("half a surrogate pair", `{`+good+`,"x":"`+mark+`\ud83d"}`),
		syntax("surrogates in wrong order", `{`+good+`,"x":"`+mark+`\ude00\ud83d"}`),
		syntax("two high surrogates", `{`+good+`,"x":"`+mark+`\ud83d\ud83d\ude00"}`),
		syntax("half a pair in an unknown key", `{`+good+`,"`+mark+`\udc00":1}`),
		unsupported("NUL escape in a column", `{"timestamp":"2024-01-02","type":"`+mark+`\u0000"}`),
		unsupported("NUL escape in an unknown field", `{`+good+`,"x":["`+mark+`\u0000"]}`),
		unsupported("NUL escape in an unknown key", `{`+good+`,"`+mark+`\u0000":1}`),
		syntax("bad JSON behind a NUL escape", `{`+good+`,"x":"\u0000",`+mark+`}`),
	}
}

func shapes() []Record {
	scalar := func(name, payload string) Record {
		return refuse(name, "22023", "", "cannot call populate_composite on a scalar", mark+payload)
	}
	array := func(name, payload string) Record {
		return refuse(name, "22023", "", "cannot call populate_composite on an array", mark+payload)
	}
	return []Record{
		scalar("a number", `42`),
		scalar("a string", `"hello"`),
		scalar("null", `null`),
		scalar("JSON in a string", `"{\"type\":\"a\"}"`),
		array("an empty array", `[]`),
		array("an array of events", `[{`+good+`}]`),
		array("an array with a NUL escape", `["\u0000"]`),
	}
}

func values() []Record {
	const syntax, overflow = "22P02", "22003"
	outOfRange := func(text string) string { return `"` + text + `" is out of range for type double precision` }
	digits := strings.Repeat("9", 400)
	return []Record{
		badNumber("text for a number", `"abc"`, "abc"),
		badNumber("empty text for a number", `""`, ""),
		badNumber("a decimal comma", `"1,5"`, "1,5"),
		badNumber("two numbers", `"1 2"`, "1 2"),
		badNumber("a boolean for a number", `true`, "true"),
		badNumber("an object for a number", `{"a": 1}`, `{"a": 1}`),
		badNumber("an array for a number", `[1, 2]`, `[1, 2]`),
		badValue("1e400", overflow, outOfRange("1e400"), `1e400`),
		badValue("-1e400 as text", overflow, outOfRange("-1e400"), `"-1e400"`),
		badValue("1e-400", overflow, outOfRange("1e-400"), `1e-400`),
		badValue("400 digits", overflow, outOfRange(digits), digits),
		refuse("of repeated keys the last is bad", syntax, "value",
			`invalid input syntax for type double precision: "x"`, `{`+good+`,"value":1,"value":`+mark+`"x"}`),
	}
}

func times() []Record {
	const format, field = "22007", "22008"
	invalid := func(text string) string {
		return `invalid input syntax for type timestamp with time zone: "` + text + `"`
	}
	beyond := func(text string) string { return `date/time field value out of range: "` + text + `"` }
	word := func(name, value string) Record {
		r := badTime(name, "0A000",
			`input for column "timestamp" is a word for the present, which is another one at each reading`, value)
		r.Cause = Reserved
		return r
	}
	return []Record{
		badTime("a word for a time", format, invalid("soon"), `"soon"`),
		badTime("an empty time", format, invalid(""), `""`),
		badTime("an object for a time", format, invalid(`{"$date": 1}`), `{"$date": 1}`),
		badTime("a boolean for a time", format, invalid("true"), `true`),
		badTime("month 13", field, beyond("2024-13-01"), `"2024-13-01"`),
		badTime("30 February", field, beyond("2024-02-30"), `"2024-02-30"`),
		badTime("hour 25", field, beyond("2024-01-02 25:00:00"), `"2024-01-02 25:00:00"`),
		badTime("year 300000", field, `timestamp out of range: "300000-01-01"`, `"300000-01-01"`),
		badTime("milliseconds without epoch", field, beyond("1700000000000"), `1700000000000`),
		word("now", `"now"`),
		word("today in capitals", `"TODAY"`),
	}
}

func nulls() []Record {
	null := func(column, payload string) Record {
		return refuse("no "+column, "23502", column,
			`null value in column "`+column+`" violates not-null constraint`, payload)
	}
	explicit := null("timestamp", `{"timestamp": `+mark+`null, "type": "a"}`)
	explicit.Name = "null for a time"
	both := null("timestamp", `{}`)
	both.Name = "empty object"
	escaped := null("type", `{"timestamp": "2024-01-02", "Type": "a"}`)
	escaped.Name = "key in other letters"
	last := null("type", `{`+good+`, "type": `+mark+`null}`)
	last.Name = "of repeated keys the last is null"
	return []Record{
		null("timestamp", `{"type": "a"}`),
		null("type", `{"timestamp": "2024-01-02"}`),
		explicit, both, escaped, last,
		refuse("a bad value before a word for the present", "22P02", "value",
			`invalid input syntax for type double precision: "x"`, `{"timestamp": "now", "type": "a", "value": `+mark+`"x"}`),
		refuse("a missing value before a word for the present", "23502", "type",
			`null value in column "type" violates not-null constraint`, `{"timestamp": "now"}`),
		refuse("a bad value before a missing one", "22P02", "value",
			`invalid input syntax for type double precision: "x"`, `{"type": "a", "value": `+mark+`"x"}`),
	}
}

func accepted() []Record {
	var keys, repeated bytes.Buffer
	for i := range 100_000 {
		fmt.Fprintf(&keys, `,"key_%d":%d`, i, i)
		repeated.WriteString(`,"value":"x"`)
	}
	object := func(more string) string { return `{` + good + more + `}` }
	return []Record{
		accept("a plain record", object(`, "value": 12.5`), stamp, "a", "12.5"),
		accept("spaces everywhere", " \n{\t"+good+" ,\r\n\"value\" :\t1\n}\n", stamp, "a", "1"),
		accept("a number as text", object(`, "value": "12.5"`), stamp, "a", "12.5"),
		accept("a number with spaces as text", object(`, "value": " 12.5 "`), stamp, "a", "12.5"),
		accept("NaN as text", object(`, "value": "NaN"`), stamp, "a", "NaN"),
		accept("-Infinity as text", object(`, "value": "-inf"`), stamp, "a", "-Infinity"),
		accept("null for a number", object(`, "value": null`), stamp, "a", ""),
		accept("integer over 64 bits", object(`, "value": 18446744073709551616`), stamp, "a", "1.8446744073709552e+19"),
		accept("a thousand digits", object(`, "value": 0.`+strings.Repeat("3", 1000)), stamp, "a", "0.3333333333333333"),
		accept("negative zero", object(`, "value": -0.0`), stamp, "a", "-0"),
		accept("the least float", object(`, "value": 5e-324`), stamp, "a", "5e-324"),
		accept("a time with spaces", `{"timestamp":" 2024-01-02 03:04:05 ","type":"a"}`, stamp, "a", ""),
		accept("a time zone", `{"timestamp":"2024-01-02T05:04:05+02:00","type":"a"}`, stamp, "a", ""),
		accept("infinity as a time", `{"timestamp":"infinity","type":"a"}`, "infinity", "a", ""),
		accept("object as text", `{"timestamp":"2024-01-02 03:04:05","type":{"a":  [1 ,2]}}`, stamp, `{"a":  [1 ,2]}`, ""),
		accept("number as text", `{"timestamp":"2024-01-02 03:04:05","type":1.50e+1}`, stamp, `1.50e+1`, ""),
		accept("an escaped key", `{"timestamp":"2024-01-02 03:04:05","\u0074y\u0070e":"a"}`, stamp, "a", ""),
		accept("escapes", `{"timestamp":"2024-01-02 03:04:05","type":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}`,
			stamp, "\"\\/\b\f\n\r\té😀", ""),
		accept("of repeated keys the last is good", object(`, "value":"x", "value": 2`), stamp, "a", "2"),
		accept("of repeated keys the last is of another shape", object(`, "value":{"x":1}, "value": 2`), stamp, "a", "2"),
		accept("100,000 unknown keys", object(keys.String()+`,"value":1`), stamp, "a", "1"),
		accept("a key 100,000 times", object(repeated.String()+`,"value":1`), stamp, "a", "1"),
		accept("empty key", object(`, "": 1`), stamp, "a", ""),
		accept("DEL and the last character", object(", \"x\": \"\x7f\U0010ffff\""), stamp, "a", ""),
	}
}

func deep() []Record {
	tooDeep := func(name string, payload []byte, position int) Record {
		return oversize(name, "54001", "stack depth limit exceeded", position, payload)
	}
	head := len(`{` + good + `, "x": `)
	limit := accept("depth 6,000", "", stamp, "a", "")
	limit.Payload = nested("[", "1", "]", 5999)
	objects := accept("depth 6,000 in objects", "", stamp, "a", "")
	objects.Payload = nested(`{"x":`, "1", "}", 5999)
	return []Record{
		limit, objects,
		tooDeep("depth 6,001", nested("[", "1", "]", 6000), head+5999),
		tooDeep("depth 100,000", nested("[", "1", "]", 100_000), head+5999),
		tooDeep("depth 100,000 in objects", nested(`{"x":`, "1", "}", 100_000), head+5999*len(`{"x":`)),
		tooDeep("depth 100,000, never closed", nested("[", "", "", 100_000), head+5999),
		tooDeep("an array of depth 100,000", []byte(strings.Repeat("[", 100_000)), 6000),
	}
}
