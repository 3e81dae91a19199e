package browser

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millstream-dev/millstream/test/line"
)

// pages are all pages of the pipeline sensors.
var pages = []struct{ name, path, shows string }{
	{"pipeline", "/", "Last commits"},
	{"tables", "/tables", "minutely"},
	{"chart", "/tables/minutely", "rows"},
	{"rows", "/tables/minutely?as=rows", "Copy as curl"},
	{"definition", "/tables/minutely?as=definition", "CREATE MATERIALIZED VIEW"},
	{"bars", "/tables/totals", "n by sensor"},
	{"topics", "/topics", "readings"},
	{"topic", "/topics/readings", "Last records"},
	{"quarantine", "/quarantine", "decode"},
	{"late", "/late", "watermark"},
	{"query", "/query", "Run"},
}

// TestAccessible runs axe-core over every page, light and dark, wide and
// narrow.
func TestAccessible(t *testing.T) {
	chromium(t)
	axe, err := os.ReadFile(filepath.Join(line.Root(), "web/node_modules/axe-core/axe.min.js"))
	if err != nil {
		if os.Getenv("MILLSTREAM_TEST_BROWSER") == "required" {
			t.Fatal(err)
		}
		t.Skip("there is no axe-core: test/browser/run installs it")
	}
	p := start(t, sensors)
	fill(p)
	for _, look := range []struct {
		name  string
		width int64
		theme string
	}{{"light", 1280, "light"}, {"dark", 1280, "dark"}, {"narrow", 390, "light"}, {"narrow dark", 390, "dark"}} {
		b := newTab(t, look.width, 900, false)
		b.open(p.API + "/")
		b.eval(`localStorage.setItem('millstream.theme', `+quote(look.theme)+`)`, nil)
		for _, page := range pages {
			b.open(p.API + page.path)
			b.reads("main", page.shows)
			var found []string
			b.eval(string(axe)+`; axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] })
				.then((r) => r.violations.flatMap((v) => v.nodes.map((n) => v.id + ': ' + n.html.slice(0, 200) + ' ' + n.failureSummary)))`, &found)
			for _, f := range found {
				t.Errorf("%s, %s: %s", page.name, look.name, f)
			}
			var wide bool
			b.eval(`document.documentElement.scrollWidth > innerWidth`, &wide)
			if wide {
				t.Errorf("%s, %s: the page is wider than the window", page.name, look.name)
			}
		}
	}
}

// fill gives every page something to show.
func fill(p *program) {
	p.t.Helper()
	var body strings.Builder
	for i := range 400 {
		at := noon.Add(time.Duration(i) * 3 * time.Second)
		for j, sensor := range []string{"boiler", "intake", "outlet"} {
			body.WriteString(reading(at, sensor, float64(20+10*j)+5*float64((i*(j+3))%17)/17))
		}
	}
	p.post("readings", body.String())
	p.post("readings", reading(noon, "boiler", 1))
	p.produce("readings", `{"at": "2024-05-01T12:02:00Z", "sensor": "ä", "value": "warm"}`, `{"at": "2024-05-01T12:02:00Z", `, `{"sensor": "boiler", "value": 3}`)
}
