package line_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millstream-dev/millstream/test/line"
)

// topic reads a topic's values, partition by partition.
func topic(t *testing.T, broker, name string) (values []string) {
	t.Helper()
	log, err := line.Read(t.Context(), broker, name)
	if err != nil {
		t.Fatal(err)
	}
	for partition := range int32(len(log)) {
		for _, r := range log[partition] {
			values = append(values, string(r.Key)+" "+string(r.Value))
		}
	}
	return values
}

// TestProduce sends files, standard input and samples.
func TestProduce(t *testing.T) {
	t.Parallel()
	p, broker := newPlace(t), line.Broker(t)
	p.env = append(p.env, "KAFKA_BROKER="+broker)
	p.write("three.ndjson", "{\"k\": \"a\", \"n\": 1}\n\n{\"k\": \"b\", \"n\": {\"m\": 2}}\nnot JSON\n")
	p.write("rows.csv", "k,n,text\na,1,\"x, \"\"y\"\"\"\nb,,é\n")

	cases := []struct {
		name  string
		env   []string
		input string
		args  []string
		code  int
		said  []string
		want  []string
	}{
		{name: "ndjson", args: []string{"three.ndjson", "--key", "k"}, said: []string{"3 events"},
			want: []string{`a {"k": "a", "n": 1}`, `b {"k": "b", "n": {"m": 2}}`, ` not JSON`}},
		{name: "nested_key", args: []string{"three.ndjson", "--key", "n.m", "--count", "2"}, said: []string{"2 events"},
			want: []string{` {"k": "a", "n": 1}`, `2 {"k": "b", "n": {"m": 2}}`}},
		{name: "loop", args: []string{"three.ndjson", "--loop", "--count", "5"}, said: []string{"5 events"},
			want: []string{` {"k": "a", "n": 1}`, ` {"k": "b", "n": {"m": 2}}`, ` not JSON`, ` {"k": "a", "n": 1}`, ` {"k": "b", "n": {"m": 2}}`}},
		{name: "check", args: []string{"three.ndjson", "--check"}, code: 1, said: []string{"three.ndjson:4", "JSON"},
			want: []string{` {"k": "a", "n": 1}`, ` {"k": "b", "n": {"m": 2}}`}},
		{name: "csv", args: []string{"rows.csv", "--key", "k"}, said: []string{"2 events"},
			want: []string{`a {"k":"a","n":1,"text":"x, \"y\""}`, `b {"k":"b","n":null,"text":"é"}`}},
		{name: "stdin", input: "{\"k\": 1}\r\n{\"k\": 2}", args: []string{"-"}, said: []string{"2 events"},
			want: []string{` {"k": 1}`, ` {"k": 2}`}},
		{name: "stdin_csv", input: "k\n7\n", args: []string{"-", "--format", "csv"}, said: []string{"1 event,"}, want: []string{` {"k":7}`}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			args := append([]string{"produce"}, append(c.args, "--topic", c.name)...)
			p.runWith(c.env, c.input, args...).want(t, c.code, c.said...)
			if got := topic(t, broker, c.name); !slices.Equal(got, c.want) {
				t.Errorf("the topic holds\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}

	t.Run("rate", func(t *testing.T) {
		const n, rate = 20, 40
		began := time.Now()
		r := p.run("produce", "--sample", "--topic", "paced", "--count", fmt.Sprint(n), "--rate", fmt.Sprint(rate), "-o", "json")
		r.want(t, 0)
		got := decode[struct {
			Topic          string
			Events, Failed int
			Seconds        float64
		}](t, r.out)
		if least := float64(n-rate/10) / rate; got.Topic != "paced" || got.Events != n || got.Failed != 0 || got.Seconds < least || time.Since(began).Seconds() < least {
			t.Errorf("%+v, want %d events in at least %.2f s", got, n, least)
		}
		if values := topic(t, broker, "paced"); len(values) != n || !strings.Contains(values[0], `"type"`) {
			t.Errorf("the topic holds %q", values)
		}
	})
	t.Run("samples of a pipeline", func(t *testing.T) {
		p.write("pipeline.sql", eventsSQL)
		p.runWith([]string{"KAFKA_TOPIC=raw_data"}, "", "produce", "pipeline.sql", "--sample", "--count", "50", "--seed", "7").want(t, 0, "50 events", "raw_data")
		p.want(0, []string{"raw_data", "50"}, "topics")
		p.runWith([]string{"KAFKA_TOPIC=fallback"}, "{}\n", "produce", "-").want(t, 0, "1 event,", "to fallback")
	})
	t.Run("command lines that say too little", func(t *testing.T) {
		p.want(2, []string{"which topic?", "--topic NAME"}, "produce", "three.ndjson")
		p.want(2, []string{"no such file"}, "produce", "missing.ndjson", "--topic", "x")
		p.want(2, []string{"what is to be sent?"}, "produce", "--topic", "x")
		p.want(2, []string{"only ndjson and csv"}, "produce", "three.ndjson", "--format", "xml", "--topic", "x")
	})
}
