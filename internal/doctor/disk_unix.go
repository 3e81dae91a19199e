//go:build unix

package doctor

import (
	"io/fs"
	"syscall"
)

// writeAccess is W_OK of access(2).
const writeAccess = 2

// writable tells whether this user may write in a folder, without writing.
func writable(dir string) error {
	if err := syscall.Access(dir, writeAccess); err != nil {
		return &fs.PathError{Op: "write in", Path: dir, Err: err}
	}
	return nil
}

// freeBytes is what this user may still write where dir is.
func freeBytes(dir string) (uint64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return uint64(s.Bavail) * uint64(s.Bsize), nil //nolint:unconvert // the types differ between systems
}
