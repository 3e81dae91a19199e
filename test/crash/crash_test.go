package crash

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millstream-dev/millstream/internal/failpoint"
	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/test/line"
	"github.com/millstream-dev/millstream/test/oracle"
)

func TestMain(m *testing.M) { line.Main(m) }

const (
	name = "shop"
	// perPartition records in five partitions, and epochs of epochRows, make
	// some twenty commits.
	perPartition = 110
	epochRows    = "27"
	// commitRows are fewer result rows than an epoch changes, so that windows
	// are closed, and rows expire, over several commits.
	commitRows = "20"
	// passes is at how many passes of a point the program is killed by
	// default.
	passes = 5
	// halfway is the commit after which chains at start points begin, so that
	// there is state to read.
	halfway = 8
)

// full tells whether every pass of every point is tried.
var full = os.Getenv("MILLSTREAM_TEST_CRASH") == "full"

// shop is a filled log, and what an undisturbed run makes of it.
type shop struct {
	broker, file string
	sql          string // in the file
	epochRows    string
	undisturbed  string // the database of a run that nobody disturbed
	want         string // what that run has made
	kills        atomic.Int64
}

func openShop(t *testing.T) *shop {
	t.Helper()
	return open(t, line.ShopSQL, line.Shop(1, perPartition), epochRows)
}

// open fills a broker and runs the pipeline on it without a disturbance.
func open(t *testing.T, sql string, log line.Log, epochRows string) *shop {
	t.Helper()
	s := &shop{broker: line.Broker(t), file: filepath.Join(t.TempDir(), name+".sql"), sql: sql, epochRows: epochRows}
	if err := os.WriteFile(s.file, []byte(sql), 0o600); err != nil {
		t.Fatal(err)
	}
	line.Fill(t, s.broker, log)
	s.undisturbed = pgtest.Database(t)
	s.finish(t, s.undisturbed)
	s.want = line.Dump(t, s.undisturbed, name)
	return s
}

// run runs the pipeline to the ends of the partitions, or until it kills
// itself at the armed point, "" for none.
func (s *shop) run(t *testing.T, url, armed string) line.Result {
	t.Helper()
	var env []string
	if armed != "" {
		env = append(env, failpoint.Variable+"="+armed)
	}
	r := line.Run(t, env, "run", s.file, "--until-end", "--brokers", s.broker, "--database-url", url, "--name", name, "--quiet",
		"--commit-interval", "1ms", "--max-epoch-rows", s.epochRows, "--max-commit-rows", commitRows, "--workers", "2", "--listen", "127.0.0.1:0", "--admin-listen", "off")
	if r.Killed {
		if point, _, _ := strings.Cut(armed, ":"); !strings.Contains(r.Stderr, "failpoint "+point+": killed") {
			t.Fatalf("killed by somebody else: %s", r)
		}
		s.kills.Add(1)
		return r
	}
	if r.Code != 0 {
		t.Fatal(r)
	}
	return r
}

// finish runs to the end.
func (s *shop) finish(t *testing.T, url string) {
	t.Helper()
	if r := s.run(t, url, ""); r.Killed {
		t.Fatal(r)
	}
}

// check is what each chain ends with: the oracle judges the tables and the
// ledgers, the invariants hold, and everything is what an undisturbed run
// makes, bit for bit.
func (s *shop) check(t *testing.T, url string) {
	t.Helper()
	if diff := line.Differ(s.want, line.Dump(t, url, name)); diff != "" {
		t.Errorf("not what an undisturbed run makes:\n%s", diff)
	}
	s.judge(t, url)
}

func (s *shop) judge(t *testing.T, url string) {
	t.Helper()
	report := oracle.Check(t, s.oracle(url))
	if len(report.Unchecked) > 0 {
		t.Errorf("the oracle could not check: %v", report.Unchecked)
	}
}

func (s *shop) oracle(url string) oracle.Options {
	return oracle.Options{SQL: s.sql, Pipeline: name, DatabaseURL: url, Brokers: map[string][]string{"kafka": {s.broker}}}
}

func invariants(t *testing.T, url string) {
	t.Helper()
	broken, err := oracle.Invariants(context.Background(), url, name)
	if err != nil || len(broken) > 0 {
		t.Fatalf("invariants: %v %v", err, broken)
	}
}

// points are the names of all failpoints in the source.
func points(t *testing.T) []string {
	t.Helper()
	var out []string
	call := regexp.MustCompile(`failpoint\.Hit\("([^"]+)"\)`)
	err := filepath.WalkDir(filepath.Join(line.Root(), "internal"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range call.FindAllSubmatch(source, -1) {
			out = append(out, string(m[1]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// elsewhere are points that a log of this size does not pass, and the test
// that kills there.
var elsewhere = map[string]string{"upkeep.apply": "TestKilledWhileMergingCommits", "commit.lookups_written": "TestKilledWhileATableChanges",
	"replay.judged": "TestKilledWhileReplaying", "commit.replays_written": "TestKilledWhileReplaying"}

func TestKilledAtEachPoint(t *testing.T) {
	all := points(t)
	if len(all) < 20 {
		t.Fatalf("only %d failpoints are left in the source: %v", len(all), all)
	}
	s := openShop(t)
	s.judge(t, s.undisturbed)
	began := time.Now()
	t.Run("points", func(t *testing.T) {
		for _, point := range all {
			if elsewhere[point] != "" {
				continue
			}
			t.Run(point, func(t *testing.T) {
				t.Parallel()
				if full {
					s.eachPass(t, point)
				} else {
					s.chain(t, point)
				}
			})
		}
	})
	t.Logf("%d kills at %d points in %.0f s", s.kills.Load(), len(all)-len(elsewhere), time.Since(began).Seconds())
}

// prepare makes a database in which the chain of a point begins.
func (s *shop) prepare(t *testing.T, point string) string {
	t.Helper()
	url := pgtest.Database(t)
	if strings.HasPrefix(point, "start.") {
		if r := s.run(t, url, fmt.Sprintf("commit.answered:%d", halfway)); !r.Killed {
			t.Fatalf("the log is done before commit %d", halfway)
		}
	}
	return url
}

// chain kills at the first pass, then, in a run that goes on from there, at
// the second, and so on.
func (s *shop) chain(t *testing.T, point string) {
	url := s.prepare(t, point)
	for pass := 1; ; pass++ {
		if pass > passes {
			s.finish(t, url)
			break
		}
		if r := s.run(t, url, fmt.Sprintf("%s:%d", point, pass)); !r.Killed {
			if pass == 1 {
				t.Fatalf("%s is never passed", point)
			}
			break
		}
		if !strings.HasPrefix(point, "upkeep.migration") {
			invariants(t, url)
		}
	}
	s.check(t, url)
}

// eachPass kills at each pass of a run from the beginning.
func (s *shop) eachPass(t *testing.T, point string) {
	for pass := 1; ; pass++ {
		url := s.prepare(t, point)
		r := s.run(t, url, fmt.Sprintf("%s:%d", point, pass))
		if !r.Killed {
			if pass == 1 {
				t.Fatalf("%s is never passed", point)
			}
			return
		}
		s.finish(t, url)
		s.check(t, url)
		if t.Failed() {
			t.Fatalf("after a kill at %s:%d", point, pass)
		}
	}
}

// TestKilledTwice kills the program again while it starts from what the first
// kill has left.
func TestKilledTwice(t *testing.T) {
	s := openShop(t)
	t.Run("twice", func(t *testing.T) {
		for _, first := range []string{"commit.sent:4", "ingest.applied:9"} {
			for _, second := range []string{"start.generation_raised:1", "start.state_half_read:2", "commit.fence_held:1", "commit.sent:1"} {
				t.Run(first+","+second, func(t *testing.T) {
					t.Parallel()
					url := pgtest.Database(t)
					for _, armed := range []string{first, second, second} {
						if r := s.run(t, url, armed); !r.Killed {
							t.Fatalf("not killed: %s", r)
						}
						invariants(t, url)
					}
					s.finish(t, url)
					s.check(t, url)
				})
			}
		}
	})
}
