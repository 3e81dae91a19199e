package spark

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/internal/pipeline"
	"github.com/millstream-dev/millstream/internal/postgres"
	"github.com/millstream-dev/millstream/test/line"
)

// TestFunctions runs the job's own suite, pytest, on a local session.
func TestFunctions(t *testing.T) {
	python, jars := environment(t)
	url := pgtest.Database(t)
	dir := filepath.Join(line.Root(), "internal", "spark", "job")
	def, err := pipeline.Load(filepath.Join(dir, "tests", "tests.sql"), "tests", "")
	if err != nil {
		t.Fatal(err)
	}
	db, err := postgres.Open(t.Context(), postgres.Config{URL: url, Pipeline: "tests"})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Deploy(t.Context(), def.Plan, "no cluster"); err != nil {
		t.Fatal(err)
	}
	drivers, err := filepath.Glob(filepath.Join(jars, "postgresql-*.jar"))
	if err != nil || len(drivers) != 1 {
		t.Fatalf("PostgreSQL's driver in %s: %v %v", jars, drivers, err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(python, "bin", "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(),
		"PYTHONPATH="+dir, "PYTHONDONTWRITEBYTECODE=1", "MILLSTREAM_PROGRAM="+line.Binary(t), "DATABASE_URL="+url, "SPARK_LOCAL_IP=127.0.0.1",
		"PYSPARK_PYTHON="+filepath.Join(python, "bin", "python"), "PYSPARK_SUBMIT_ARGS=--jars "+drivers[0]+" pyspark-shell")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
