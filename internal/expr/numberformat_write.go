package expr

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// numberWriter writes one number.
type numberWriter struct {
	numberFormat
	number   []byte // its digits and point, without sign; may be other text
	negative bool
	spaces   int // places before the first digit

	at        int // into number: what is written next
	last      int // into number: with FM the last digit that counts, -1 for all
	place     int // counts the places for digits and the point
	places    int
	signDone  bool
	anyDigits bool
	out       []byte
}

// write writes the number into out.
func (w *numberWriter) write() *sqlerr.Error {
	if w.zeroStart > 0 {
		w.zeroStart--
	}
	if w.exponent {
		w.out = w.number
		return nil
	}
	w.prepare()
	for _, n := range w.nodes {
		if n.pattern == "" {
			w.out = append(w.out, n.text...)
			continue
		}
		if err := w.pattern(n.pattern); err != nil {
			return err
		}
	}
	// Behind a number's end, and where the sign of a Roman one would be,
	// stands a zero byte.
	if end := bytes.IndexByte(w.out, 0); end >= 0 {
		w.out = w.out[:end]
	}
	return nil
}

// prepare settles where the sign stands and how many places there are.
func (w *numberWriter) prepare() {
	if w.roman {
		w.numberFormat = numberFormat{nodes: w.nodes, fill: w.fill, roman: true, zeroStart: w.zeroStart, zeroEnd: w.zeroEnd}
	}
	switch {
	case w.plus || w.minus:
		w.signDone = !w.plus || w.minus
	default:
		if !w.negative && w.fill {
			w.brackets = false
		}
		w.signDone = !w.negative && !w.roman && w.fill && w.sign == noSign
		if w.sign == signBefore && w.before == w.lead {
			w.sign = signAfter
		}
	}
	w.places = w.after + w.before - 1
	w.last = -1
	if w.fill && w.point {
		w.last = w.lastThatCounts()
	}
	if !w.signDone && w.spaces == 0 {
		w.places++
	}
}

// lastThatCounts is the place in number of the last digit that isn't a zero
// behind the point, or the point itself; a 0 in the format counts.
func (w *numberWriter) lastThatCounts() int {
	point := bytes.IndexByte(w.number, '.')
	if point < 0 {
		return -1
	}
	last := point
	for i := point + 1; i < len(w.number); i++ {
		if w.number[i] != '0' {
			last = i
		}
	}
	if w.zeroEnd > w.spaces {
		last = max(last, min(len(w.number)-1, w.zeroEnd-w.spaces))
	}
	return last
}

func (w *numberWriter) byteAt(i int) byte {
	if i < 0 || i >= len(w.number) {
		return 0
	}
	return w.number[i]
}

func (w *numberWriter) pattern(p string) *sqlerr.Error {
	blank := func(c byte, shown bool) {
		switch {
		case shown:
			w.out = append(w.out, c)
		case !w.fill:
			w.out = append(w.out, ' ')
		}
	}
	switch p {
	case "9", "0", ".", "D":
		w.digit(p)
	case ",", "G":
		blank(',', w.anyDigits)
	case "L":
		w.out = append(w.out, ' ')
	case "RN", "rn":
		text := string(w.number)
		if p == "rn" {
			text = strings.ToLower(text)
		}
		if !w.fill {
			text = fmt.Sprintf("%15s", text)
		}
		w.out = append(w.out, text...)
	case "TH", "th":
		return w.ordinal(p)
	case "MI":
		blank('-', w.negative)
	case "PL":
		blank('+', !w.negative && !w.roman)
	case "SG":
		c := byte('+')
		if w.negative {
			c = '-'
		} else if w.roman {
			c = 0
		}
		w.out = append(w.out, c)
	}
	return nil
}

func (w *numberWriter) ordinal(form string) *sqlerr.Error {
	if w.roman || w.byteAt(0) == '#' || w.negative || w.point {
		return nil
	}
	if c := w.byteAt(len(w.number) - 1); !isDigit(c) {
		return sqlerr.New(sqlerr.InvalidTextRepresentation, "\"%s\" is not a number", w.number)
	}
	w.out = appendOrdinal(w.out, w.number, form)
	return nil
}

// noLeadingZero tells the zero before a point for which no 0 is in the
// format.
func (w *numberWriter) noLeadingZero() bool {
	return !w.zero && w.at == 0 && w.byteAt(0) == '0' && w.after != 0
}

// pointLast tells that with FM nothing behind the point counts.
func (w *numberWriter) pointLast() bool { return w.last >= 0 && w.byteAt(w.last) == '.' }

// digit writes a place: its digit, the point, or what stands for neither, and
// the sign before the first and behind the last.
func (w *numberWriter) digit(p string) {
	if w.roman {
		return
	}
	w.anyDigits = false
	if !w.signDone && (w.place >= w.spaces || w.zero && w.zeroStart == w.place) && (!w.noLeadingZero() || w.pointLast()) {
		w.signInFront()
	}
	switch {
	case w.place < w.spaces && (w.zeroStart > w.place || !w.zero):
		if !w.fill {
			w.out = append(w.out, ' ')
		}
	case w.zero && w.place < w.spaces && w.zeroStart <= w.place:
		w.out = append(w.out, '0')
		w.anyDigits = true
	default:
		w.ofNumber(p)
	}
	end := w.places
	if w.spaces > 0 {
		end++
	}
	if w.point {
		end++
	}
	if w.last >= 0 && w.last == w.at {
		end = w.place
	}
	if w.place+1 == end {
		w.signBehind()
	}
	w.place++
}

func (w *numberWriter) signInFront() {
	minus := byte('+')
	if w.negative {
		minus = '-'
	}
	switch {
	case w.sign == signBefore:
		w.out = append(w.out, minus)
	case w.sign != noSign:
		return // it stands behind
	case w.brackets && w.negative:
		w.out = append(w.out, '<')
	case w.negative:
		w.out = append(w.out, '-')
	case w.brackets || !w.fill:
		w.out = append(w.out, ' ')
	}
	w.signDone = true
}

func (w *numberWriter) signBehind() {
	switch {
	case w.signDone && w.brackets && w.negative:
		w.out = append(w.out, '>')
	case w.signDone && w.brackets:
		w.out = append(w.out, ' ')
	case w.sign == signAfter && w.negative:
		w.out = append(w.out, '-')
	case w.sign == signAfter:
		w.out = append(w.out, '+')
	}
}

// ofNumber writes the number's next digit or its point.
func (w *numberWriter) ofNumber(p string) {
	c := w.byteAt(w.at)
	switch {
	case c == '.':
		if !w.pointLast() || w.fill {
			w.out = append(w.out, '.')
		}
	case w.last >= 0 && w.at > w.last && p != "0":
	case w.noLeadingZero():
		if !w.fill {
			w.out = append(w.out, ' ')
		} else if w.pointLast() {
			w.out = append(w.out, '0')
		}
	default:
		// Behind the number's end this is a zero byte, which ends the text.
		w.out = append(w.out, c)
		w.anyDigits = true
	}
	if c != 0 {
		w.at++
	}
}
