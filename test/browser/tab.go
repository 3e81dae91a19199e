package browser

import (
	"context"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

const (
	// patience bounds each wait for something that has to appear.
	patience = 60 * time.Second
	// lookEvery is how often a page is asked until it is as awaited.
	lookEvery = 50 * time.Millisecond
)

// chromium finds the browser, or skips the test.
func chromium(t testing.TB) string {
	t.Helper()
	if os.Getenv("MILLSTREAM_TEST_BROWSER") != "required" {
		t.Skip("test/browser/run asks for it, and installs what it needs")
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("there is no Chromium: test/browser/run installs it")
	return ""
}

// tab is one page of a browser.
type tab struct {
	t   testing.TB
	ctx context.Context

	mu       sync.Mutex
	own      string          // the server's host
	problems map[string]bool // what no page may do, guarded by mu
}

// newTab starts a browser that reaches this machine only.
func newTab(t testing.TB, width, height int64, dark bool) *tab {
	t.Helper()
	flags := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium(t)), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("headless", "new"),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("force-color-profile", "srgb"),
		chromedp.Flag("font-render-hinting", "none"),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"),
		chromedp.Flag("disable-features", "Translate,OptimizationHints,MediaRouter,DialMediaRouteProvider,AutofillServerCommunication"),
		chromedp.WindowSize(int(width), int(height)),
	)
	if dark {
		flags = append(flags, chromedp.Flag("blink-settings", "preferredColorScheme=0"))
	}
	allocated, stop := chromedp.NewExecAllocator(context.Background(), flags...)
	ctx, cancel := chromedp.NewContext(allocated)
	b := &tab{t: t, ctx: ctx, problems: map[string]bool{}}
	t.Cleanup(func() {
		cancel()
		stop()
		b.mu.Lock()
		defer b.mu.Unlock()
		for p := range b.problems {
			t.Errorf("a page did what it must not: %s", p)
		}
	})
	chromedp.ListenTarget(ctx, b.watch)
	b.do(log.Enable(), network.Enable(), chromedp.EmulateViewport(width, height))
	return b
}

// watch notes what no page may do.
func (b *tab) watch(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if strings.Contains(e.Entry.Text, "Content Security Policy") {
			b.problems[e.Entry.Text] = true
		}
	case *runtime.EventExceptionThrown:
		b.problems["script error: "+e.ExceptionDetails.Error()] = true
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.APITypeError {
			for _, a := range e.Args {
				b.problems["console.error: "+string(a.Value)] = true
			}
		}
	case *network.EventRequestWillBeSent:
		u, err := url.Parse(e.Request.URL)
		if err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != b.own {
			b.problems["request to "+e.Request.URL] = true
		}
	}
}

func (b *tab) do(actions ...chromedp.Action) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	// The browser is started by the first run, whose context must live on.
	if chromedp.FromContext(b.ctx).Browser == nil {
		ctx = b.ctx
	}
	if err := chromedp.Run(ctx, actions...); err != nil {
		b.t.Fatalf("%v\nthe page: %.3000s", err, b.text())
	}
}

// open shows a page.
func (b *tab) open(address string) {
	b.t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		b.t.Fatal(err)
	}
	b.mu.Lock()
	b.own = u.Host
	b.mu.Unlock()
	// Networks that come and go on the machine, those of containers, make the
	// browser give up what it was loading.
	for range 5 {
		ctx, cancel := context.WithTimeout(b.ctx, patience)
		err = chromedp.Run(ctx, chromedp.Navigate(address))
		cancel()
		if err == nil {
			return
		}
		if !strings.Contains(err.Error(), "ERR_NETWORK_CHANGED") {
			break
		}
	}
	b.t.Fatalf("open %s: %v", address, err)
}

// eval gives what an expression comes to, promises awaited.
func (b *tab) eval(js string, into any) {
	b.t.Helper()
	b.do(chromedp.Evaluate(js, into, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
}

// text is what a person reads on the page.
func (b *tab) text() (out string) {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	_ = chromedp.Run(ctx, chromedp.Evaluate(`document.body?.innerText ?? ''`, &out)) // for an error's text: none is as good
	return out
}

// await waits until an expression holds.
func (b *tab) await(js string) {
	b.t.Helper()
	began := time.Now()
	deadline := began.Add(patience)
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		var holds bool
		b.eval("!!("+js+")", &holds)
		if holds {
			if took := time.Since(began); took > patience/10 {
				b.t.Logf("it took %v until this held: %s", took, js)
			}
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("this never came to hold: %s\nthe page: %.3000s", js, b.text())
		}
		<-ticker.C
	}
}

// reads waits until the page, or the first element that a selector finds, has
// a text.
func (b *tab) reads(selector, text string) {
	b.t.Helper()
	b.await(`[...document.querySelectorAll(` + quote(selector) + `)].some((e) => (e.innerText || e.value || '').includes(` + quote(text) + `))`)
}

// click clicks on the first element that a selector finds and whose text has
// a text.
func (b *tab) click(selector, text string) {
	b.t.Helper()
	b.reads(selector, text)
	b.eval(`[...document.querySelectorAll(`+quote(selector)+`)].find((e) => e.innerText.includes(`+quote(text)+`)).click()`, nil)
}

// fill puts a text into a field as typing would.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.await(`document.querySelector(` + quote(selector) + `)`)
	b.eval(`(() => {
		const field = document.querySelector(`+quote(selector)+`);
		Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), 'value').set.call(field, `+quote(text)+`);
		field.dispatchEvent(new Event('input', { bubbles: true }));
		field.dispatchEvent(new Event('change', { bubbles: true }));
	})()`, nil)
}

func quote(s string) string {
	b, _ := json.Marshal(s) // a string is always fit
	return string(b)
}
