package doctor

import (
	"syscall"
	"unsafe"
)

// writable is found out when the folder is made: rights of Windows can't be
// asked for in one call.
func writable(string) error { return nil }

var diskFree = syscall.NewLazyDLL("kernel32.dll").NewProc("GetDiskFreeSpaceExW")

// freeBytes is what this user may still write where dir is.
func freeBytes(dir string) (free uint64, err error) {
	name, err := syscall.UTF16PtrFromString(dir)
	if err != nil {
		return 0, err
	}
	if ok, _, err := diskFree.Call(uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(&free)), 0, 0); ok == 0 {
		return 0, err
	}
	return free, nil
}
