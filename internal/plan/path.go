package plan

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/millstream-dev/millstream/internal/codec"
)

// maxPathSteps is far deeper than documents go, and keeps a path's check
// cheap.
const maxPathSteps = 64

// parsePath reads a JSON path of members and indexes: `$.user.id`,
// `$.items[0].price`, `$.items[-1]`, `$."odd name"`, `$['odd name']`.
func parsePath(text string) ([]codec.PathStep, error) {
	p := &pathReader{rest: strings.TrimSpace(text)}
	if !p.take("$") {
		return nil, fmt.Errorf("it does not begin with $")
	}
	var steps []codec.PathStep
	for p.rest != "" {
		step, err := p.step()
		if err != nil {
			return nil, err
		}
		if steps = append(steps, step); len(steps) > maxPathSteps {
			return nil, fmt.Errorf("it has more than %d steps", maxPathSteps)
		}
	}
	if len(steps) == 0 {
		return nil, fmt.Errorf("it names the whole document, not a value in it")
	}
	return steps, nil
}

type pathReader struct{ rest string }

func (p *pathReader) take(prefix string) bool {
	rest, ok := strings.CutPrefix(p.rest, prefix)
	if ok {
		p.rest = rest
	}
	return ok
}

func (p *pathReader) step() (codec.PathStep, error) {
	switch {
	case p.take("."):
		return p.member()
	case p.take("["):
		return p.bracket()
	}
	return codec.PathStep{}, fmt.Errorf("%q should begin with a dot or a bracket", p.rest)
}

func (p *pathReader) member() (codec.PathStep, error) {
	if strings.HasPrefix(p.rest, `"`) {
		name, err := p.quoted('"')
		return codec.PathStep{Member: true, Name: name}, err
	}
	n := strings.IndexFunc(p.rest, func(r rune) bool {
		return r != '_' && r != '$' && r != '-' && r != '@' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	if n < 0 {
		n = len(p.rest)
	}
	if n == 0 {
		if strings.HasPrefix(p.rest, "*") || strings.HasPrefix(p.rest, ".") {
			return codec.PathStep{}, fmt.Errorf("wildcards lead to more than one value")
		}
		return codec.PathStep{}, fmt.Errorf("a member's name is missing")
	}
	name := p.rest[:n]
	p.rest = p.rest[n:]
	if strings.HasPrefix(p.rest, "(") || strings.HasPrefix(p.rest, " ") {
		return codec.PathStep{}, fmt.Errorf("a path has members and indexes only; put other names into quotes")
	}
	return codec.PathStep{Member: true, Name: name}, nil
}

func (p *pathReader) bracket() (codec.PathStep, error) {
	for _, quote := range []byte{'"', '\''} {
		if strings.HasPrefix(p.rest, string(quote)) {
			name, err := p.quoted(quote)
			if err == nil && !p.take("]") {
				err = fmt.Errorf("a bracket is not closed")
			}
			return codec.PathStep{Member: true, Name: name}, err
		}
	}
	inner, rest, closed := strings.Cut(p.rest, "]")
	if !closed {
		return codec.PathStep{}, fmt.Errorf("a bracket is not closed")
	}
	index, err := strconv.ParseInt(strings.TrimSpace(inner), 10, 32)
	if err != nil {
		return codec.PathStep{}, fmt.Errorf("index [%s] is not a whole number", inner)
	}
	p.rest = rest
	return codec.PathStep{Index: int(index)}, nil
}

// quoted reads a quoted name; a backslash takes the next character as it is.
func (p *pathReader) quoted(quote byte) (string, error) {
	var b strings.Builder
	for i := 1; i < len(p.rest); {
		r, size := utf8.DecodeRuneInString(p.rest[i:])
		switch {
		case r == rune(quote):
			p.rest = p.rest[i+size:]
			return b.String(), nil
		case r == '\\' && i+1 < len(p.rest):
			i++
			r, size = utf8.DecodeRuneInString(p.rest[i:])
		}
		b.WriteRune(r)
		i += size
	}
	return "", fmt.Errorf("a quoted name is not closed")
}

// PathText writes a path as it is written in a pipeline file.
func PathText(steps []codec.PathStep) string {
	var b strings.Builder
	b.WriteByte('$')
	for _, s := range steps {
		switch {
		case !s.Member:
			fmt.Fprintf(&b, "[%d]", s.Index)
		case plainMember(s.Name):
			b.WriteByte('.')
			b.WriteString(s.Name)
		default:
			b.WriteString(`."`)
			b.WriteString(strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s.Name))
			b.WriteByte('"')
		}
	}
	return b.String()
}

func plainMember(name string) bool {
	for i, r := range name {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r)) {
			return false
		}
	}
	return name != ""
}
