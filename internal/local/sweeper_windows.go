package local

// sweeper clears a temporary folder away when this process was killed. On
// Windows the system's own clearing of temporary files has to do.
type sweeper struct{}

func startSweeper(string, string) (*sweeper, error) { return nil, nil }

func (s *sweeper) dismiss() {}
