package spark

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/millstream-dev/millstream/internal/kafka"
)

const (
	// defaultMaster runs everything in one JVM, on all cores.
	defaultMaster = "local[*]"
	// jdbcPackage is PostgreSQL's driver; any of version 42 works.
	jdbcPackage = "org.postgresql:postgresql:42.7.14"
	// oldestMajor is Spark's version with the functions that the job uses.
	oldestMajor, oldestMinor = 3, 5
	// versionTimeout bounds `spark-submit --version`, which starts a JVM.
	versionTimeout = time.Minute
	// stopTimeout is how long the application may take to end after it was
	// asked to, before it is killed.
	stopTimeout = 30 * time.Second
)

// SubmitOptions say how the application runs.
type SubmitOptions struct {
	Master     string // empty: local[*]
	Checkpoint string // folder, on a file system that driver and executors see
	Kafka      map[string]kafka.Config
	// DatabaseURL reaches PostgreSQL from driver and executors. It goes through
	// the environment.
	DatabaseURL string
	UntilEnd    bool
	Trigger     time.Duration // least time between micro-batches
	MaxOffsets  int64         // records of a topic in one; 0: no limit
	// Jars is a folder of jars that is taken instead of fetching packages.
	Jars string
	// Conf are further settings of Spark, name=value.
	Conf []string
	// Env is added to the application's environment.
	Env    []string
	Output io.Writer // what Spark prints
}

// Spark is an installation of Apache Spark.
type Spark struct {
	Submit  string // spark-submit
	Version string // 4.2.0
	Scala   string // 2.13
}

var versionPattern = regexp.MustCompile(`version (\d+)\.(\d+)\.(\d+)`)
var scalaPattern = regexp.MustCompile(`Scala version (\d+\.\d+)`)

// Find looks for Spark in SPARK_HOME and on the PATH, and asks for its
// version.
func Find(ctx context.Context) (*Spark, error) {
	s := &Spark{Submit: "spark-submit"}
	if home := os.Getenv("SPARK_HOME"); home != "" {
		s.Submit = filepath.Join(home, "bin", "spark-submit")
	}
	file, err := exec.LookPath(s.Submit)
	if err != nil {
		return nil, fmt.Errorf("spark-submit was not found (%w): install Spark 4 (`pip install pyspark`), or set SPARK_HOME", err)
	}
	s.Submit = file
	if s.installed() {
		return s, s.check()
	}
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, s.Submit, "--version").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s --version: %w\n%s", s.Submit, err, out)
	}
	version, scala := versionPattern.FindStringSubmatch(string(out)), scalaPattern.FindStringSubmatch(string(out))
	if version == nil {
		return nil, fmt.Errorf("%s --version does not tell a version:\n%s", s.Submit, out)
	}
	s.Version = strings.Join(version[1:], ".")
	s.Scala = "2.13"
	if scala != nil {
		s.Scala = scala[1]
	}
	return s, s.check()
}

// corePattern is the jar that tells the version without starting a JVM.
var corePattern = regexp.MustCompile(`spark-core_(\d+\.\d+)-(\d+\.\d+\.\d+)\.jar$`)

// installed reads the version from the installation beside spark-submit: a
// distribution's jars, or those of PyPI's pyspark in the same environment.
func (s *Spark) installed() bool {
	file, err := filepath.EvalSymlinks(s.Submit)
	if err != nil {
		return false
	}
	home := filepath.Dir(filepath.Dir(file))
	for _, pattern := range []string{"jars", "lib/python*/site-packages/pyspark/jars"} {
		found, err := filepath.Glob(filepath.Join(home, pattern, "spark-core_*.jar"))
		if err != nil || len(found) != 1 {
			continue
		}
		if m := corePattern.FindStringSubmatch(found[0]); m != nil {
			s.Scala, s.Version = m[1], m[2]
			return true
		}
	}
	return false
}

func (s *Spark) check() error {
	var major, minor int
	if _, err := fmt.Sscanf(s.Version, "%d.%d.", &major, &minor); err != nil {
		return fmt.Errorf("spark's version %q is not understood: %w", s.Version, err)
	}
	if major < oldestMajor || major == oldestMajor && minor < oldestMinor {
		return fmt.Errorf("spark %s is too old: the job needs %d.%d or newer", s.Version, oldestMajor, oldestMinor)
	}
	return nil
}

// Packages are what spark-submit fetches from Maven.
func (s *Spark) Packages() []string {
	return []string{fmt.Sprintf("org.apache.spark:spark-sql-kafka-0-10_%s:%s", s.Scala, s.Version), jdbcPackage}
}

// Arguments are spark-submit's: nothing secret is among them.
func (s *Spark) Arguments(f Files, o SubmitOptions) ([]string, error) {
	master := o.Master
	if master == "" {
		master = defaultMaster
	}
	args := []string{"--master", master, "--name", "millstream"}
	if o.Jars == "" {
		args = append(args, "--packages", strings.Join(s.Packages(), ","))
	} else {
		jars, err := filepath.Glob(filepath.Join(o.Jars, "*.jar"))
		if err != nil || len(jars) == 0 {
			return nil, fmt.Errorf("no jars in %s", o.Jars)
		}
		args = append(args, "--jars", strings.Join(jars, ","))
	}
	args = append(args, "--py-files", f.Package, "--files", f.Job+","+f.Program)
	for _, c := range o.Conf {
		args = append(args, "--conf", c)
	}
	return append(args, f.Main), nil
}

// Environment is what the application learns beside its description.
func (o SubmitOptions) Environment() ([]string, error) {
	servers := map[string]map[string]string{}
	for name, c := range o.Kafka {
		options, err := kafkaOptions(c)
		if err != nil {
			return nil, fmt.Errorf("kafka server %q: %w", name, err)
		}
		servers[name] = options
	}
	clusters, err := json.Marshal(servers)
	if err != nil {
		return nil, err
	}
	group := ""
	for _, c := range o.Kafka {
		group = c.Group
	}
	return append([]string{
		"MILLSTREAM_SPARK_KAFKA=" + string(clusters), "DATABASE_URL=" + o.DatabaseURL, "KAFKA_GROUP_ID=" + group,
		"SPARK_CHECKPOINT_LOCATION=" + o.Checkpoint, "MILLSTREAM_UNTIL_END=" + strconv.FormatBool(o.UntilEnd),
		fmt.Sprintf("MILLSTREAM_SPARK_TRIGGER=%d milliseconds", max(o.Trigger.Milliseconds(), 0)),
		"MILLSTREAM_SPARK_MAX_OFFSETS=" + strconv.FormatInt(o.MaxOffsets, 10), "PYTHONUNBUFFERED=1",
	}, o.Env...), nil
}

// Run submits the application and waits for its end. When ctx ends it is
// asked to stop, and killed if it does not.
func (s *Spark) Run(ctx context.Context, f Files, o SubmitOptions) error {
	args, err := s.Arguments(f, o)
	if err != nil {
		return err
	}
	env, err := o.Environment()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, s.Submit, args...)
	cmd.Env = append(os.Environ(), env...)
	ownGroup(cmd)
	cmd.Stdout, cmd.Stderr = o.Output, o.Output
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = stopTimeout
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was told to end
		}
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return fmt.Errorf("the Spark application has failed: %w", err)
		}
		return fmt.Errorf("start %s: %w", s.Submit, err)
	}
	return nil
}
