package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/sqlfile"
)

// The stable codes of this package's diagnostics: MS1xxx about statements,
// MS3xxx about queries.
const (
	codeStatement   = "MS1003"
	codeNameTaken   = "MS1004"
	codeViewTouched = "MS1005"
	codeTopicInSQL  = "MS1006"
	codeSchema      = "MS1007"
	codeInsertTopic = "MS1008"

	codeOption       = "MS1101"
	codeOptionValue  = "MS1102"
	codeFormat       = "MS1103"
	codeConstraint   = "MS1104"
	codeServer       = "MS1105"
	codeColumnName   = "MS1106"
	codePath         = "MS1107"
	codeGenerated    = "MS1108"
	codeEventTime    = "MS1109"
	codeTopicShape   = "MS1110"
	codeViewOption   = "MS1201"
	codeViewValue    = "MS1202"
	codeViewShape    = "MS1203"
	codeKeyOption    = "MS1204"
	codeRetention    = "MS1205"
	codeEmitFinal    = "MS1206"
	codeOutputColumn = "MS1207"

	codeRelation     = "MS3001"
	codeColumn       = "MS3002"
	codeAmbiguous    = "MS3003"
	codeJoin         = "MS3004"
	codeDistinct     = "MS3005"
	codeOver         = "MS3006"
	codeOrder        = "MS3007"
	codeSetOperation = "MS3008"
	codeRecursive    = "MS3009"
	codeTumble       = "MS3010"
	codeWindowKind   = "MS3011"
	codeViewOnView   = "MS3012"
	codeUngrouped    = "MS3013"
	codeKeySelected  = "MS3014"
	codeUnbounded    = "MS3015"
	codeAggregate2   = "MS3016"
	codeGroupingSets = "MS3017"
	codeSubquery     = "MS3018"
	codeGroupBy      = "MS3019"
	codeNoFrom       = "MS3020"
	codeWindowMix    = "MS3021"
	codeCondition    = "MS3022"
	codeFromFunction = "MS3023"
	codeNoGroup      = "MS3024"
	codeAlias        = "MS3025"
	codeLookup       = "MS3026"
	codeLookupKey    = "MS3027"
	codeHopColumn    = "MS3028"
)

var codes = map[string]string{
	codeStatement:   "The statement does not belong in a pipeline file: its statements run once, in one transaction, and the file says what is to be there. The message says why and what to write instead.",
	codeNameTaken:   "Two statements of the file make a relation, a server or a column of the same name.",
	codeViewTouched: "The statement would change a materialized view behind the engine's back. A view's table belongs to Millstream: change the view's own statement instead.",
	codeTopicInSQL:  "A topic is not a relation of PostgreSQL, so statements that PostgreSQL runs can't name it. Make a materialized view over the topic and use that.",
	codeSchema:      "All tables of a pipeline live in one schema, chosen when the pipeline is run (--schema); the file can't choose another for a topic or a view.",
	codeInsertTopic: "INSERT INTO a topic is not supported yet: results go to PostgreSQL tables.",

	codeOption:       "A topic, a column or a server has an option that does not exist.",
	codeOptionValue:  "An option of a topic, a column or a server has a value that it can't have.",
	codeFormat:       "The format is not supported: topics hold JSON.",
	codeConstraint:   "Columns of a topic know NOT NULL and GENERATED ALWAYS AS (…) STORED. DEFAULT, CHECK, PRIMARY KEY and the like are refused: a record is what it is, and a rule that filters records belongs into a view's WHERE.",
	codeServer:       "A foreign table names a server that is neither kafka nor made in the file, or a server is not one of Kafka.",
	codeColumnName:   "A topic's column has the name of a metadata column or of another column.",
	codePath:         "OPTIONS (path …) is not a path of members and indexes, such as $.user.id, $.items[0], $.items[-1] or $.\"odd name\".",
	codeGenerated:    "The expression of a generated column can't be used: it names another generated column, a metadata column, or can't be computed from one record.",
	codeEventTime:    "The event_time option must name a column of the topic that is a timestamptz or a timestamp.",
	codeTopicShape:   "A foreign table is written in a form that topics don't know (INHERITS, PARTITION OF, no columns).",
	codeViewOption:   "A materialized view has an option that does not exist.",
	codeViewValue:    "An option of a materialized view has a value that it can't have.",
	codeViewShape:    "A materialized view is written in a form that live views don't know (WITH NO DATA, USING, TABLESPACE).",
	codeKeyOption:    "The key option names something that is no column of the view, or the view has a GROUP BY with another key.",
	codeRetention:    "The retention option needs a column that tells the row's event time: window_start, window_end, the time bucket, or the topic's event time column.",
	codeEmitFinal:    "emit 'final' writes a row when its window closes. A view without a window has no such moment.",
	codeOutputColumn: "A view has two columns of the same name, or one of a name that Millstream or PostgreSQL needs for itself.",

	codeRelation:     "FROM names something that is no topic of this file, nor a subquery or CTE in reach.",
	codeColumn:       "A column is named that the relation does not have.",
	codeAmbiguous:    "A name fits more than one column.",
	codeJoin:         "FROM joins in a way that is not supported. A stream can be joined with tables of PostgreSQL, by JOIN and LEFT JOIN.",
	codeDistinct:     "DISTINCT over events groups by all that is selected, so it needs a window or max_groups, as GROUP BY does. DISTINCT ON keeps the last row of each key, at the top of a view, in the form SELECT DISTINCT ON (k) k, … ORDER BY k, time DESC; the key is selected, the event time comes last.",
	codeOver:         "Window functions (OVER) are not supported yet.",
	codeOrder:        "A view's table has no order and no end: ORDER BY, LIMIT, OFFSET and FOR UPDATE have no meaning in it.",
	codeSetOperation: "Of the set operations only UNION ALL is supported, and only between queries without aggregates.",
	codeRecursive:    "WITH RECURSIVE and statements that write are not supported in a view.",
	codeTumble:       "tumble(…) takes a topic, its event time column, and a constant size without months; hop(…) the same with a constant slide before the size, so that a row is in 1440 windows at most and in one at least; session(…) a constant gap.",
	codeWindowKind:   "A window is of a kind that is not supported. Those that are: tumble(…), hop(…), session(…), date_bin(…), date_trunc(…).",
	codeViewOnView:   "A materialized view reads topics; reading another materialized view is not supported yet.",
	codeUngrouped:    "A column stands outside of an aggregate and not in GROUP BY, so a group has no single value of it. The message is PostgreSQL's.",
	codeKeySelected:  "A view with GROUP BY has the group's key as its table's key, so all GROUP BY columns must be selected.",
	codeUnbounded:    "A GROUP BY without a window holds a group for every value that ever comes: its state has no bound. Group by a window, or say how many groups there may be.",
	codeAggregate2:   "An aggregate over an aggregate needs retractions inside of the engine, which does not have them yet.",
	codeGroupingSets: "GROUPING SETS, CUBE and ROLLUP are not supported.",
	codeSubquery:     "A subquery stands in an expression. Subqueries are supported in FROM.",
	codeGroupBy:      "GROUP BY names a position or an expression that it can't group by.",
	codeNoFrom:       "A view reads topics, so its query must have a FROM.",
	codeWindowMix:    "The branches of a UNION ALL cut time in different ways, so the groups over them have no common window.",
	codeCondition:    "A condition (WHERE, HAVING) is not boolean.",
	codeFromFunction: "FROM calls a function other than tumble, hop and session.",
	codeNoGroup:      "A view that aggregates without GROUP BY has one row and no key to keep it under.",
	codeAlias:        "An alias is missing, or names more columns than there are.",
	codeLookup:       "A table that a stream is joined with must be declared in the file, by CREATE TABLE with its columns and its key, so that the file can be planned without a database. CREATE TABLE IF NOT EXISTS declares a table that is there already and leaves it as it is. Columns of types that views don't know can't be read.",
	codeHopColumn:    "With hop(…) an event is in several windows, and with session(…) its window follows from other events: no event has a window_start and window_end of its own. A query over hop(…) or session(…) groups by them, and can use them above the grouping: in SELECT, in HAVING and in queries around. An expression over single events can't use them.",
	codeLookupKey:    "A join with a table needs an equality between the stream and columns of the table that hold a unique key: then one row at most meets an event, and counts stay what they are. Both sides of the equality must have the same type, since the table is looked up by the bytes of its keys: cast the stream's side.",
}

// Codes describes the stable codes of the diagnostics of this package and of
// package sqlfile.
func Codes() map[string]string {
	all := maps.Clone(codes)
	maps.Copy(all, sqlfile.Codes())
	return all
}

// problem makes a diagnostic.
func problem(code string, pos diag.Position, hint, format string, args ...any) *diag.Diagnostic {
	return &diag.Diagnostic{Code: code, Pos: pos, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// suggest gives "did you mean …?" for a name that isn't there, or what is
// there if none of it is near.
func suggest(name string, candidates []string) string {
	if near := diag.Closest(name, candidates); near != "" && len(name) > 1 {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(candidates) == 0 {
		return ""
	}
	sorted := slices.Sorted(slices.Values(candidates))
	return "there is " + quotedList(sorted)
}

// maxListed is how many names a message lists before it stops.
const maxListed = 12

func quotedList(names []string) string {
	var b strings.Builder
	for i, n := range names {
		if i == maxListed {
			fmt.Fprintf(&b, " and %d more", len(names)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", n)
	}
	return b.String()
}

// failed is the error of something whose diagnostic has been given already.
var failed error = diag.List{}
