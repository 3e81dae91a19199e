package engine

import (
	"strings"
	"testing"
)

func TestParseLoss(t *testing.T) {
	for _, text := range []string{"orders/0:100-199", "a.b-c_d/12:0-0", "x/2147483647:0-4611686018427387903"} {
		l, err := ParseLoss(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if l.String() != text {
			t.Errorf("%s is read as %s", text, l)
		}
	}
	if l, _ := ParseLoss("orders/3:100-199"); l != (AcceptedLoss{"orders", 3, OffsetRange{100, 200}}) {
		t.Errorf("got %+v", l)
	}
	for text, want := range map[string]string{
		"": "write TOPIC/PARTITION:FIRST-LAST", "orders": "write TOPIC", "orders/0": "write TOPIC", "orders/0:1": "write TOPIC", "/0:1-2": "write TOPIC", "orders/:1-2": "write TOPIC",
		"orders/x:1-2": "write TOPIC", "orders/-1:1-2": "write TOPIC", "orders/0:-1-2": "write TOPIC", "orders/0:1-": "write TOPIC", "orders/4294967296:1-2": "write TOPIC",
		"orders/0:1-9223372036854775807": "write TOPIC", "orders/0:5-4": "ends before it begins",
	} {
		if l, err := ParseLoss(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v; want an error with %q", text, l, err, want)
		}
	}
}
