package expr

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/column"
)

// textArray stands for text[] among a function's arguments: only a constant
// fits, which stays the untyped literal that it is.
const textArray = column.Unknown

// arrayElement is an element of a text[].
type arrayElement struct {
	text string
	null bool
	// index is the element as an array's index, if it is one.
	index   int64
	isIndex bool
}

// arrayOf reads an argument that is a text[]; the last one is kept.
func (f *frame) arrayOf(arg int, i int32) []arrayElement {
	text := f.bytes(arg, i)
	if kept, ok := f.cached.([]arrayElement); ok && bytes.Equal(text, f.word) {
		return kept
	}
	elements, _ := parseTextArray(string(text)) // checked when it was bound
	f.word, f.cached = append(f.word[:0], text...), elements
	return elements
}

// parseTextArray reads an array literal of one dimension: {a,"b c",NULL}.
func parseTextArray(s string) ([]arrayElement, bool) {
	s = strings.TrimSpace(s)
	if len(s) < 2 || s[0] != '{' || s[len(s)-1] != '}' {
		return nil, false
	}
	s = s[1 : len(s)-1]
	out := []arrayElement{}
	if strings.TrimSpace(s) == "" {
		return out, true
	}
	for {
		text, quoted, rest, ok := parseElement(s)
		if !ok {
			return nil, false
		}
		e := arrayElement{text: text, null: !quoted && strings.EqualFold(text, "null")}
		if n, err := strconv.ParseInt(strings.TrimLeft(text, " \t\n\v\f\r"), 10, 32); err == nil {
			e.index, e.isIndex = n, true
		}
		out = append(out, e)
		if rest == "" {
			return out, true
		}
		s = rest[1:]
	}
}

// parseElement reads an element up to the comma behind it.
func parseElement(s string) (text string, quoted bool, rest string, ok bool) {
	var b strings.Builder
	s = strings.TrimLeft(s, " \t\n\r\v\f")
	inQuotes, kept := false, 0 // kept: up to where spaces belong to the text
	for i := 0; i <= len(s); i++ {
		switch {
		case i == len(s) || !inQuotes && s[i] == ',':
			text = b.String()
			text = text[:kept] + strings.TrimRight(text[kept:], " \t\n\r\v\f")
			return text, quoted, s[i:], !inQuotes && (quoted || text != "")
		case s[i] == '"':
			if !quoted && strings.TrimSpace(b.String()) != "" {
				return "", false, "", false
			}
			inQuotes, quoted, kept = !inQuotes, true, b.Len()
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
			kept = b.Len()
		case !inQuotes && (s[i] == '{' || s[i] == '}'), !inQuotes && quoted && !strings.ContainsRune(" \t\n\r\v\f", rune(s[i])):
			return "", false, "", false
		default:
			b.WriteByte(s[i])
		}
	}
	return "", false, "", false
}

// arrayOperators take a text[] on the right.
var arrayOperators = map[string]bool{"#>": true, "#>>": true, "?|": true, "?&": true}

// textArrayNode gives a constant text[] as an untyped literal: '{a,b}', also
// cast to text[], and ARRAY['a', 'b'].
func (b *binding) textArrayNode(n *pg_query.Node) (Expr, error) {
	var literal string
	offset := nodeOffset(n)
	if cast := n.GetTypeCast(); cast != nil {
		names := nameParts(cast.TypeName.GetNames())
		if names[len(names)-1] == "text" && len(cast.TypeName.GetArrayBounds()) == 1 {
			n = cast.Arg
		}
	}
	if n.GetAConst().GetIsnull() {
		return nullConst(column.Of(column.Unknown)), nil
	}
	if array := n.GetAArrayExpr(); array != nil {
		parts := make([]string, len(array.Elements))
		for i, e := range array.Elements {
			s, ok := e.GetAConst().GetVal().(*pg_query.A_Const_Sval)
			if !ok {
				return nil, b.at(offset, notConstantArray())
			}
			parts[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s.Sval.GetSval()) + `"`
		}
		literal = "{" + strings.Join(parts, ",") + "}"
	} else {
		s, ok := n.GetAConst().GetVal().(*pg_query.A_Const_Sval)
		if !ok {
			return nil, b.at(offset, notConstantArray())
		}
		literal = s.Sval.GetSval()
	}
	if _, ok := parseTextArray(literal); !ok {
		d := problem(codeBadLiteral, fmt.Sprintf("malformed array literal: \"%s\"", literal), "write '{a,b}' or ARRAY['a', 'b']")
		return nil, b.at(offset, d)
	}
	c := &Const{T: column.Of(column.Unknown), Value: column.NewVector(column.Of(column.Unknown), 1)}
	c.Value.SetString(0, literal)
	return b.note(c, offset), nil
}

func notConstantArray() error {
	return problem(codeConstantRequired, "the keys must be a constant text[]", "write '{a,b}' or ARRAY['a', 'b']")
}
