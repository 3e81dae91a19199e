package datum

import (
	"bytes"
	"slices"
	"sync"

	"github.com/millstream-dev/millstream/internal/decimal"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// MaxJSONDepth is the deepest nesting of a document. PostgreSQL's limit is
// the size of its stack (max_stack_depth), and lies near this by default.
const MaxJSONDepth = 6000

// JSONBFromText appends the text of the jsonb that a JSON text gives: no
// white space but one behind : and comma, keys in order of length and then
// bytes, the last of equal keys, numbers as numeric prints them, strings with
// only the escapes they need. json must be valid UTF-8.
func JSONBFromText(dst, json []byte) ([]byte, *sqlerr.Error) {
	p := jsonbParsers.Get().(*jsonbParser)
	defer jsonbParsers.Put(p)
	p.reset(json)
	if err := p.parse(); err != nil {
		return dst, err
	}
	return p.emit(dst, 0), nil
}

// jsonbParsers keeps the scratch of parsers.
var jsonbParsers = sync.Pool{New: func() any { return new(jsonbParser) }}

// maxPooledText is the greatest scratch that a parser keeps for the next text.
const maxPooledText = 1 << 20

// jsonbNode is a value of the document. A container's children are linked in
// the order of the text.
type jsonbNode struct {
	kind       byte // '{', '[' or 0 for a scalar
	key, value textSpan
	next       int32 // the next child of the same container, 0 for none
	first      int32 // the first child
	count      int32 // of children
}

// textSpan is a place in the parser's text.
type textSpan struct{ start, end int }

// jsonbParser reads tokens as PostgreSQL's JSON parser does, one ahead, so
// that of several faults the same one is reported.
type jsonbParser struct {
	in    []byte
	at    int // behind the current token
	token jsonToken
	lexed textSpan // of the current token: in text for strings, in in for numbers
	depth int

	nodes []jsonbNode
	text  []byte  // decoded keys, printed scalars
	order []int32 // children of an object that is sorted
}

func (p *jsonbParser) reset(json []byte) {
	p.in, p.at, p.depth = json, 0, 0
	p.nodes, p.order = p.nodes[:0], p.order[:0]
	if cap(p.text) > maxPooledText || cap(p.nodes) > maxPooledText/32 {
		p.text, p.nodes = nil, nil
	}
	p.text = p.text[:0]
}

func invalidJSON() *sqlerr.Error {
	return sqlerr.New(sqlerr.InvalidTextRepresentation, "invalid input syntax for type json")
}

func (p *jsonbParser) parse() *sqlerr.Error {
	if err := p.lex(); err != nil {
		return err
	}
	if _, err := p.value(); err != nil {
		return err
	}
	if p.token != tokenEnd {
		return invalidJSON()
	}
	p.in = nil
	return nil
}

// value reads the value that begins with the current token, and gives its
// node.
func (p *jsonbParser) value() (int32, *sqlerr.Error) {
	n := int32(len(p.nodes))
	p.nodes = append(p.nodes, jsonbNode{})
	switch p.token {
	case '{':
		return n, p.container(n, '{', '}')
	case '[':
		return n, p.container(n, '[', ']')
	}
	return n, p.scalar(n)
}

func (p *jsonbParser) container(n int32, open, shut jsonToken) *sqlerr.Error {
	if p.depth++; p.depth > MaxJSONDepth {
		return sqlerr.New(sqlerr.StatementTooComplex, "stack depth limit exceeded")
	}
	p.nodes[n].kind = byte(open)
	if err := p.lex(); err != nil {
		return err
	}
	last := int32(0)
	for p.token != shut {
		if last != 0 {
			if p.token != ',' {
				return invalidJSON()
			}
			if err := p.lex(); err != nil {
				return err
			}
		}
		child, err := p.child(open)
		if err != nil {
			return err
		}
		if last == 0 {
			p.nodes[n].first = child
		} else {
			p.nodes[last].next = child
		}
		p.nodes[n].count++
		last = child
	}
	p.depth--
	return p.lex()
}

// child reads an element, or a key with its value.
func (p *jsonbParser) child(open jsonToken) (int32, *sqlerr.Error) {
	if open == '[' {
		return p.value()
	}
	if p.token != tokenString {
		return 0, invalidJSON()
	}
	key := p.lexed
	if err := p.lex(); err != nil {
		return 0, err
	}
	if p.token != ':' {
		return 0, invalidJSON()
	}
	if err := p.lex(); err != nil {
		return 0, err
	}
	child, err := p.value()
	if err == nil {
		p.nodes[child].key = key
	}
	return child, err
}

// scalar prints the current token into the text.
func (p *jsonbParser) scalar(n int32) *sqlerr.Error {
	token, lexed := p.token, p.lexed
	switch token {
	case tokenString, tokenNumber, tokenTrue, tokenFalse, tokenNull:
	default:
		return invalidJSON()
	}
	// The next token is read first: its fault goes before a number's.
	if err := p.lex(); err != nil {
		return err
	}
	start := len(p.text)
	switch token {
	case tokenString:
		p.nodes[n].kind = '"'
		p.nodes[n].value = lexed
		return nil
	case tokenNumber:
		d, err := decimal.Parse(p.in[lexed.start:lexed.end])
		if err != nil {
			return err
		}
		p.text = d.Append(p.text)
	case tokenTrue:
		p.text = append(p.text, "true"...)
	case tokenFalse:
		p.text = append(p.text, "false"...)
	case tokenNull:
		p.text = append(p.text, "null"...)
	}
	p.nodes[n].value = textSpan{start, len(p.text)}
	return nil
}

func (p *jsonbParser) bytes(s textSpan) []byte { return p.text[s.start:s.end] }

// emit appends the text of a node.
func (p *jsonbParser) emit(dst []byte, n int32) []byte {
	node := p.nodes[n]
	switch node.kind {
	case '"':
		return AppendJSONString(dst, p.bytes(node.value))
	case '[':
		dst = append(dst, '[')
		for c, i := node.first, int32(0); i < node.count; c, i = p.nodes[c].next, i+1 {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = p.emit(dst, c)
		}
		return append(dst, ']')
	case '{':
		return p.emitObject(dst, node)
	}
	return append(dst, p.bytes(node.value)...)
}

func (p *jsonbParser) emitObject(dst []byte, node jsonbNode) []byte {
	base := len(p.order)
	for c, i := node.first, int32(0); i < node.count; c, i = p.nodes[c].next, i+1 {
		p.order = append(p.order, c)
	}
	slices.SortStableFunc(p.order[base:], func(a, b int32) int {
		return compareKeys(p.bytes(p.nodes[a].key), p.bytes(p.nodes[b].key))
	})
	dst = append(dst, '{')
	first := true
	for i := base; i < base+int(node.count); i++ {
		c := p.order[i]
		key := p.bytes(p.nodes[c].key)
		// The sort is stable: the last of equal keys is the last in the text.
		if i+1 < base+int(node.count) && bytes.Equal(key, p.bytes(p.nodes[p.order[i+1]].key)) {
			continue
		}
		if !first {
			dst = append(dst, ", "...)
		}
		first = false
		dst = append(AppendJSONString(dst, key), ": "...)
		dst = p.emit(dst, c)
	}
	p.order = p.order[:base]
	return append(dst, '}')
}

// compareKeys is the order of an object's keys: by length, then by bytes.
func compareKeys(a, b []byte) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return bytes.Compare(a, b)
}
