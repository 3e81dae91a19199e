package datum

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// posixRules are the changes to daylight saving of a POSIX form that has none
// of its own.
const posixRules = ",M3.2.0,M11.1.0"

// posixZone reads name[+-]h[:m[:s]][name[[+-]h[:m[:s]]]]. The signs count west
// of Greenwich. With a second name the zone has daylight saving.
func posixZone(s string) (*time.Location, bool) {
	n := posixNameLength(s)
	name, s := s[:n], s[n:]
	standard, s, ok := posixOffset(s)
	if !ok {
		return nil, false
	}
	if s == "" {
		return time.FixedZone(strings.ToUpper(name), standard), true
	}
	if n = posixNameLength(s); n == 0 {
		return nil, false
	}
	daylight := standard + 3600
	if s = s[n:]; s != "" {
		if daylight, s, ok = posixOffset(s); !ok || s != "" {
			return nil, false
		}
	}
	zone, err := ruledZone(standard, daylight)
	return zone, err == nil
}

// ruledZone makes a zone of two offsets and posixRules, as the data of a zone
// without any change of its own and a rule behind them.
func ruledZone(standard, daylight int) (*time.Location, error) {
	const headerCounts, types, names = 6, 1, "S\x00"
	header := append([]byte("TZif2"), make([]byte, 15)...)
	data := append(append([]byte{}, header...), make([]byte, 4*headerCounts)...) // an empty first version
	data = append(data, header...)
	for _, count := range []uint32{0, 0, 0, 0, types, uint32(len(names))} {
		data = binary.BigEndian.AppendUint32(data, count)
	}
	data = binary.BigEndian.AppendUint32(data, uint32(int32(standard)))
	data = append(data, 0, 0) // no daylight saving, the first name
	data = append(data, names...)
	rule := fmt.Sprintf("\n<S>%s<D>%s%s\n", posixText(standard), posixText(daylight), posixRules)
	return time.LoadLocationFromTZData("", append(data, rule...))
}

// posixText prints seconds east as POSIX has them, west.
func posixText(east int) string {
	sign, west := "", -east
	if west < 0 {
		sign, west = "-", east
	}
	return fmt.Sprintf("%s%d:%02d:%02d", sign, west/3600, west/60%60, west%60)
}

func posixNameLength(s string) int {
	n := 0
	for n < len(s) && !isDigit(s[n]) && s[n] != ',' && s[n] != '-' && s[n] != '+' {
		n++
	}
	return n
}

// Limits of the parts of a POSIX offset.
const (
	maxPosixHours   = 167
	maxPosixMinutes = 59
	maxPosixSeconds = 60
)

func posixOffset(s string) (seconds int, rest string, ok bool) {
	sign := -1
	if s != "" && (s[0] == '+' || s[0] == '-') {
		if s[0] == '-' {
			sign = 1
		}
		s = s[1:]
	}
	hours, s, ok := posixNumber(s, maxPosixHours)
	seconds = hours * 3600
	for _, part := range []struct{ limit, unit int }{{maxPosixMinutes, 60}, {maxPosixSeconds, 1}} {
		if !ok || s == "" || s[0] != ':' {
			break
		}
		var n int
		n, s, ok = posixNumber(s[1:], part.limit)
		seconds += n * part.unit
	}
	return sign * seconds, s, ok
}

func posixNumber(s string, limit int) (n int, rest string, ok bool) {
	i := 0
	for ; i < len(s) && isDigit(s[i]); i++ {
		if n = n*10 + int(s[i]-'0'); n > limit {
			return 0, s, false
		}
	}
	return n, s[i:], i > 0
}
