package main

import "testing"

func TestGCPercent(t *testing.T) {
	for _, test := range []struct {
		live uint64
		want int
	}{{0, 100}, {100 << 20, 100}, {128 << 20, 100}, {200 << 20, 60}, {300 << 20, 40}, {1 << 30, 20}, {100 << 30, 20}} {
		if got := gcPercent(test.live); got != test.want {
			t.Errorf("%d MiB: %d %%, want %d %%", test.live>>20, got, test.want)
		}
	}
}
