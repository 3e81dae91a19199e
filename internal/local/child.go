package local

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// child is a server process of ours.
type child struct {
	process *os.Process
	ended   chan struct{} // closed when the process has ended; err is set then
	err     error
}

// startChild starts cmd on a thread that lives as long as it: the kernel
// sends the death signal when the thread ends.
func startChild(cmd *exec.Cmd) (*child, error) {
	c := &child{ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		c.err = cmd.Wait()
		close(c.ended)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	c.process = cmd.Process
	return c, nil
}

// stop stops the child and waits for its end, each time with less patience:
// as asked, immediately, by force. No child is a stopped one.
func (c *child) stop(of *cluster, how syscall.Signal) error {
	if c == nil {
		return nil
	}
	ask := func(s syscall.Signal) error { return signalServer(of, c.process.Pid, s) }
	for _, step := range []struct {
		do       func() error
		patience time.Duration
	}{
		{func() error { return ask(how) }, stopTimeout},
		{func() error { return ask(immediateShutdown) }, killTimeout},
		{c.process.Kill, killTimeout},
	} {
		select {
		case <-c.ended:
			return nil
		default:
		}
		err := step.do()
		t := time.NewTimer(step.patience)
		select {
		case <-c.ended:
			t.Stop()
			return nil
		case <-t.C:
		}
		if err != nil {
			return fmt.Errorf("stop PostgreSQL (process %d): %w", c.process.Pid, err)
		}
	}
	return fmt.Errorf("PostgreSQL (process %d) does not stop", c.process.Pid)
}
