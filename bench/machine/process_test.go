package machine

import (
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

// TestCPUOf reads a line whose process has a name like a trap.
func TestCPUOf(t *testing.T) {
	line := []byte("42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 70 30 200 5 20 0 4 0 100 0 0")
	if got := cpuOf(line); got != 3050*time.Millisecond {
		t.Errorf("got %v, want 3.05s", got)
	}
}

// TestTree finds a child, and its CPU time after it has ended.
func TestTree(t *testing.T) {
	cmd := exec.Command("sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; read line")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(Tree(os.Getpid()), cmd.Process.Pid) {
		t.Error("the child is not in the tree")
	}
	if MemoryOf(cmd.Process.Pid).Peak == 0 {
		t.Error("the child has no memory")
	}
	before := CPU(os.Getpid())
	if _, err := in.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if after := CPU(os.Getpid()); after < before {
		t.Errorf("CPU time went from %v to %v when the child ended", before, after)
	}
	if used := cmd.ProcessState.UserTime(); used > 20*time.Millisecond && CPU(os.Getpid()) < used/2 {
		t.Errorf("%v of a child that has ended are lost", used)
	}
}
