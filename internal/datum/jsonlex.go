package datum

import (
	"unicode/utf16"
	"unicode/utf8"

	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// jsonToken is the kind of a token: the character itself for punctuation.
type jsonToken byte

const (
	tokenEnd    jsonToken = 0
	tokenString jsonToken = '"'
	tokenNumber jsonToken = '0'
	tokenTrue   jsonToken = 't'
	tokenFalse  jsonToken = 'f'
	tokenNull   jsonToken = 'n'
)

// lex reads the next token.
func (p *jsonbParser) lex() *sqlerr.Error {
	for p.at < len(p.in) && (p.in[p.at] == ' ' || p.in[p.at] == '\t' || p.in[p.at] == '\n' || p.in[p.at] == '\r') {
		p.at++
	}
	if p.at == len(p.in) {
		p.token = tokenEnd
		return nil
	}
	switch c := p.in[p.at]; {
	case c == '{', c == '}', c == '[', c == ']', c == ',', c == ':':
		p.token = jsonToken(c)
		p.at++
		return nil
	case c == '"':
		p.token = tokenString
		return p.lexString()
	case c == '-' || isDigit(c):
		p.token = tokenNumber
		return p.lexNumber()
	}
	return p.lexWord()
}

func (p *jsonbParser) lexWord() *sqlerr.Error {
	start := p.at
	for p.at < len(p.in) && isWordByte(p.in[p.at]) {
		p.at++
	}
	switch string(p.in[start:p.at]) {
	case "true":
		p.token = tokenTrue
	case "false":
		p.token = tokenFalse
	case "null":
		p.token = tokenNull
	default:
		return invalidJSON()
	}
	return nil
}

// isWordByte tells what PostgreSQL takes as part of a word.
func isWordByte(c byte) bool { return isAlpha(c) || isDigit(c) || c == '_' || c >= 0x80 }

func (p *jsonbParser) lexNumber() *sqlerr.Error {
	start := p.at
	if p.in[p.at] == '-' {
		p.at++
	}
	ok := true
	if p.at < len(p.in) && p.in[p.at] == '0' {
		p.at++
	} else {
		ok = p.skipDigits()
	}
	if p.at < len(p.in) && p.in[p.at] == '.' {
		p.at++
		ok = p.skipDigits() && ok
	}
	if p.at < len(p.in) && p.in[p.at]|0x20 == 'e' {
		p.at++
		if p.at < len(p.in) && (p.in[p.at] == '+' || p.in[p.at] == '-') {
			p.at++
		}
		ok = p.skipDigits() && ok
	}
	if !ok || p.at < len(p.in) && isWordByte(p.in[p.at]) {
		return invalidJSON()
	}
	p.lexed = textSpan{start, p.at}
	return nil
}

// skipDigits tells whether there was one.
func (p *jsonbParser) skipDigits() bool {
	start := p.at
	for p.at < len(p.in) && isDigit(p.in[p.at]) {
		p.at++
	}
	return p.at > start
}

// lexString decodes a string into the text.
func (p *jsonbParser) lexString() *sqlerr.Error {
	start := len(p.text)
	p.at++
	high := rune(0) // the first half of a surrogate pair
	for p.at < len(p.in) {
		c := p.in[p.at]
		switch {
		case c < ' ':
			return invalidJSON()
		case c == '\\':
			if err := p.lexEscape(&high); err != nil {
				return err
			}
			continue
		}
		if high != 0 {
			return invalidJSON()
		}
		if c == '"' {
			p.at++
			p.lexed = textSpan{start, len(p.text)}
			return nil
		}
		end := p.at + 1
		for end < len(p.in) && p.in[end] >= ' ' && p.in[end] != '\\' && p.in[end] != '"' {
			end++
		}
		p.text = append(p.text, p.in[p.at:end]...)
		p.at = end
	}
	return invalidJSON()
}

// simpleEscapes are the letters of escapes and what they stand for.
var simpleEscapes = [256]byte{
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t',
}

func (p *jsonbParser) lexEscape(high *rune) *sqlerr.Error {
	p.at++
	if p.at == len(p.in) {
		return invalidJSON()
	}
	c := p.in[p.at]
	p.at++
	if c == 'u' {
		return p.lexUnicode(high)
	}
	if *high != 0 || simpleEscapes[c] == 0 {
		return invalidJSON()
	}
	p.text = append(p.text, simpleEscapes[c])
	return nil
}

func (p *jsonbParser) lexUnicode(high *rune) *sqlerr.Error {
	if len(p.in)-p.at < 4 {
		return invalidJSON()
	}
	r := rune(0)
	for _, c := range p.in[p.at : p.at+4] {
		h := hexDigit(c)
		if h > 15 {
			return invalidJSON()
		}
		r = r<<4 | rune(h)
	}
	p.at += 4
	switch {
	case r >= 0xd800 && r < 0xdc00:
		if *high != 0 {
			return invalidJSON()
		}
		*high = r
		return nil
	case r >= 0xdc00 && r < 0xe000:
		if *high == 0 {
			return invalidJSON()
		}
		r, *high = utf16.DecodeRune(*high, r), 0
	case *high != 0:
		return invalidJSON()
	case r == 0:
		// PostgreSQL's text has no place for NUL.
		return sqlerr.New(sqlerr.UntranslatableCharacter, "unsupported Unicode escape sequence")
	}
	p.text = utf8.AppendRune(p.text, r)
	return nil
}
