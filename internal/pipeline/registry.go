package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A running local stack leaves a note of its addresses in the user's cache
// folder, readable by the user alone, so that other verbs find it without
// being told. The note goes when the stack stops; one that a killed process
// has left is found out by asking whether its broker still listens.

// Note is where a local stack answers.
type Note struct {
	Pipeline string    `json:"pipeline"`
	API      string    `json:"api"`
	Kafka    string    `json:"kafka"`
	Postgres string    `json:"postgres"`
	Topics   []string  `json:"topics"` // that it reads from this broker
	PID      int       `json:"pid"`
	Started  time.Time `json:"started"`

	path string
}

// notePatience is how long a broker may take to accept a connection before
// its note counts as left behind.
const notePatience = time.Second

func noteFolder() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "millstream", "running"), nil
}

// LeaveNote tells others of a stack. The function that it gives takes the
// note away.
func LeaveNote(n Note) (remove func(), err error) {
	dir, err := noteFolder()
	if err != nil {
		return func() {}, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return func() {}, err
	}
	n.PID, n.Started = os.Getpid(), time.Now()
	b, err := json.Marshal(n)
	if err != nil {
		return func() {}, err
	}
	path := filepath.Join(dir, fmt.Sprintf("%d.json", n.PID))
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return func() {}, err
	}
	return func() { _ = os.Remove(path) }, nil
}

// FindNote gives the newest running local stack: of the pipeline, or of any
// if name is empty. It is nil when there is none.
func FindNote(name string) (*Note, error) {
	notes, err := Notes()
	if err != nil {
		return nil, err
	}
	var found *Note
	for _, n := range notes {
		if (name == "" || n.Pipeline == name) && (found == nil || n.Started.After(found.Started)) {
			found = n
		}
	}
	return found, nil
}

// Notes gives all running local stacks, and takes away the notes of those
// that no longer run.
func Notes() ([]*Note, error) {
	dir, err := noteFolder()
	if err != nil {
		return nil, nil //nolint:nilerr // no folder for notes: nobody can have left one
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []*Note
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		n := readNote(filepath.Join(dir, e.Name()))
		if n == nil {
			continue
		}
		if !n.alive() {
			_ = os.Remove(n.path)
			continue
		}
		out = append(out, n)
	}
	return out, nil
}

func readNote(path string) *Note {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	n := &Note{path: path}
	if json.Unmarshal(b, n) != nil {
		return nil
	}
	return n
}

func (n *Note) alive() bool {
	c, err := net.DialTimeout("tcp", n.Kafka, notePatience)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}
