package expr

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/local/pgtest"
)

// query gives the rows of a query as texts.
func query(t *testing.T, sql string, args ...any) [][]string {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) ([]string, error) {
		values, err := r.Values()
		texts := make([]string, len(values))
		for i, v := range values {
			texts[i] = fmt.Sprint(v)
		}
		return texts, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const operatorsSQL = `
SELECT oprname::text, concat_ws(',', l.typname, r.typname), t.typname::text, p.provolatile::text, p.proisstrict::text
FROM pg_operator o LEFT JOIN pg_type l ON l.oid = oprleft JOIN pg_type r ON r.oid = oprright
JOIN pg_type t ON t.oid = oprresult JOIN pg_proc p ON p.oid = oprcode
WHERE oprname = ANY ($1)`

const functionsSQL = `
SELECT proname::text, coalesce((SELECT string_agg(t.typname, ',' ORDER BY k) FROM unnest(proargtypes) WITH ORDINALITY u(o, k) JOIN pg_type t ON t.oid = o), ''),
       t.typname::text, p.provolatile::text, p.proisstrict::text
FROM pg_proc p JOIN pg_type t ON t.oid = prorettype
WHERE proname = ANY ($1) AND pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f'`

// TestCatalogue compares the function table with PostgreSQL's: the same
// overloads, results, volatility and strictness; those with types that this
// engine has not are listed in foreign.go.
func TestCatalogue(t *testing.T) {
	var names []string
	ours := map[string]string{}
	for _, f := range functions.list {
		names = append(names, f.Name)
		var args []string
		for _, k := range f.Args {
			args = append(args, catalogueName(k))
		}
		if f.Variadic {
			args = append(args, "any")
		}
		ours[f.Name+" "+strings.Join(args, ",")] = describe(f)
	}
	theirs := map[string]string{}
	foreign := map[string]string{}
	for _, sql := range []string{operatorsSQL, functionsSQL} {
		for _, row := range query(t, sql, names) {
			key := row[0] + " " + row[1]
			for _, a := range strings.Split(row[1], ",") {
				if _, known := typeNames[a]; !known && a != "" && ours[key] == "" {
					foreign[key] = row[2]
				}
			}
			if foreign[key] == "" {
				theirs[key] = fmt.Sprintf("%s stable=%v strict=%v", row[2], row[3] == "s", row[4] == "true")
			}
		}
	}
	for key, f := range theirs {
		switch o, ok := ours[key]; {
		case !ok:
			t.Errorf("%s is not in the table: declare it, or refuse it", key)
		case o != "refused" && o != f:
			t.Errorf("%s: %s, PostgreSQL: %s", key, o, f)
		}
	}
	for key := range ours {
		if _, ok := theirs[key]; !ok {
			t.Errorf("PostgreSQL has no %s", key)
		}
	}
	listed := map[string]bool{}
	for _, list := range []map[string]string{foreignOperators, foreignFunctions} {
		for name, signatures := range list {
			for _, s := range strings.Fields(signatures) {
				listed[name+" "+s] = true
			}
		}
	}
	for key := range foreign {
		if !listed[key] {
			t.Errorf("foreign.go lacks %s", key)
		}
	}
}

// describe gives a function's properties as the queries above do.
func describe(f *Function) string {
	if f.Refusal != "" {
		return "refused"
	}
	return fmt.Sprintf("%s stable=%v strict=%v", catalogueName(f.Result), f.Stable, !f.CalledOnNull)
}

// TestCasts compares the casts with pg_cast and with what PostgreSQL
// converts through text.
func TestCasts(t *testing.T) {
	rows := query(t, `SELECT s.typname::text, t.typname::text, castcontext::text
		FROM pg_cast JOIN pg_type s ON s.oid = castsource JOIN pg_type t ON t.oid = casttarget WHERE castsource <> casttarget`)
	contexts := map[string]castContext{"i": implicitCast, "a": assignmentCast, "e": explicitCast}
	theirs := map[[2]column.Kind]castContext{}
	for _, r := range rows {
		from, ok := typeNames[r[0]]
		to, ok2 := typeNames[r[1]]
		if ok && ok2 {
			theirs[[2]column.Kind{from, to}] = contexts[r[2]]
		}
	}
	for pair, context := range theirs {
		if c, ok := casts[pair]; !ok || c.context != context {
			t.Errorf("%v to %v: %v (there: %v), PostgreSQL: %v", pair[0], pair[1], c.context, ok, context)
		}
	}
	for pair := range casts {
		if _, ok := theirs[pair]; !ok && !pair[0].IsString() && !pair[1].IsString() && !pair[0].IsArray() && !pair[1].IsArray() {
			t.Errorf("PostgreSQL doesn't cast %v to %v", pair[0], pair[1])
		}
	}
}

// TestAggregateTypes compares the aggregates' table with PostgreSQL's.
func TestAggregateTypes(t *testing.T) {
	var calls []string
	var rules []aggregateRule
	for _, a := range aggregates {
		if a.kind == FirstValue || a.kind == LastValue || a.kind == ApproxCountDistinct || a.kind == ApproxPercentile {
			continue // they are not PostgreSQL's
		}
		if f, ok := orderedForms[a.name]; ok {
			if a.result != column.Invalid {
				rules = append(rules, a)
				calls = append(calls, fmt.Sprintf("(SELECT pg_typeof(%s)::text FROM (SELECT 'a', 1, 2, 3) AS t (key, value, x, y))", strings.ReplaceAll(f.form, "(x, '", "(x::text, '")))
			}
			continue
		}
		rules = append(rules, a)
		arg := "*"
		switch {
		case a.arg != column.Invalid:
			arg = "NULL::" + a.arg.Name()
		case a.kind == Count:
			arg = "NULL::text"
		}
		calls = append(calls, fmt.Sprintf("pg_typeof(%s(%s))::text", a.name, arg))
	}
	for i, got := range query(t, "SELECT "+strings.Join(calls, ", "))[0] {
		if got != rules[i].result.Name() {
			t.Errorf("%s gives %s, PostgreSQL: %s", calls[i], rules[i].result.Name(), got)
		}
	}
}

// TestCaseMapping compares upper and lower of every character.
func TestCaseMapping(t *testing.T) {
	rows := query(t, `SELECT i::text, ascii(upper(chr(i)))::text, ascii(lower(chr(i)))::text FROM generate_series(1, 1114111) i
		WHERE (i < 55296 OR i > 57343) AND (upper(chr(i)) <> chr(i) OR lower(chr(i)) <> chr(i))`)
	type pair struct{ upper, lower rune }
	theirs := map[rune]pair{}
	for _, r := range rows {
		var c rune
		var p pair
		fmt.Sscan(strings.Join(r, " "), &c, &p.upper, &p.lower)
		theirs[c] = p
	}
	if len(theirs) < 2000 {
		t.Fatalf("PostgreSQL maps %d characters only: is the database's locale C.UTF-8?", len(theirs))
	}
	for c := rune(1); c <= 0x10FFFF; c++ {
		want, ok := theirs[c]
		if !ok {
			want = pair{c, c}
		}
		if got := (pair{toUpper(c), toLower(c)}); got != want {
			t.Errorf("%U: %U %U, PostgreSQL: %U %U", c, got.upper, got.lower, want.upper, want.lower)
		}
	}
}

// TestWords compares what goes on a word for initcap, for every character.
// Which Unicode the system knows makes thousands of rare ones differ (4,192 by
// one block of ideographs), so only those of the older scripts must agree.
func TestWords(t *testing.T) {
	theirs := query(t, `SELECT string_agg(chr(i), '') FROM generate_series(1, 1114111) i
		WHERE (i < 55296 OR i > 57343) AND initcap(chr(i) || 'x') = initcap(chr(i)) || 'x'`)[0][0]
	inWord := map[rune]bool{}
	for _, c := range theirs {
		inWord[c] = true
	}
	differ := 0
	for c := rune(1); c <= 0x10FFFF; c++ {
		if (c < 0xD800 || c > 0xDFFF) && isAlphanumeric(toUpper(c)) != inWord[c] {
			differ++
			if c < 0x0C00 || c >= 0x1000 && c < 0x10000 {
				t.Errorf("%U: PostgreSQL: %v", c, inWord[c])
			}
		}
	}
	if differ > 5000 {
		t.Errorf("%d differ", differ)
	}
}

// TestKeywords compares the names that need quotes.
func TestKeywords(t *testing.T) {
	for _, row := range query(t, "SELECT word, catcode::text FROM pg_get_keywords()") {
		if reserved[row[0]] != (row[1] != "U") {
			t.Errorf("%s: category %s", row[0], row[1])
		}
	}
}

// TestDocument holds the function list to the table: every function that
// works has its line, none that is refused.
func TestDocument(t *testing.T) {
	text := Document()
	for _, f := range functions.list {
		line := "| `" + strings.ReplaceAll(f.signature(), "|", `\|`) + "` |"
		if strings.Contains(text, line) != (f.Refusal == "") {
			t.Errorf("%s: wrong in the document", f.signature())
		}
		if f.Refusal == "" && f.Doc == "" {
			t.Errorf("%s has no documentation", f.signature())
		}
	}
	for _, a := range aggregates {
		if a.doc == "" || !strings.Contains(text, "`"+a.name+"(") {
			t.Errorf("%s is not documented", a.name)
		}
	}
}

// TestCodes holds every code to its description.
func TestCodes(t *testing.T) {
	var list []string
	for code, text := range Codes() {
		list = append(list, code)
		if len(text) < 40 {
			t.Errorf("%s has no description", code)
		}
	}
	sort.Strings(list)
	if len(list) != len(slices.Compact(list)) || len(list) < 20 {
		t.Errorf("codes %v", list)
	}
}
