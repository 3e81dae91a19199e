package local

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// send produces one record to a topic that nobody made, through address, and
// reads it back.
func send(t *testing.T, address, topic string) error {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.AllowAutoTopicCreation(), kgo.ConsumeTopics(topic),
		kgo.UnknownTopicRetries(1), kgo.MetadataMinAge(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	r := &kgo.Record{Topic: topic, Value: []byte("v"), Timestamp: time.Unix(0, 0)}
	if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
		return err
	}
	fetches := client.PollFetches(t.Context())
	if err := fetches.Err(); err != nil {
		return err
	}
	if n := fetches.NumRecords(); n != 1 {
		return fmt.Errorf("%d records", n)
	}
	return nil
}

func TestBrokerAddresses(t *testing.T) {
	for _, o := range []BrokerOptions{
		{Port: -1}, {Port: -1, Host: "localhost"}, {Port: -1, Host: "127.0.0.1"},
		{Port: -1, Host: "0.0.0.0", Advertise: "localhost"},
	} {
		b, err := StartBroker(o)
		if err != nil {
			t.Fatal(err)
		}
		_, port, err := net.SplitHostPort(b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		for i, host := range []string{b.Addr(), "localhost:" + port, "127.0.0.1:" + port} {
			if err := send(t, host, fmt.Sprintf("auto-%d", i)); err != nil {
				t.Errorf("%+v, through %s: %v", o, host, err)
			}
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestBrokerTakesTheNextPort(t *testing.T) {
	first, err := StartBroker(BrokerOptions{Port: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	var taken, got int
	fmt.Sscanf(first.Addr(), "127.0.0.1:%d", &taken)
	second, err := StartBroker(BrokerOptions{Port: taken})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	fmt.Sscanf(second.Addr(), "127.0.0.1:%d", &got)
	if got <= taken || got > taken+portTries {
		t.Errorf("port %d, want one soon after %d", got, taken)
	}
}

func TestBrokerFolderIsLocked(t *testing.T) {
	dir := t.TempDir()
	b, err := StartBroker(BrokerOptions{Port: -1, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	var used *InUseError
	if _, err := StartBroker(BrokerOptions{Port: -1, Dir: dir}); !errors.As(err, &used) {
		t.Errorf("a second broker on the folder: %v", err)
	}
	id := clusterID(t, b)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b, err = StartBroker(BrokerOptions{Port: -1, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if got := clusterID(t, b); got != id {
		t.Errorf("the cluster's id was %s, and is %s after a restart", id, got)
	}
}

func clusterID(t *testing.T, b *Broker) string {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	m, err := kadm.NewClient(client).BrokerMetadata(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m.Cluster
}

// TestOldRecordsStay: event times of long ago are no reason to delete.
func TestOldRecordsStay(t *testing.T) {
	b, err := StartBroker(BrokerOptions{Port: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for range 5 {
		r := &kgo.Record{Topic: "old", Value: []byte("v"), Timestamp: time.Unix(0, 0)}
		if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	b.cluster.ApplyRetention()
	starts, err := kadm.NewClient(client).ListStartOffsets(t.Context(), "old")
	if err != nil {
		t.Fatal(err)
	}
	if o, _ := starts.Lookup("old", 0); o.Offset != 0 {
		t.Errorf("the topic begins at %d after retention was applied", o.Offset)
	}
}

func TestNoAutoCreate(t *testing.T) {
	b, err := StartBroker(BrokerOptions{Port: -1, NoAutoCreate: true})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := send(t, b.Addr(), "nobody-made-it"); err == nil {
		t.Error("a topic was made")
	}
}
