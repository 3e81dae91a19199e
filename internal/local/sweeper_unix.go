//go:build unix

package local

import (
	"fmt"
	"io"
	"os/exec"
	"syscall"
)

// sweep is what a sweeper does when its standard input ends: it stops the
// server, if there is one, and removes the folder. $1 is the folder, $2 the
// server's pid file. The pid file goes when the server has ended; the bound
// is for one that was killed and left it.
const sweep = `read -r _
if [ -e "$2" ]; then
  read -r pid < "$2" && kill -QUIT "$pid" 2>/dev/null
  n=0
  while [ -e "$2" ] && [ $n -lt 50 ]; do sleep 0.1; n=$((n+1)); done
fi
rm -rf "$1"`

// sweeper is a small process that outlives us and clears a temporary folder
// away, however this process ends.
type sweeper struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
}

func startSweeper(dir, pidFile string) (*sweeper, error) {
	cmd := exec.Command("/bin/sh", "-c", sweep, "sh", dir, pidFile)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the sweeper of %s: %w", dir, err)
	}
	return &sweeper{cmd: cmd, stdin: stdin}, nil
}

// dismiss lets the sweeper find nothing to do, and waits for its end.
func (s *sweeper) dismiss() {
	if s == nil {
		return
	}
	s.stdin.Close()
	_ = s.cmd.Wait()
}
