package oracle

import (
	"context"
	"fmt"
	"time"
)

// checkLimit bounds one check of a test.
const checkLimit = 2 * time.Minute

// T is what Check needs of a testing.TB: the package is part of the program
// too, which has no use for package testing.
type T interface {
	Helper()
	Fatalf(format string, args ...any)
}

// Check fails the test unless the pipeline's tables are what PostgreSQL makes
// of the log (Verify) and its commits keep the invariants. It is what every
// test ends with that runs an engine.
func Check(t T, o Options) *Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), checkLimit)
	defer cancel()
	r, err := CheckAll(ctx, o)
	if err != nil {
		t.Fatalf("oracle: %v", err)
	}
	return r
}

// CheckAll is Verify and Invariants; what either finds is an error.
func CheckAll(ctx context.Context, o Options) (*Report, error) {
	broken, err := Invariants(ctx, o.DatabaseURL, o.Pipeline)
	if err != nil {
		return nil, err
	}
	if len(broken) > 0 {
		return nil, fmt.Errorf("invariants are broken:\n%s", describe(broken))
	}
	r, err := Verify(ctx, o)
	if err != nil {
		return nil, err
	}
	return r, r.Err()
}
