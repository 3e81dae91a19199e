package main

import (
	"os"
	"runtime"

	"github.com/millstream-dev/millstream/internal/config"
)

// spareProcessors is how many goroutines may run beside one for each core: one
// that builds a commit, and one that answers the network. While every
// processor of Go's scheduler is busy, it looks at connections every 10 ms
// only, and a commit is ten turns of asking and answering: with one more
// processor than there is work the system shares out the cores, and a commit
// beside busy workers takes half of the time.
const spareProcessors = 2

// useProcessors sets how many goroutines run at once, unless the environment
// says it, and how many workers there are, unless the settings do.
func useProcessors(c *config.Config) {
	cores := runtime.GOMAXPROCS(0)
	if c.Engine.Workers == 0 {
		c.Engine.Workers = cores
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(cores + spareProcessors)
	}
}
