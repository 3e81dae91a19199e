package line

import (
	"fmt"
	"os"
	"testing"

	"github.com/millstream-dev/millstream/internal/local/pgtest"
)

// Main runs a package's tests, and takes away the program and the database
// server that were made for them: func TestMain(m *testing.M) { line.Main(m) }.
func Main(m *testing.M) {
	code := m.Run()
	RemoveBinary()
	if err := pgtest.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}
