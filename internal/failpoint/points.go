package failpoint

import "slices"

// points are all names that Hit is called with, and what has just happened
// there. A test compares them with the source.
var points = map[string]string{
	"start.config_read":       "the pipeline's definition is known, nothing was touched",
	"start.generation_raised": "older engines are fenced, nothing was read",
	"start.offsets_read":      "the position was read",
	"start.state_half_read":   "a part of the state was read, passed once for each",
	"start.state_read":        "all state was read, nothing is fetched yet",

	"ingest.fetched":         "records came from Kafka",
	"ingest.decoded":         "a batch was decoded",
	"ingest.applied":         "its rows are in the operators' state",
	"ingest.watermark_moved": "an epoch's decisions about time were made",

	"closing.portion":        "a part of the windows that are due was closed, the rest is left to the next commit",
	"commit.before_begin":    "the transaction is about to begin",
	"commit.fence_held":      "the pipeline's row is locked and was checked",
	"commit.mid_copy":        "half of the rows of a COPY were encoded, or none of few rows was sent",
	"commit.merged":          "result rows are in their tables",
	"commit.ledgers_written": "quarantined and late rows are in theirs",
	"commit.state_written":   "operator state was written",
	"commit.lookups_written": "a new version of a table that is looked up was written",
	"commit.row_written":     "the row of commits was written",
	"commit.sent":            "COMMIT has left, its answer was not read",
	"commit.answered":        "COMMIT was answered",
	"commit.not_yet_swapped": "the engine has the answer and has not gone on to the next epoch",

	"replay.judged":          "replays were read and judged, and wait for their commit",
	"commit.replays_written": "what became of replays is in their table, in the open transaction",

	"upkeep.expiry":    "rows of a view are about to expire",
	"upkeep.migration": "before, between and after migrations of the schema",
	"upkeep.apply":     "a run of old commits was merged, in an open transaction",
}

// List gives the names of all points, sorted.
func List() []string {
	names := make([]string, 0, len(points))
	for name := range points {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Meaning tells what has just happened at a point, "" if there is none of that
// name.
func Meaning(name string) string { return points[name] }
