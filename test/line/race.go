//go:build race

package line

// raceEnabled tells whether the tests run with the race detector; then the
// program does, too.
const raceEnabled = true
