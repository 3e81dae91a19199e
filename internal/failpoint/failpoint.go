// Package failpoint is named points at which a test kills the process.
//
// MILLSTREAM_FAILPOINT=name:hit arms one point: the process sends itself
// SIGKILL the hit-th time that it passes there. Unarmed, a point costs one
// load of a package variable. Arm does the same of a process that runs.
package failpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

// Variable is the environment variable that arms a point.
const Variable = "MILLSTREAM_FAILPOINT"

// point is an armed one.
type point struct {
	name string
	left atomic.Int64
}

var armed atomic.Pointer[point] // nil: none

// Arm lets the process be killed the next time that it passes the point name.
func Arm(name string) { arm(name, 1) }

func arm(name string, hit int64) {
	p := &point{name: name}
	p.left.Store(hit)
	armed.Store(p)
}

func init() {
	spec := os.Getenv(Variable)
	if spec == "" {
		return
	}
	name, hit, _ := strings.Cut(spec, ":")
	n, err := strconv.ParseInt(hit, 10, 64)
	if hit == "" {
		n, err = 1, nil
	}
	if err != nil || n < 1 {
		fmt.Fprintf(os.Stderr, "%s=%s: want name:hit with a hit of 1 or more\n", Variable, spec)
		os.Exit(2)
	}
	arm(name, n)
}

// Hit passes the point name.
func Hit(name string) {
	p := armed.Load()
	if p == nil {
		return
	}
	if p.name == name && p.left.Add(-1) == 0 {
		fmt.Fprintf(os.Stderr, "failpoint %s: killed\n", name)
		kill()
	}
}
