package local

import "syscall"

// attributes make a child of its own process group, so that an interrupt from
// the terminal reaches only us, and that gets a fast shutdown (SIGINT) from
// the kernel when the thread that started it dies.
func (a *account) attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGINT}
	if a != nil {
		attr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid, Groups: []uint32{}}
	}
	return attr
}
