package column

import (
	"slices"
	"testing"
)

// Room keeps the values, doubles small arrays, and leaves at most an eighth of a
// large one unused.
func TestRoom(t *testing.T) {
	var s []int64
	grown := 0
	for i := range int64(300_000) {
		was := cap(s)
		s = append(Room(s, len(s)+1), i)
		if cap(s) != was {
			grown++
			if most := len(s) * 9 / 8; len(s) >= doubleBelow && cap(s) > most {
				t.Errorf("room for %d where %d are used", cap(s), len(s))
			}
		}
	}
	for i, v := range s {
		if v != int64(i) {
			t.Fatalf("value %d is %d", i, v)
		}
	}
	if grown > 35 {
		t.Errorf("grown %d times", grown)
	}
	if kept := Room(s, 5); &kept[0] != &s[0] || len(kept) != len(s) {
		t.Error("what has room is copied")
	}
	v := NewVector(Of(Text), 0)
	v.Reserve(1000)
	if v.Len() != 0 || cap(v.Span) < 1000 || cap(v.Null) < 1000 || !slices.Equal(v.Null, []bool{}) {
		t.Errorf("room for %d texts, %d of them there", cap(v.Span), v.Len())
	}
}
