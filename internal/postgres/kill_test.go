package postgres

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/failpoint"
	"github.com/millstream-dev/millstream/internal/local/pgtest"
)

// childVariable makes the test binary a process that makes three commits in
// the database it names, from where it stands.
const childVariable = "MILLSTREAM_POSTGRES_TEST_CHILD"

// killCommits is how many commits the child makes.
const killCommits = 3

// TestChild is that process.
func TestChild(t *testing.T) {
	url := os.Getenv(childVariable)
	if url == "" {
		t.Skip("only run by TestKillAtEachPoint")
	}
	db, err := Open(t.Context(), Config{URL: url, Pipeline: "orders", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	p := build(t, pipelineSQL)
	if err := db.Deploy(t.Context(), p, testCluster); err != nil {
		t.Fatal(err)
	}
	s := db.Store(p)
	defer s.Close()
	snapshot, err := s.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for n := snapshot.Seq + 1; n <= killCommits; n++ {
		c := commitOf(n)
		c.Tables[0].ExpireBefore = column.NegativeInfinity + 1
		if _, err := s.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
}

func child(t *testing.T, url, point string, hit int) error {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), childVariable+"="+url, pgtest.Variable+"="+url)
	if point != "" {
		cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%s:%d", failpoint.Variable, point, hit))
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if ok && exit.ExitCode() != -1 && exit.ExitCode() != 137 {
		t.Fatalf("the process failed by itself:\n%s", out.String())
	}
	return err
}

// TestKillAtEachPoint kills a real process at each point of a commit, at the
// first, second, … pass until it gets through, and lets the next one go on.
func TestKillAtEachPoint(t *testing.T) {
	for _, point := range []string{
		"upkeep.migration", "start.generation_raised", "start.offsets_read", "start.state_half_read",
		"commit.before_begin", "commit.fence_held", "commit.mid_copy", "commit.merged", "commit.ledgers_written",
		"commit.state_written", "commit.row_written", "commit.sent", "commit.answered", "upkeep.expiry",
	} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Database(t)
			if strings.HasPrefix(point, "start.") {
				_ = child(t, url, "commit.row_written", killCommits) // so that there is something to read
			}
			kills := 0
			for child(t, url, point, 1+kills%2) != nil {
				if kills++; kills > 2*killCommits+3 {
					break // a start's points are passed by each process
				}
			}
			if kills == 0 {
				t.Fatal("the point was never passed")
			}
			if err := child(t, url, "", 0); err != nil {
				t.Fatal(err)
			}
			d := &testDatabase{conn: superuser(t, url)}
			d.checkStands(t, killCommits)
			generations := d.lines(t, "SELECT generation FROM millstream.commits ORDER BY seq")
			if strings.Join(generations, " ") == "1 1 1" && strings.HasPrefix(point, "commit.") {
				t.Error("all commits are of one process: nothing was killed in between")
			}
		})
	}
}
