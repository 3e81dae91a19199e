package contender

import (
	_ "embed"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
)

//go:embed spark/peer.py
var sparkProgram []byte

// SparkSettings are what Spark runs with beyond its defaults. Its state store
// is the one that keeps groups in memory, which is the default's.
var SparkSettings = map[string]string{
	"spark.master":                                   "local[2]",
	"spark.driver.memory":                            "2g",
	"spark.driver.extraJavaOptions":                  "-XX:+UseParallelGC -Duser.timezone=UTC",
	"spark.sql.shuffle.partitions":                   "2",
	"spark.sql.session.timeZone":                     "UTC",
	"spark.ui.enabled":                               "false",
	"spark.ui.showConsoleProgress":                   "false",
	"spark.sql.streaming.metricsEnabled":             "false",
	"spark.sql.streaming.noDataMicroBatches.enabled": "false",
}

// SparkBatches is how many batches a topic is read in: the first of them ends
// where a drain begins to be timed.
const SparkBatches = 5

// SparkConfig tells the program what to do.
type SparkConfig struct {
	Kind, Workload          string
	Broker, Topic, Database string
	Table                   string // of the result
	Folder                  string // for its checkpoint
	BatchEvents             int64  // of a batch, at most
	Settings                map[string]string
}

// SparkCommand gives the command that runs the program with a Spark that
// test/spark/install has made, and completes what it is told. The program is
// written into the folder.
func SparkCommand(installation string, c *SparkConfig) ([]string, error) {
	jars, err := filepath.Glob(filepath.Join(installation, "jars", "*.jar"))
	if err != nil || len(jars) == 0 {
		return nil, fmt.Errorf("no jars of Spark's connectors in %s", installation)
	}
	file := filepath.Join(c.Folder, "peer.py")
	if err := os.WriteFile(file, sparkProgram, 0o644); err != nil {
		return nil, err
	}
	c.Settings = maps.Clone(SparkSettings)
	c.Settings["spark.jars"] = strings.Join(jars, ",")
	return []string{filepath.Join(installation, "python", "bin", "python"), file}, nil
}

// ResultTable is the statement that makes a workload's table: of the shape
// that everybody writes, or, for rows that are appended, without its key.
func ResultTable(workload string, keyed bool) (string, error) {
	sql, ok := map[string]string{"Y": yahooTable, "S": skeletonTable}[workload]
	if !ok {
		return "", fmt.Errorf("there is no table for workload %q", workload)
	}
	if keyed {
		return sql, nil
	}
	columns, _, _ := strings.Cut(sql, ",\n    UNIQUE")
	return columns + ")", nil
}

// LastRows leaves of appended rows the last one of each key, as far as that
// can be told: counts only grow.
const LastRows = `DELETE FROM processed_data AS t USING processed_data AS later
WHERE later."timestamp" = t."timestamp" AND later.type = t.type AND later.events > t.events`
