package machine

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of CPU times in /proc: USER_HZ, 100 on every Linux.
const clockTick = 10 * time.Millisecond

// CPU gives the CPU time that a process and its children have used, those that
// have ended included. A process that is gone has used 0.
func CPU(pid int) time.Duration {
	var sum time.Duration
	for _, p := range Tree(pid) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
		if err != nil {
			continue // it has ended since; its parent has its time
		}
		sum += cpuOf(stat)
	}
	return sum
}

// cpuOf adds utime, stime, cutime and cstime, the fields 14 to 17 of a line of
// /proc/PID/stat. Fields are counted after the name, which may hold anything
// but ends with the last parenthesis.
func cpuOf(stat []byte) time.Duration {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 15 {
		return 0
	}
	var ticks int64
	for _, f := range fields[11:15] {
		n, _ := strconv.ParseInt(string(f), 10, 64)
		ticks += n
	}
	return time.Duration(ticks) * clockTick
}

// Tree gives a process and all its descendants.
func Tree(pid int) []int {
	out := []int{pid}
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return out
	}
	for _, task := range tasks {
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		if err != nil {
			continue // the thread has ended
		}
		for _, c := range strings.Fields(string(children)) {
			if n, err := strconv.Atoi(c); err == nil {
				out = append(out, Tree(n)...)
			}
		}
	}
	return out
}

// Memory is what a process holds of real memory, in bytes.
type Memory struct {
	Now, Peak int64
}

// MemoryOf reads a process's memory; 0 when it is gone.
func MemoryOf(pid int) Memory {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Memory{}
	}
	return Memory{Now: kilobytes(status, "VmRSS:"), Peak: kilobytes(status, "VmHWM:")}
}

func kilobytes(status []byte, name string) int64 {
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return n << 10
		}
	}
	return 0
}
