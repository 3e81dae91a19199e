package failpoint

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// passesVariable makes the test binary pass a point that many times.
const passesVariable = "MILLSTREAM_FAILPOINT_TEST"

func TestMain(m *testing.M) {
	if names := os.Getenv(passesVariable); names != "" {
		for _, name := range strings.Fields(names) {
			Hit(name)
			os.Stdout.WriteString("passed " + name + "\n")
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// pass runs a process that passes points, with a point armed.
func pass(t *testing.T, armed, names string) (output string, killed bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), Variable+"="+armed, passesVariable+"="+names)
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(out), exit.ExitCode() == -1 || exit.ExitCode() == 137
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(out), false
}

func TestHit(t *testing.T) {
	for _, c := range []struct {
		armed, want string
		killed      bool
	}{
		{"", "passed a\npassed b\npassed a\n", false},
		{"a", "", true},
		{"a:1", "", true},
		{"a:2", "passed a\npassed b\n", true},
		{"a:3", "passed a\npassed b\npassed a\n", false},
		{"b:1", "passed a\n", true},
		{"c:1", "passed a\npassed b\npassed a\n", false},
		{"a:0", "", false},
		{"a:x", "", false},
	} {
		out, killed := pass(t, c.armed, "a b a")
		if out != c.want || killed != c.killed {
			t.Errorf("%s=%q: output %q, killed %t; want %q, %t", Variable, c.armed, out, killed, c.want, c.killed)
		}
	}
}

// TestList compares the list with the calls in the source.
func TestList(t *testing.T) {
	call := regexp.MustCompile(`failpoint\.Hit\("([^"]+)"\)`)
	found := map[string]bool{}
	for _, root := range []string{"../../internal", "../../cmd"} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, m := range call.FindAllSubmatch(text, -1) {
				found[string(m[1])] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name := range found {
		if !slices.Contains(List(), name) {
			t.Errorf("point %q is not in points.go: say there what has happened when it is passed", name)
		}
	}
	for _, name := range List() {
		if !found[name] {
			t.Errorf("point %q is in points.go, and nothing passes it", name)
		}
	}
}
