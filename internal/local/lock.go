package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// lockName is the file in a data folder that is locked while it is in use.
// It holds the process id of its user, for the message to others.
const lockName = "millstream.lock"

// errLocked is what the system's lock gives when another process has it.
var errLocked = errors.New("locked by another process")

// InUseError tells that another process uses a data folder.
type InUseError struct {
	Dir string
	PID string // as that process wrote it, "" if unreadable
}

func (e *InUseError) Error() string {
	who := "another process"
	if e.PID != "" {
		who = "another millstream (process " + e.PID + ")"
	}
	return fmt.Sprintf("data folder %s is in use by %s: stop that one, or choose another folder with --data", e.Dir, who)
}

// lockFolder locks dir for this process. The lock ends with the file's
// closing or with the process.
func lockFolder(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockName)
	f, err := openLocked(path)
	if errors.Is(err, errLocked) {
		pid, _ := os.ReadFile(path)
		return nil, &InUseError{Dir: dir, PID: strings.TrimSpace(string(pid))}
	}
	if err != nil {
		return nil, fmt.Errorf("lock data folder %s: %w", dir, err)
	}
	if err := writePID(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock data folder %s: %w", dir, err)
	}
	return f, nil
}

func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return err
}
