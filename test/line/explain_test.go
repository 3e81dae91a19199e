package line_test

import (
	"strings"
	"testing"

	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/test/line"
)

// explained is the part of explain window's JSON that tests look at.
type explained struct {
	Source      string
	OpenWindows int64 `json:"open_windows"`
	Watermark   string
	WaitsFor    []struct {
		Topic     string
		Partition int32
		Offset    int64
		LastEvent string `json:"last_event"`
		IdleAt    string `json:"idle_at"`
	} `json:"waits_for"`
	Windows []struct {
		Start, End, State string
		Groups            *int64
		NeedsEvent        string `json:"needs_event"`
		ClosesAt          string `json:"closes_at"`
	}
}

// TestExplainWindow asks the running engine and, when it has been killed, the
// database why a window is open: both name the same partition, and the event
// that closes it. An event of that time closes it.
func TestExplainWindow(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("pipeline.sql", strings.Replace(eventsSQL, "topic 'raw_data',", "topic 'raw_data', partitions '1',", 1))
	broker, database := line.Broker(t), pgtest.Database(t)
	run := []string{"run", "pipeline.sql", "-o", "json", "--listen", "127.0.0.1:0", "--brokers", broker, "--database-url", database, "--name", "why"}
	g := p.start(run...)
	r := g.ready()
	listen := strings.TrimPrefix(r.API, "http://")
	ask := func(more ...string) []string {
		return append([]string{"explain", "window", "processed_data", "--listen", listen, "--database-url", database}, more...)
	}
	p.want(0, []string{"no window is open"}, ask()...)
	post(t, r.API+"/v1/topics/raw_data", jsonBody, `{"timestamp": "2024-05-01T12:03:00Z", "type": "a", "value": 1}`)
	awaitBody(t, r.API+meanOfA, `[{"type":"a","value":1,"events":1}]`)
	awaitAnswer(t, r.API+"/v1/pipeline", func(a answer) bool { return strings.Contains(a.body, `"needs_event"`) })

	const needed = "2024-05-01T12:10:00Z"
	check := func(from string, args ...string) {
		t.Helper()
		e := decode[explained](t, p.want(0, nil, ask(append(args, "-o", "json")...)...).out)
		if e.Source != from || e.OpenWindows != 1 || e.Watermark != "2024-05-01T11:58:00Z" || len(e.WaitsFor) != 1 || len(e.Windows) != 1 {
			t.Fatalf("%+v", e)
		}
		if w := e.WaitsFor[0]; w.Topic != "raw_data" || w.Offset != 1 || w.LastEvent != "2024-05-01T12:03:00Z" || w.IdleAt == "" {
			t.Errorf("waits for %+v", w)
		}
		if w := e.Windows[0]; w.Start != "2024-05-01T12:00:00Z" || w.End != "2024-05-01T12:05:00Z" || w.State != "open" || w.NeedsEvent != needed || w.ClosesAt == "" || (w.Groups == nil) != (from == "database") {
			t.Errorf("window %+v", w)
		}
	}
	check("engine")
	check("engine", "2024-05-01 12:04")
	p.want(0, []string{"window 2024-05-01T12:00:00Z to 2024-05-01T12:05:00Z, open, 1 group", "topic raw_data, partition 0, at offset 1", "waits for an event of " + needed, "closes by the clock at"}, ask()...)
	p.want(1, []string{"no event has come for it"}, ask("2024-05-01T13:00:00Z")...)
	p.want(1, []string{"the watermark is at 2024-05-01T11:58:00Z, so it has closed"}, ask("2024-05-01T11:00:00Z")...)
	p.want(2, []string{`did you mean "processed_data"?`}, "explain", "window", "procesed_data", "--listen", listen)
	p.want(2, []string{`"noon" is not a time`}, ask("noon")...)

	_ = g.cmd.Process.Kill()
	<-g.ended
	check("database", "2024-05-01T12:00:00Z")
	p.want(0, []string{"no engine answers; by the last commit", "window 2024-05-01T12:00:00Z to 2024-05-01T12:05:00Z, open\n"}, ask("2024-05-01 12:00", "--name", "why")...)
	p.want(1, []string{`does not know this pipeline`}, ask("--name", "other")...)

	g = p.start(run...)
	r = g.ready()
	post(t, r.API+"/v1/topics/raw_data", jsonBody, `{"timestamp": "`+needed+`", "type": "b", "value": 1}`)
	awaitBody(t, r.API+"/v1/tables/processed_data?select=type,_final&order=type", `[{"type":"a","_final":true},`+"\n"+`{"type":"b","_final":false}]`)
	r.Postgres = database
	if code := g.stop(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, g.err.text())
	}
}
