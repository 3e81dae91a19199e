package json

import (
	"bytes"
	"unicode/utf8"
)

// Records of one topic have their members in the same order and with the same
// spaces. So a node remembers the bytes that stood between one value and the
// next, `,"type": ` for instance, and compares them at once: a hit stands for
// comma, key, colon and spaces, all checked when they were learned. A key that
// no column asks for is learned as well; it is then skipped as quickly.

const (
	// maxGuesses bounds what a node remembers: records wider than this find
	// their further members by the map.
	maxGuesses = 2048
	// maxGuessBytes is the longest key with its surroundings to be remembered.
	maxGuessBytes = 96
	// lookAhead is how many left-out members are tried for before the key is
	// read and looked up.
	lookAhead = 3
)

// guess is what probably comes next. Guess 0 follows the opening brace, the
// others a value, so their text begins with spaces and a comma. An empty text
// fits nothing.
type guess struct {
	w0, w1, m0, m1 uint64 // the text's first 16 bytes and their masks
	text           []byte
	child          *node // nil for a key that no column asks for
}

func (g *guess) set(text []byte, child *node) {
	g.text = append(g.text[:0], text...)
	g.child = child
	var first [16]byte
	n := copy(first[:], text)
	g.w0, g.w1 = load(first[:], 0), load(first[:], 8)
	g.m0, g.m1 = mask(n), mask(n-8)
}

// forget leaves a guess that never fits, in place of a key that is not to be
// remembered.
func (g *guess) forget() {
	g.text, g.child = g.text[:0], nil
}

// mask covers the first n bytes of a word.
func mask(n int) uint64 {
	switch {
	case n <= 0:
		return 0
	case n >= 8:
		return ^uint64(0)
	}
	return 1<<(8*uint(n)) - 1
}

func (g *guess) matches(b []byte, p int) bool {
	if p+16 <= len(b) {
		if (load(b, p)^g.w0)&g.m0|(load(b, p+8)^g.w1)&g.m1 != 0 {
			return false
		}
		if n := len(g.text); n <= 16 {
			return n > 0
		}
	}
	return len(g.text) > 0 && bytes.HasPrefix(b[p:], g.text)
}

// skipAhead tries the guesses behind guess k, for records that leave members
// out. It gives the index of the one that fits, or -1.
func (n *node) skipAhead(b []byte, p, k int) int {
	if k == 0 {
		return -1 // behind the opening brace only guess 0 can stand
	}
	for j := k + 1; j <= k+lookAhead && j < len(n.order); j++ {
		if n.order[j].matches(b, p) {
			return j
		}
	}
	return -1
}

// learn notes that text led to child where guess k was tried, and gives the
// next guess to try.
func (n *node) learn(k int, text []byte, child *node) int {
	if child != nil && k > 0 {
		h := child.hint
		if h > 0 && h != k && h < len(n.order) && n.order[h].child == child {
			return h + 1
		}
	}
	if k > len(n.order) || k == maxGuesses {
		return k
	}
	if k == len(n.order) {
		n.order = append(n.order, guess{})
	}
	// A guess that fits is not looked at again, so only a text without fault
	// may become one, whatever else is wrong with its record.
	if len(text) > maxGuessBytes || bytes.IndexByte(text, '\\') >= 0 || !utf8.Valid(text) {
		n.order[k].forget()
		return k + 1
	}
	n.order[k].set(text, child)
	if child != nil {
		child.hint = k
	}
	return k + 1
}
