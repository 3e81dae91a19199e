package local

import (
	"os"
	"syscall"
)

func (a *account) attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// The shutdowns of PostgreSQL: fast ends sessions and writes a checkpoint,
// immediate leaves recovery to the next start.
const (
	fastShutdown      = syscall.SIGINT
	immediateShutdown = syscall.SIGQUIT
)

// signalServer asks the postmaster for a shutdown by pg_ctl, which knows how
// to signal a server on Windows.
func signalServer(c *cluster, _ int, s syscall.Signal) error {
	mode := "fast"
	if s == immediateShutdown {
		mode = "immediate"
	}
	return c.command("pg_ctl", "stop", "--no-wait", "--mode", mode, "--pgdata", c.folder).Run()
}

// alive tells whether a process is there.
func alive(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	p.Release()
	return true
}

// servesFolder can't say on Windows.
func servesFolder(int, string) (serves, sure bool) { return false, false }
