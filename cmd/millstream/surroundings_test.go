package main

import (
	"net"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/test/line"
)

// surroundings are what golden cases run against.
type surroundings struct {
	broker string
	busy   string // an address that is taken
}

// fewRecords are in topic "few": two groups, and a record that is not JSON.
var fewRecords = []string{`{"at": "2024-01-01", "k": 1}`, `{"at": "2024-01-01", "k": 2}`, `{`}

func openSurroundings(t *testing.T) surroundings {
	t.Helper()
	s := surroundings{broker: line.Broker(t)}
	var records []*kgo.Record
	for _, text := range fewRecords {
		records = append(records, &kgo.Record{Value: []byte(text)})
	}
	line.Fill(t, s.broker, line.Log{"few": {records}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	s.busy = l.Addr().String()
	return s
}
