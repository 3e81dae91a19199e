package doctor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/millstream-dev/millstream/internal/spark"
)

const (
	// leastJava runs every Spark that the job runs on; Spark 4 needs it.
	leastJava = 17
	// programTimeout bounds `java -version` and `python3 --version`.
	programTimeout = 20 * time.Second
)

// spark examines what submitting to Spark needs on this machine.
func (x *examination) spark(ctx context.Context) {
	x.java(ctx)
	x.python(ctx)
	switch s, err := spark.Find(ctx); {
	case err != nil:
		x.fail("spark.version", "pip install pyspark, or set SPARK_HOME to a Spark 4 (3.5 is the oldest that works)", "%v", err)
	default:
		x.fine("spark.version", "Spark %s (Scala %s), %s", s.Version, s.Scala, s.Submit)
		x.jars(s)
	}
	if x.Config.Spark.Checkpoint == "" {
		x.fail("spark.checkpoint", "set SPARK_CHECKPOINT_LOCATION to a folder that driver and executors see, and keep it", "where Spark's checkpoint lives is not said")
	} else {
		x.fine("spark.checkpoint", "checkpoint in %s", x.Config.Spark.Checkpoint)
	}
	if x.Definition == nil {
		return
	}
	for _, p := range spark.Portability(x.Definition.Plan) {
		if p.Verdict == spark.NotPortable {
			x.fail("spark.pipeline", "run it on the native engine, or leave this out: `millstream validate FILE --engine spark` has the whole report", "%s:%d %s", x.Definition.Path, p.Line, p)
		}
	}
}

// jars says where the connector and the driver come from.
func (x *examination) jars(s *spark.Spark) {
	dir := x.Config.Spark.Jars
	if dir == "" {
		x.fine("spark.jars", "fetched from Maven at the start: %s", strings.Join(s.Packages(), ", "))
		return
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.jar"))
	if err != nil || len(found) == 0 {
		x.fail("spark.jars", "put Spark's Kafka connector and PostgreSQL's driver there, or unset MILLSTREAM_SPARK_JARS: they are fetched from Maven then", "no jars in %s", dir)
		return
	}
	x.fine("spark.jars", "%d jars in %s", len(found), dir)
}

// javaVersion finds the version in what `java -version` prints: "17.0.12",
// "21", and "1.8.0_412" of old.
var javaVersion = regexp.MustCompile(`version "(?:1\.)?(\d+)`)

func (x *examination) java(ctx context.Context) {
	program := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		program = filepath.Join(home, "bin", "java")
	}
	cure := fmt.Sprintf("install Java %d (a JRE does), or set JAVA_HOME", leastJava)
	text, err := run(ctx, program, "-version")
	if err != nil {
		x.fail("spark.java", cure, "Java was not found: %v", err)
		return
	}
	m := javaVersion.FindStringSubmatch(text)
	if m == nil {
		x.unknown("spark.java", cure, "%s -version does not tell a version: %.200s", program, text)
		return
	}
	major, _ := strconv.Atoi(m[1]) // digits
	if major < leastJava {
		x.warn("spark.java", cure, "Java is %d; Spark 4 needs %d", major, leastJava)
		return
	}
	x.fine("spark.java", "Java %d, %s", major, program)
}

// python looks for what runs the job's driver.
func (x *examination) python(ctx context.Context) {
	program := "python3"
	for _, name := range []string{"PYSPARK_DRIVER_PYTHON", "PYSPARK_PYTHON"} {
		if p := os.Getenv(name); p != "" {
			program = p
			break
		}
	}
	text, err := run(ctx, program, "--version")
	if err != nil {
		x.fail("spark.python", "install Python 3, or set PYSPARK_PYTHON", "Python was not found: %v", err)
		return
	}
	x.fine("spark.python", "%s, %s", strings.TrimSpace(text), program)
}

func run(ctx context.Context, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, programTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	return string(out), err
}
