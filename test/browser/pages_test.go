package browser

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

var noon = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)

// TestPages does on each page what it is for.
func TestPages(t *testing.T) {
	chromium(t)
	p := start(t, sensors)
	b := newTab(t, 1280, 900, false)
	do := func(name string, act func()) {
		t.Run(name, func(sub *testing.T) {
			b.t, p.t = sub, sub
			defer func() { b.t, p.t = t, t }()
			act()
		})
	}

	do("a record posted over HTTP appears on a chart", func() {
		b.open(p.API + "/tables/minutely")
		b.reads(".empty", "The table is empty")
		p.post("readings", reading(noon, "a", 1)+reading(noon, "b", 2))
		b.await(`document.querySelector('[data-rows="2"]')`)
		b.reads(".u-legend", "a")
		p.post("readings", reading(noon.Add(time.Minute), "a", 3))
		b.await(`document.querySelector('[data-rows="3"]')`)
		b.reads(".u-legend", "a, may change") // its window is open: the line is dashed
	})
	do("pipeline", func() {
		b.open(p.API + "/")
		b.reads("h1", "plant")
		b.reads(".state", "running")
		b.reads(".node", "minutely")
		b.reads(".node", "totals")
		b.await(`document.querySelectorAll('.edges path').length === 3`)
		b.reads(`[aria-label="Open windows"]`, "waits for an event of 2024-05-01T12:02:00Z or later")
		b.await(`document.querySelectorAll('.plot canvas').length === 8`)
	})
	do("rows", func() {
		b.open(p.API + "/tables/minutely?as=rows")
		b.await(`document.querySelectorAll('.grid tbody tr').length === 3`)
		b.fill(".filters form select", "sensor")
		b.fill(".filters form input", "b")
		b.click(".filters form button", "Filter")
		b.await(`document.querySelectorAll('.grid tbody tr').length === 1`)
		b.reads(".asked code", "/v1/tables/minutely?sensor=eq.b&order=window_start.desc&limit=100")
		b.click("th button", "mean")
		b.reads(".asked code", "order=mean.desc")
		b.open(p.API + "/tables/minutely?as=definition")
		b.reads("pre", "CREATE MATERIALIZED VIEW minutely AS")
		b.open(p.API + "/tables/totals")
		b.reads(".bars", "a\t")
	})
	do("topics", func() {
		b.open(p.API + "/topics")
		b.click(".grid a", "readings")
		b.fill(".produce textarea", reading(noon.Add(2*time.Minute), "made by hand", 5))
		b.fill(".produce input", "k7")
		b.click(".produce .primary", "Produce")
		b.reads(".said", "1 record written")
		b.fill(".produce textarea", `{"at": "noon", "sensor": "a"}`)
		b.click(".produce .primary", "Produce")
		b.reads(".said.bad", `invalid input syntax for type timestamp with time zone: "noon"`)
		b.fill(".search input", "k7")
		b.click(".search button", "Search")
		b.await(`document.querySelectorAll('[aria-label="Records of readings"] tbody tr').length === 1`)
		b.reads(`[aria-label="Records of readings"]`, "made by hand")
	})
	do("quarantine", func() {
		b.open(p.API + "/quarantine")
		b.reads(".empty", "Nothing was refused")
		p.produce("readings", `{"at": "2024-05-01T12:02:00Z", "sensor": "ä", "value": "warm"}`, `{"at": "2024-05-01T12:02:00Z", `)
		b.reads(".cause", "decode value")
		b.click(".cause", "decode value")
		b.click(".grid button", "readings")
		b.await(`document.querySelector('mark')?.innerText === '"warm"'`)
		// Mended, it counts: the row says in which tables.
		b.fill(".mend textarea", `{"at": "2024-05-01T12:02:00Z", "sensor": "ä", "value": 21.5}`)
		b.click(".mend button", "Replay as edited")
		b.reads(".mend .said", "Replayed: the record counts in minutely")
		b.await(`!document.querySelector('.mend textarea')`) // what is done is not asked for twice
		rows := p.get("/v1/tables/minutely?sensor=eq.ä&select=n,mean") + p.get("/v1/tables/totals?sensor=eq.ä&select=n")
		if want := `[{"n":1,"mean":21.5}]` + "\n" + `[{"n":1}]` + "\n"; rows != want {
			b.t.Errorf("after the replay: %s, want %s", rows, want)
		}
		// The newest record is put aside, for a reason.
		b.open(p.API + "/quarantine")
		b.click(".grid button", "readings")
		b.reads("dd", "The payload is not what the foreign table says.")
		b.fill(".mend input", "cut off by the sender")
		b.click(".mend button", "Drop")
		b.reads(".mend .said", "Dropped: cut off by the sender")
	})
	do("late rows", func() {
		p.post("readings", reading(noon.Add(time.Hour), "a", 1))
		p.post("readings", reading(noon, "too late", 1))
		b.open(p.API + "/late")
		b.reads(".cause", "watermark")
		b.click(".grid button", "readings")
		b.reads(".payload", "too late")
	})
	do("query", func() {
		b.open(p.API + "/query")
		b.await(`document.querySelector('.editor').shadowRoot?.querySelector('.cm-content')?.innerText.includes('SELECT')`)
		b.eval(`document.querySelector('.editor').shadowRoot.querySelector('.cm-content').focus()`, nil)
		b.do(chromedp.KeyEvent("a", chromedp.KeyModifiers(input.ModifierCtrl)), chromedp.KeyEvent(kb.Delete), chromedp.KeyEvent("SELECT window_start, sensor, n FROM minutely WHERE sensor = 'a' ORDER BY 1"))
		b.click("button", "Run")
		b.await(`document.querySelectorAll('[aria-label="Result"] tbody tr').length >= 2`)
		b.click(".tabs button", "Chart")
		b.await(`document.querySelector('.plot canvas')`)
		b.eval(`document.querySelector('.editor').shadowRoot.querySelector('.cm-content').focus()`, nil)
		// Typed over a selection, the browser would try to keep its style.
		b.do(chromedp.KeyEvent("a", chromedp.KeyModifiers(input.ModifierCtrl)), chromedp.KeyEvent(kb.Delete), chromedp.KeyEvent("DELETE FROM minutely"))
		b.click("button", "Run")
		b.reads(`[role="alert"]`, "MS7301")
	})
	do("keyboard", func() {
		b.open(p.API + "/")
		b.await(`document.querySelector('nav a')`)
		b.eval(`document.querySelector('nav a[href="/topics"]').focus(), document.activeElement.click()`, nil)
		b.reads("h1", "Topics")
		b.await(`document.activeElement === document.querySelector('main')`)
	})
}

// TestKilled kills the program: the page says so, and goes on when it is back.
func TestKilled(t *testing.T) {
	chromium(t)
	p := start(t, sensors)
	b := newTab(t, 1280, 900, false)
	p.post("readings", reading(noon, "a", 1))
	b.open(p.API + "/tables/minutely")
	b.await(`document.querySelector('[data-rows="1"]')`)
	b.reads(".state", "running")
	p.run.Kill()
	b.reads(`[role="alert"]`, "Millstream does not answer")
	b.reads(".state", "unreachable")
	<-p.run.Ended()
	p.again()
	b.reads(".state", "running")
	b.await(`!document.querySelector('[role="alert"]')`)
	p.post("readings", reading(noon, "b", 1))
	b.await(`document.querySelector('[data-rows="2"]')`)
}

// points is how many a chart must bear.
const points = 100_000

// longestTask is a generous bound: the machine's other work counts too. What
// was measured is logged.
const longestTask = 500.0

// TestManyPoints draws 100,000 points and lets commits change them, and looks
// at how long the page was busy at a time.
func TestManyPoints(t *testing.T) {
	chromium(t)
	p := start(t, sensors)
	for first := 0; first < points; first += points / 4 {
		var body strings.Builder
		for i := first; i < first+points/4; i++ {
			body.WriteString(reading(noon.Add(time.Duration(i)*time.Second), "a", float64(i%977)))
		}
		p.post("readings", body.String())
	}
	b := newTab(t, 1280, 900, false)
	b.open(p.API + "/tables/seconds")
	b.await(`document.querySelector('[data-rows="1000"]')`)
	b.eval(`void (window.tasks = [], new PerformanceObserver((l) => tasks.push(...l.getEntries().map((e) => e.duration))).observe({ type: 'longtask' }))`, nil)
	b.eval(`(() => { const s = [...document.querySelectorAll('.filters select')].at(-1); s.value = '100000'; s.dispatchEvent(new Event('change', { bubbles: true })); })()`, nil)
	b.await(fmt.Sprintf(`document.querySelector('[data-rows="%d"]')`, points))
	for i := range 10 {
		p.post("readings", reading(noon.Add(time.Duration(points+i)*time.Second), "a", 500))
		b.await(fmt.Sprintf(`document.querySelector('[data-rows="%d"]')`, points+1+i))
	}
	var longest, draw float64
	var tasks int
	b.eval(`Math.max(0, ...tasks)`, &longest)
	b.eval(`tasks.length`, &tasks)
	b.eval(`Math.max(0, ...performance.getEntriesByName('chart').map((e) => e.duration))`, &draw)
	t.Logf("%d points, 11 frames: %d tasks over 50 ms, the longest %.0f ms; setting the chart's data took %.0f ms at most", points, tasks, longest, draw)
	if longest > longestTask {
		t.Errorf("the page was busy for %.0f ms at a time, want at most %.0f", longest, longestTask)
	}
}
