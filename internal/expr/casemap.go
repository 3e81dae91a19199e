package expr

import (
	"unicode"
	"unicode/utf8"
)

// toUpper and toLower are the simple case mappings of Unicode, character by
// character, which is what PostgreSQL does in the locale C.UTF-8; a test
// compares every character.
func toUpper(r rune) rune { return unicode.ToUpper(r) }

func toLower(r rune) rune { return unicode.ToLower(r) }

func mapCase(convert func(rune) rune) kernel {
	var ascii [utf8.RuneSelf]byte
	for c := range ascii {
		ascii[c] = byte(convert(rune(c)))
	}
	return func(f *frame) {
		for _, i := range f.sel {
			s, start := f.bytes(0, i), len(f.out.Buf)
			for len(s) > 0 {
				if s[0] < utf8.RuneSelf {
					f.out.Buf = append(f.out.Buf, ascii[s[0]])
					s = s[1:]
					continue
				}
				r, n := utf8.DecodeRune(s)
				f.out.Buf = utf8.AppendRune(f.out.Buf, convert(r))
				s = s[n:]
			}
			f.finish(i, start)
		}
	}
}

// isAlphanumeric tells letters and digits as the locale C.UTF-8 does: what
// Unicode calls alphabetic, and decimal digits of all scripts.
func isAlphanumeric(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z'
	}
	return unicode.In(r, unicode.L, unicode.Nl, unicode.Nd, unicode.Other_Alphabetic)
}
