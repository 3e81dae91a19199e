package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/sqlfile"
)

// optionSet reads OPTIONS (…) and WITH (…).
type optionSet struct {
	statement *sqlfile.Statement
	what      string // whose options: `topic "orders"`
	unknown   string // code for options that don't exist
	invalid   string // code for values that can't be
	known     map[string]func(o option) *diag.Diagnostic
	// later says why an option that is known to the language can't be used.
	later map[string]string
}

// option is one option with its value as text.
type option struct {
	name, value string
	pos         diag.Position
	code        string
	what        string
}

// read hands each option to its reader and gives what is wrong.
func (set *optionSet) read(list []*pg_query.Node) diag.List {
	var problems diag.List
	seen := map[string]bool{}
	for _, node := range list {
		def := node.GetDefElem()
		o := option{
			name: def.GetDefname(), pos: set.statement.Position(def.GetLocation()),
			code: set.invalid, what: set.what,
		}
		value, ok := optionText(def.GetArg())
		reader := set.known[o.name]
		switch {
		case def.GetDefnamespace() != "":
			problems = append(problems, problem(set.unknown, o.pos, "", "unknown option %q of %s",
				def.GetDefnamespace()+"."+o.name, set.what))
		case reader == nil && set.later[o.name] != "":
			problems = append(problems, problem(set.unknown, o.pos, set.later[o.name],
				"option %q of %s is not supported yet", o.name, set.what))
		case reader == nil:
			problems = append(problems, problem(set.unknown, o.pos, suggest(o.name, set.names()),
				"unknown option %q of %s", o.name, set.what))
		case seen[o.name]:
			problems = append(problems, problem(set.invalid, o.pos, "remove one of them",
				"option %q of %s is given twice", o.name, set.what))
		case !ok:
			problems = append(problems, problem(set.invalid, o.pos, fmt.Sprintf("write %s = '…'", o.name),
				"option %q of %s has no value", o.name, set.what))
		default:
			o.value = value
			if d := reader(o); d != nil {
				problems = append(problems, d)
			}
		}
		seen[o.name] = true
	}
	return problems
}

func (set *optionSet) names() []string {
	var names []string
	for n := range set.known {
		names = append(names, n)
	}
	return names
}

// optionText gives an option's value as it was written.
func optionText(n *pg_query.Node) (string, bool) {
	switch v := n.GetNode().(type) {
	case *pg_query.Node_String_:
		return v.String_.GetSval(), true
	case *pg_query.Node_Integer:
		return strconv.Itoa(int(v.Integer.GetIval())), true
	case *pg_query.Node_Float:
		return v.Float.GetFval(), true
	case *pg_query.Node_Boolean:
		return strconv.FormatBool(v.Boolean.GetBoolval()), true
	case *pg_query.Node_TypeName: // a bare word
		if names := v.TypeName.GetNames(); len(names) > 0 {
			return names[len(names)-1].GetString_().GetSval(), true
		}
	case *pg_query.Node_List:
		var parts []string
		for _, item := range v.List.GetItems() {
			text, ok := optionText(item)
			if !ok {
				return "", false
			}
			parts = append(parts, text)
		}
		return strings.Join(parts, ", "), true
	}
	return "", false
}

// wrong says that an option's value can't be.
func (o option) wrong(hint, reason string) *diag.Diagnostic {
	return problem(o.code, o.pos, hint, "option %q of %s can't be %q: %s", o.name, o.what, o.value, reason)
}

// choice reads an option that is one of a few words.
func (o option) choice(words ...string) (string, *diag.Diagnostic) {
	value := strings.ToLower(o.value)
	if slices.Contains(words, value) {
		return value, nil
	}
	hint := ""
	if near := diag.Closest(value, words); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	return "", o.wrong(hint, "it is one of "+strings.Join(words, ", "))
}

// duration reads an option that is a length of time: PostgreSQL's interval
// without months, in which a day has 24 hours.
func (o option) duration() (time.Duration, *diag.Diagnostic) {
	const example = "write it as in '30 seconds', '5 minutes', '1 hour' or '7 days'"
	v := column.NewVector(column.Of(column.Interval), 1)
	if err := datum.Input(v, 0, []byte(o.value)); err != nil {
		return 0, o.wrong(example, err.Message)
	}
	iv := v.Interval[0]
	if iv.Months != 0 {
		return 0, o.wrong("say it in days", "months and years have no fixed length")
	}
	micros, ok := intervalMicros(iv)
	switch {
	case !ok || micros > int64(maxDuration/time.Microsecond):
		return 0, o.wrong("at most 100 years", "it is too long")
	case micros < 0:
		return 0, o.wrong(example, "it is negative")
	}
	return time.Duration(micros) * time.Microsecond, nil
}

// maxDuration keeps durations within what time.Duration holds.
const maxDuration = 100 * 366 * 24 * time.Hour

// intervalMicros gives the length of an interval without months.
func intervalMicros(iv column.IntervalValue) (int64, bool) {
	const day = int64(24 * time.Hour / time.Microsecond)
	days := int64(iv.Days) * day
	sum := days + iv.Micros
	if (sum > days) != (iv.Micros > 0) && iv.Micros != 0 {
		return 0, false
	}
	return sum, iv.Months == 0
}

// count reads an option that is a number of things.
func (o option) count(most int64) (int64, *diag.Diagnostic) {
	n, err := strconv.ParseInt(strings.ReplaceAll(o.value, "_", ""), 10, 64)
	if err != nil || n < 1 || n > most {
		return 0, o.wrong("", fmt.Sprintf("it is a whole number from 1 to %d", most))
	}
	return n, nil
}

// sizeUnits are powers of 1024, as in PostgreSQL's settings.
var sizeUnits = map[string]int64{"": 1, "b": 1, "kb": 1 << 10, "kib": 1 << 10, "mb": 1 << 20, "mib": 1 << 20, "gb": 1 << 30, "gib": 1 << 30, "tb": 1 << 40, "tib": 1 << 40}

// maxSize keeps sums of sizes within 64 bits.
const maxSize = 1 << 50

// size reads an option that is a number of bytes.
func (o option) size() (int64, *diag.Diagnostic) {
	const hint = "write it as in '256 MB'; to keep nothing, write correctable = '0'"
	digits := strings.TrimRight(strings.TrimSpace(o.value), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	unit, ok := sizeUnits[strings.ToLower(strings.TrimSpace(o.value)[len(digits):])]
	n, err := strconv.ParseInt(strings.ReplaceAll(strings.TrimSpace(digits), "_", ""), 10, 64)
	if !ok || err != nil || n < 1 || n > maxSize/unit {
		return 0, o.wrong(hint, "it is a number of bytes, of kB, MB, GB or TB")
	}
	return n * unit, nil
}

// sizeText says a number of bytes in the largest unit that fits.
func sizeText(n int64) string {
	for _, unit := range []string{"TB", "GB", "MB", "kB"} {
		if size := sizeUnits[strings.ToLower(unit)]; n%size == 0 {
			return fmt.Sprintf("%d %s", n/size, unit)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
