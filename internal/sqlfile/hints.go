package sqlfile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"
	parser "github.com/wasilibs/go-pgquery"

	"github.com/millstream-dev/millstream/internal/diag"
)

// syntaxHint names the slip behind a syntax error at byte `at` of a
// statement, as far as the words around it tell.
func syntaxHint(text string, at int, message string) string {
	if strings.HasPrefix(message, "unterminated") {
		return "close it, or double a quote that is part of the text"
	}
	before, word := text[:at], nextWord(text[at:])
	topic := regexp.MustCompile(`(?i)^\s*CREATE\s+FOREIGN\s+TABLE`).MatchString(strings.TrimSpace(text[leading(text):]))
	switch {
	case strings.HasSuffix(strings.TrimSpace(before), ","):
		if word == ")" || strings.EqualFold(word, "FROM") {
			return "remove the comma before it"
		}
	case topic && strings.EqualFold(word, "OPTIONS"):
		return "a column's OPTIONS (…) stand right after its type, before NOT NULL and GENERATED"
	case topic && (strings.EqualFold(word, "WITH") || word == ""):
		return "end the statement with SERVER kafka OPTIONS (topic '…', …)"
	case topic && word == "=":
		return "options are written without an equals sign: OPTIONS (topic 'orders', format 'json')"
	case strings.EqualFold(word, "EMIT"):
		return "write it as an option: CREATE MATERIALIZED VIEW … WITH (emit = 'final') AS SELECT …"
	}
	words := regexp.MustCompile(`\w+`).FindAllString(before, -1)
	last := ""
	if len(words) > 0 {
		last = strings.ToUpper(words[len(words)-1])
	}
	switch last {
	case "WATERMARK":
		return "write it as an option: OPTIONS (event_time 'ts', watermark '5 minutes')"
	case "TABLE", "VIEW", "FROM", "INTO", "COLUMN", "INDEX", "AS":
		if isReserved(word) && !startsStatement(word) && !slices.Contains(keywords, strings.ToUpper(word)) {
			return fmt.Sprintf("%s is a word of SQL: write \"%s\" to use it as a name", word, strings.ToLower(word))
		}
	}
	if hint := misspelt(before, word); hint != "" {
		return hint
	}
	if word == "" && strings.Count(text, "(") > strings.Count(text, ")") {
		return "a bracket is not closed"
	}
	if startsStatement(word) && strings.TrimSpace(before[leading(before):]) != "" {
		return fmt.Sprintf("is a semicolon missing before %s?", word)
	}
	return ""
}

// nextWord gives the first word or sign of a text.
func nextWord(text string) string {
	if m := regexp.MustCompile(`^\w+`).FindString(text); m != "" {
		return m
	}
	for _, r := range text {
		return string(r)
	}
	return ""
}

func startsStatement(word string) bool {
	switch strings.ToUpper(word) {
	case "CREATE", "COMMENT", "GRANT", "INSERT", "ALTER", "DROP":
		return true
	}
	return false
}

// keywords that a pipeline file is made of: a word in the wrong place that is
// nearly one of them is taken for a slip of the pen.
var keywords = []string{
	"CREATE", "FOREIGN", "TABLE", "MATERIALIZED", "VIEW", "SERVER", "OPTIONS", "SELECT", "FROM", "WHERE",
	"GROUP", "HAVING", "UNION", "INTERVAL", "COMMENT", "GENERATED", "ALWAYS", "STORED", "DATA", "WRAPPER",
}

// misspelt looks at the word where the parser stopped and the one before it.
func misspelt(before, word string) string {
	words := regexp.MustCompile(`\w+`).FindAllString(before, -1)
	candidates := []string{word}
	if len(words) > 0 {
		candidates = append(candidates, words[len(words)-1])
	}
	for _, c := range candidates {
		if len(c) < 3 || isKeyword(c) {
			continue
		}
		if near := diag.Closest(strings.ToUpper(c), keywords); near != "" && !strings.EqualFold(near, c) {
			return fmt.Sprintf("did you mean %s instead of %s?", near, c)
		}
	}
	return ""
}

func isKeyword(word string) bool { return keywordKind(word) != pg_query.KeywordKind_NO_KEYWORD }

func isReserved(word string) bool { return keywordKind(word) == pg_query.KeywordKind_RESERVED_KEYWORD }

func keywordKind(word string) pg_query.KeywordKind {
	scan, err := parser.Scan(word)
	if err != nil || len(scan.Tokens) != 1 {
		return pg_query.KeywordKind_NO_KEYWORD
	}
	return scan.Tokens[0].KeywordKind
}
