//go:build unix

package spark

import (
	"os/exec"
	"syscall"
)

// ownGroup gives a child a process group of its own: an interrupt from the
// terminal reaches only us, and we let the application end its batches.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
