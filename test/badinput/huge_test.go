package badinput

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/internal/codec/hostile"
	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/test/line"
)

// TestHugeRecords sends records at and beyond the limit of 64 MiB. The
// oracle is left out: it would put them to PostgreSQL, whose limits are
// others.
func TestHugeRecords(t *testing.T) {
	if testing.Short() {
		t.Skip("300 MB of records")
	}
	var records []kind
	for _, r := range hostile.Huge() {
		records = append(records, ofHostile(r))
	}
	log, at := lay(records)
	broker := line.Broker(t)
	deliver(t, broker, log, hugeBytes)
	url := pgtest.Database(t)
	r := run(t, broker, url)
	if r.Code != 0 {
		t.Fatal(r)
	}
	t.Logf("at most %d MiB of memory", r.MaxRSS>>20)
	if r.MaxRSS > hugeMemory {
		t.Errorf("took %d MiB of memory, more than %d", r.MaxRSS>>20, hugeMemory>>20)
	}
	account(t, url, log, at)
}

// TestCompressedManifold sends batches that grow a thousandfold when they are
// decompressed: those within 64 MiB are read; one beyond is not, its record
// goes to quarantine, and what lies behind it is read.
func TestCompressedManifold(t *testing.T) {
	for _, codec := range []struct {
		name  string
		codec kgo.CompressionCodec
	}{{"gzip", kgo.GzipCompression()}, {"snappy", kgo.SnappyCompression()}, {"lz4", kgo.Lz4Compression()}, {"zstd", kgo.ZstdCompression()}} {
		t.Run(codec.name, func(t *testing.T) {
			broker := line.Broker(t)
			client, err := line.Client(broker, kgo.ProducerBatchCompression(codec.codec))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			limit := fmt.Sprint(32 << 20)
			if _, err := kadm.NewClient(client).CreateTopic(t.Context(), 1, 1, map[string]*string{"max.message.bytes": &limit}, "raw_data"); err != nil {
				t.Fatal(err)
			}
			record := func(size int) *kgo.Record {
				head := `{` + stamp + `, "type": "big", "x": "`
				return &kgo.Record{Topic: "raw_data", Timestamp: recordTime, Value: append(append([]byte(head), bytes.Repeat([]byte("x"), size-len(head)-2)...), `"}`...)}
			}
			for _, r := range []*kgo.Record{record(100), record(60 << 20), record(100), record(80 << 20), record(100)} {
				if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			url := pgtest.Database(t)
			r := run(t, broker, url)
			if r.Code != 0 {
				t.Errorf("a batch beyond the limit: %s", r)
			}
			t.Logf("at most %d MiB of memory: %s", r.MaxRSS>>20, r.Stderr)
			if r.MaxRSS > hugeMemory {
				t.Errorf("took %d MiB of memory, more than %d", r.MaxRSS>>20, hugeMemory>>20)
			}
			rows := line.Rows(line.Dump(t, url, name))
			if rows["everything"] != 4 {
				t.Errorf("%d records were counted, not the 4 around the batch", rows["everything"])
			}
			if rows["quarantine"] != 1 {
				t.Errorf("%d records are in quarantine, not the one of the batch", rows["quarantine"])
			}
		})
	}
}
