package datum

import "unsafe"

// bytesAsString lends b to a function that reads a string and keeps nothing
// of it: number parsing makes no garbage so.
func bytesAsString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
