package expr

import (
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/column"
)

// similarTo binds x SIMILAR TO 'pattern' as a regular expression, which is
// what PostgreSQL makes of it.
func (b *binding) similarTo(n *pg_query.A_Expr) (Expr, error) {
	x, err := b.bind(n.Lexpr)
	if err != nil {
		return nil, err
	}
	name, err := operatorName(n.Name)
	if err != nil {
		return nil, b.at(n.Location, err)
	}
	args := n.Rexpr.GetFuncCall().GetArgs()
	texts := []string{"", `\`}
	for i, a := range args {
		s, ok := a.GetAConst().GetVal().(*pg_query.A_Const_Sval)
		if !ok || i >= len(texts) {
			return nil, b.at(n.Location, problem(codeConstantRequired, "SIMILAR TO needs a literal pattern", "write x SIMILAR TO 'pattern'"))
		}
		texts[i] = s.Sval.GetSval()
	}
	if strings.Contains(texts[0], texts[1]+`"`) && texts[1] != "" || len([]rune(texts[1])) > 1 {
		return nil, b.at(n.Location, problem(codeUnsupported, "this form of SIMILAR TO is not supported", "write a regular expression: x ~ 'pattern'"))
	}
	pattern := &Const{T: column.Of(column.Text), Value: column.NewVector(column.Of(column.Text), 1)}
	pattern.Value.SetString(0, similarPattern(texts[0], texts[1]))
	return b.operator(name, []Expr{x, pattern}, n.Location)
}

// similarPattern writes SQL's pattern as a regular expression: % is any text,
// _ any character, and . ^ $ stand for themselves.
func similarPattern(s, escape string) string {
	var out strings.Builder
	out.WriteString("^(?:")
	escaped, inBrackets := false, false
	for _, c := range s {
		switch {
		case escaped:
			out.WriteString(`\` + string(c))
			escaped = false
		case escape != "" && string(c) == escape:
			escaped = true
		case inBrackets:
			if c == '\\' {
				out.WriteByte('\\')
			}
			out.WriteRune(c)
			inBrackets = c != ']'
		case c == '[':
			out.WriteRune(c)
			inBrackets = true
		case c == '%':
			out.WriteString(".*")
		case c == '_':
			out.WriteByte('.')
		case c == '(':
			out.WriteString("(?:")
		case strings.ContainsRune(`\.^$`, c):
			out.WriteString(`\` + string(c))
		default:
			out.WriteRune(c)
		}
	}
	out.WriteString(")$")
	return out.String()
}
