//go:build unix

package local

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
)

// The shutdowns of PostgreSQL: fast ends sessions and writes a checkpoint,
// immediate leaves recovery to the next start.
const (
	fastShutdown      = syscall.SIGINT
	immediateShutdown = syscall.SIGQUIT
)

// signalServer asks the postmaster pid for a shutdown.
func signalServer(_ *cluster, pid int, s syscall.Signal) error {
	err := syscall.Kill(pid, s)
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

// alive tells whether a process is there.
func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// servesFolder tells whether the process pid is a postmaster on the cluster
// folder; sure is false where the system can't say. PostgreSQL's working
// folder is its data folder.
func servesFolder(pid int, folder string) (serves, sure bool) {
	if runtime.GOOS != "linux" {
		return false, false
	}
	cwd, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "cwd"))
	if errors.Is(err, os.ErrNotExist) {
		return false, true // gone, or a zombie
	}
	if err != nil {
		return false, false
	}
	a, errA := os.Stat(cwd)
	b, errB := os.Stat(folder)
	return errA == nil && errB == nil && os.SameFile(a, b), true
}
