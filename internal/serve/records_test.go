package serve

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/millstream-dev/millstream/internal/kafka"
)

// TestTopics looks into a topic with a record that its foreign table does not
// read, over a real broker.
func TestTopics(t *testing.T) {
	l := broker(t)
	admin, err := kafka.NewAdmin(kafka.Config{Brokers: l.cluster.ListenAddrs()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	f := start(t, database(t), func(c *Config) { c.Pipeline, c.Producer, c.Topics = events(), ToKafka(l.Producer), admin })
	for _, d := range l.SendAll(t.Context(), []kafka.Outgoing{
		{Topic: "raw", Key: []byte("k"), Value: []byte("\xff")},
		{Topic: "raw", Value: nil},
	}) {
		if d.Err != nil {
			t.Fatal(d.Err)
		}
	}
	status, body, _ := f.get("/v1/topics")
	var list topicsAnswer
	if err := json.Unmarshal([]byte(body), &list); err != nil || status != 200 || len(list.Topics) == 0 {
		t.Fatalf("%d %s", status, body)
	}
	for _, topic := range list.Topics {
		if topic.Topic == "raw" && (len(topic.Partitions) != 1 || topic.Partitions[0].End != 2 || len(topic.Tables) == 0 || len(topic.Tables[0].Columns) == 0) {
			t.Errorf("raw: %+v", topic)
		}
	}
	status, body, _ = f.get("/v1/topics/raw/records?limit=5")
	for _, want := range []string{`"key":"k"`, `"value":{"base64":"/w=="}`, `"value":null`, `"fault":{"position":`, `"complete":true`} {
		if status != 200 || !strings.Contains(body, want) {
			t.Errorf("%d %s lacks %s", status, body, want)
		}
	}
	if status, body, _ := f.get("/v1/topics/raw/records?key=k"); status != 200 || strings.Count(body, `"partition"`) != 1 {
		t.Errorf("by key: %d %s", status, body)
	}
	for path, want := range map[string]int{"/v1/topics/none/records": 404, "/v1/topics/raw/records?offset=3": 400, "/v1/topics/raw/records?limit=9999": 422, "/v1/topics/raw/records?from=yesterday": 422} {
		if status, body, _ := f.get(path); status != want {
			t.Errorf("%s: %d %s, want %d", path, status, body, want)
		}
	}
	bare := start(t, database(t), func(c *Config) { c.Pipeline = events() })
	if status, body, _ := bare.get("/v1/topics"); status != 200 || !strings.Contains(body, "no connection to Kafka") {
		t.Errorf("without Kafka: %d %s", status, body)
	}
	if status, _, _ := bare.get("/v1/topics/raw/records"); status != 503 {
		t.Errorf("records without Kafka: %d", status)
	}
}
