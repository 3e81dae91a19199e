package datum

// fieldKind is what a field of a date and time text looks like.
type fieldKind uint8

const (
	fieldNumber  fieldKind = iota // digits, with a point perhaps
	fieldDate                     // digits and delimiters, or a zone's name
	fieldTime                     // digits and colons
	fieldString                   // letters
	fieldSpecial                  // a sign and letters
	fieldZone                     // a sign and digits
)

// field is a field of the text, in lower case.
type field struct {
	kind fieldKind
	text []byte
}

// fieldSplitter cuts a text into fields as PostgreSQL's ParseDateTime does.
type fieldSplitter struct {
	in     []byte
	at     int
	room   [maxIntervalText]byte
	used   int // of room
	limit  int // of used
	fields [maxFields]field
	count  int
}

// peek gives the next byte, 0 at the end.
func (s *fieldSplitter) peek() byte {
	if s.at < len(s.in) {
		return s.in[s.at]
	}
	return 0
}

// take moves the next byte into the field; false when there is no room.
func (s *fieldSplitter) take() bool {
	if s.used+1 >= s.limit {
		return false
	}
	c := s.in[s.at]
	if c-'A' < 26 {
		c |= 0x20
	}
	s.room[s.used] = c
	s.used++
	s.at++
	return true
}

// takeWhile takes at least nothing.
func (s *fieldSplitter) takeWhile(ok func(byte) bool) bool {
	for s.at < len(s.in) && ok(s.in[s.at]) {
		if !s.take() {
			return false
		}
	}
	return true
}

// split gives the fields, whose texts lie in room.
func (s *fieldSplitter) split(text []byte, limit int) ([]field, fault) {
	s.in, s.limit = text, limit
	for s.at < len(s.in) {
		c := s.in[s.at]
		if isSpace(c) {
			s.at++
			continue
		}
		if s.count == maxFields {
			return nil, badFormat
		}
		start := s.used
		kind, ok, skip := s.next(c)
		if !ok {
			return nil, badFormat
		}
		if skip {
			continue
		}
		s.fields[s.count] = field{kind, s.room[start:s.used:s.used]}
		s.count++
		s.used++ // the end that PostgreSQL writes behind each field
		if s.used > s.limit {
			return nil, badFormat
		}
	}
	return s.fields[:s.count], noFault
}

func (s *fieldSplitter) next(c byte) (kind fieldKind, ok, skip bool) {
	switch {
	case isDigit(c):
		kind, ok = s.nextDigits()
	case c == '.':
		ok = s.take() && s.takeWhile(isDigit)
	case isAlpha(c):
		kind, ok = s.nextWord()
	case c == '+' || c == '-':
		kind, ok = s.nextSigned()
	case c > ' ' && c < 0x7f: // other punctuation only separates
		s.at++
		return 0, true, true
	}
	return kind, ok, false
}

func (s *fieldSplitter) nextDigits() (fieldKind, bool) {
	if !s.takeWhile(isDigit) {
		return 0, false
	}
	delimiter := s.peek()
	switch delimiter {
	case ':':
		return fieldTime, s.takeWhile(func(c byte) bool { return isDigit(c) || c == ':' || c == '.' })
	case '-', '/', '.':
	default:
		return fieldNumber, true
	}
	if !s.take() {
		return 0, false
	}
	if !isDigit(s.peek()) {
		return fieldDate, s.takeWhile(func(c byte) bool { return isDigit(c) || isAlpha(c) || c == delimiter })
	}
	kind := fieldDate
	if delimiter == '.' {
		kind = fieldNumber
	}
	if !s.takeWhile(isDigit) {
		return 0, false
	}
	if s.peek() == delimiter {
		return fieldDate, s.takeWhile(func(c byte) bool { return isDigit(c) || c == delimiter })
	}
	return kind, true
}

func (s *fieldSplitter) nextWord() (fieldKind, bool) {
	start := s.used
	if !s.takeWhile(isAlpha) {
		return 0, false
	}
	// Punctuation behind a word makes it a date or the name of a zone; a digit
	// or a plus only if the word has no meaning of its own.
	switch c := s.peek(); {
	case c == '-' || c == '/' || c == '.':
	case c == '+' || isDigit(c):
		if _, known := dateWords[token(s.room[start:s.used])]; known {
			return fieldString, true
		}
	default:
		return fieldString, true
	}
	return fieldDate, s.take() && s.takeWhile(func(c byte) bool {
		return c == '+' || c == '-' || c == '/' || c == '_' || c == '.' || c == ':' || isAlpha(c) || isDigit(c)
	})
}

func (s *fieldSplitter) nextSigned() (fieldKind, bool) {
	if !s.take() {
		return 0, false
	}
	for isSpace(s.peek()) {
		s.at++
	}
	switch c := s.peek(); {
	case isDigit(c):
		return fieldZone, s.takeWhile(func(c byte) bool { return isDigit(c) || c == ':' || c == '.' || c == '-' })
	case isAlpha(c):
		return fieldSpecial, s.takeWhile(isAlpha)
	}
	return 0, false
}

// tokenLimit is how much of a word counts.
const tokenLimit = 10

// token cuts a word to what counts of it.
func token(word []byte) string {
	if len(word) > tokenLimit {
		word = word[:tokenLimit]
	}
	return string(word)
}
