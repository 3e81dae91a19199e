//go:build unix && !linux

package local

import "syscall"

// attributes make a child of its own process group, so that an interrupt from
// the terminal reaches only us.
func (a *account) attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if a != nil {
		attr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid, Groups: []uint32{}}
	}
	return attr
}
