package spark

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/test/line"
)

// clusterPoll is how often a cluster is asked whether it is where it must be.
const clusterPoll = 100 * time.Millisecond

// TestLostWorker runs the pipeline on a standalone master with two workers.
// While batches go by, one worker dies with its executor and all that runs
// there; the other goes on, and the tables are those of the native engine.
func TestLostWorker(t *testing.T) {
	environment(t)
	c := startCluster(t, 2)
	broker, url := startBroker(t), pgtest.Database(t)
	file := filepath.Join(t.TempDir(), "killed.sql")
	if err := os.WriteFile(file, []byte(killedSQL), 0o600); err != nil {
		t.Fatal(err)
	}
	g := generator{rand.New(rand.NewPCG(11, 5))}
	const partitions, part = 2, 200
	values := g.values(2*part-partitions, partitions)
	send(t, broker, "events", partitions, values[:part])
	env := append(variables(t, broker, url), "SPARK_MASTER="+c.address, "SPARK_CHECKPOINT_LOCATION="+t.TempDir(), "MILLSTREAM_SPARK_MAX_OFFSETS=50")
	args := append([]string{"spark", "submit", file}, settings()...)
	p := line.StartWithin(t, sessionLimit, env, append(args, "--spark-conf", "spark.executor.memory=512m", "--spark-conf", "spark.executor.cores=1",
		"--spark-conf", "spark.executor.extraJavaOptions=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")...)
	ui := banner(t, p)
	awaitExecutors(t, p, ui, 2)
	awaitRead(t, url, p, part/4)
	c.kill(t, 0)
	send(t, broker, "events", partitions, values[part:])
	awaitRead(t, url, p, 2*part)
	awaitExecutors(t, p, ui, 1)
	p.Terminate()
	if r := p.Wait(); r.Code != 0 {
		t.Fatalf("the application ends with %d\n%s", r.Code, last(r.Stderr))
	}
	if r := line.Run(t, env, "run", file, "--until-end", "--name", "native", "--schema", "native"); r.Code != 0 {
		t.Fatalf("native engine: %s", r)
	}
	equalTables(t, url)
}

// cluster is a standalone master and its workers, each in a process group,
// which its executors belong to.
type cluster struct {
	address string
	workers []*exec.Cmd
}

func startCluster(t *testing.T, workers int) *cluster {
	t.Helper()
	python, _ := environment(t)
	dir, ports := t.TempDir(), loopback(t, 2)
	c := &cluster{address: "spark://" + ports[0]}
	start := func(name string, args ...string) *exec.Cmd {
		logged, err := os.Create(filepath.Join(dir, name+".log"))
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(filepath.Join(python, "bin", "spark-class"), args...)
		cmd.Stdout, cmd.Stderr = logged, logged
		cmd.Env = append(os.Environ(), "PATH="+filepath.Join(python, "bin")+string(os.PathListSeparator)+os.Getenv("PATH"),
			"SPARK_LOCAL_IP=127.0.0.1", "SPARK_DAEMON_MEMORY=256m", "SPARK_DAEMON_JAVA_OPTS=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it may have ended
			_ = cmd.Wait()                                      // it was killed
			logged.Close()
			if t.Failed() {
				text, _ := os.ReadFile(logged.Name())
				t.Logf("%s: %s", name, last(string(text)))
			}
		})
		return cmd
	}
	host, port, _ := strings.Cut(ports[0], ":")
	_, page, _ := strings.Cut(ports[1], ":")
	start("master", "org.apache.spark.deploy.master.Master", "--host", host, "--port", port, "--webui-port", page)
	for i := range workers {
		name := "worker" + strconv.Itoa(i)
		c.workers = append(c.workers, start(name, "org.apache.spark.deploy.worker.Worker", "--host", host, "--cores", "1", "--memory", "1g",
			"--webui-port", "0", "--work-dir", filepath.Join(dir, name), c.address))
	}
	var state struct {
		Alive int `json:"aliveworkers"`
	}
	await(t, nil, fmt.Sprintf("%d workers", workers), func() bool {
		return ask("http://"+ports[1]+"/json/", &state) == nil && state.Alive == workers
	})
	return c
}

// kill ends a worker and its executors as a power cut would.
func (c *cluster) kill(t *testing.T, worker int) {
	t.Helper()
	if err := syscall.Kill(-c.workers[worker].Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// awaitExecutors waits until an application has so many executors, by the
// REST interface of Spark's UI.
func awaitExecutors(t *testing.T, p *line.Process, ui string, n int) {
	t.Helper()
	type executor struct {
		ID     string `json:"id"`
		Active bool   `json:"isActive"`
	}
	await(t, p, fmt.Sprintf("%d executors", n), func() bool {
		var applications []struct {
			ID string `json:"id"`
		}
		if ask(ui+"/api/v1/applications", &applications) != nil || len(applications) != 1 {
			return false
		}
		var executors []executor
		if ask(ui+"/api/v1/applications/"+applications[0].ID+"/executors", &executors) != nil {
			return false
		}
		active := 0
		for _, e := range executors {
			if e.Active && e.ID != "driver" {
				active++
			}
		}
		return active == n
	})
}

// ask reads JSON.
func ask(address string, into any) error {
	response, err := http.Get(address) //nolint:noctx // await asks again
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", address, response.Status)
	}
	return json.NewDecoder(response.Body).Decode(into)
}

// await asks until it is so, or an application that must run has ended.
func await(t *testing.T, p *line.Process, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(clusterPoll)
	defer tick.Stop()
	limit := time.After(sessionLimit)
	var ended <-chan struct{}
	if p != nil {
		ended = p.Ended()
	}
	for !so() {
		select {
		case <-tick.C:
		case <-ended:
			t.Fatalf("the application has ended before there were %s: %s", what, last(p.Wait().Stderr))
		case <-limit:
			t.Fatalf("after %v there are not %s", sessionLimit, what)
		}
	}
}
