package browser

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestPictures takes pictures of every page, for people to look at: empty,
// busy and broken, light and dark, wide and narrow.
func TestPictures(t *testing.T) {
	if *pictures == "" {
		t.Skip("-pictures says where to put them")
	}
	if err := os.MkdirAll(*pictures, 0o755); err != nil {
		t.Fatal(err)
	}
	p := start(t, sensors)
	looks := []struct {
		name  string
		width int64
		theme string
	}{{"light", 1280, "light"}, {"dark", 1280, "dark"}, {"narrow", 390, "light"}}
	tabs := make([]*tab, len(looks))
	for i, look := range looks {
		tabs[i] = newTab(t, look.width, 900, false)
		tabs[i].open(p.API + "/")
		tabs[i].eval(`localStorage.setItem('millstream.theme', `+quote(look.theme)+`)`, nil)
	}
	shoot := func(state string, settle string) {
		for i, look := range looks {
			for _, page := range pages {
				tabs[i].open(p.API + page.path)
				tabs[i].await(`document.querySelector('main h1') && !document.querySelector('.loading')`)
				if settle != "" && page.path == "/" {
					tabs[i].await(settle)
				}
				tabs[i].picture(filepath.Join(*pictures, state+"-"+page.name+"-"+look.name+".png"))
			}
		}
	}
	shoot("empty", "")
	fill(p)
	tabs[0].open(p.API + "/quarantine")
	tabs[0].reads(".cause", "decode")
	shoot("busy", `document.querySelectorAll('.plot canvas').length === 8`)
	for i := range tabs {
		tabs[i].open(p.API + "/quarantine")
		tabs[i].click(".cause", "value")
		tabs[i].click(".grid button", "readings")
		tabs[i].await(`document.querySelector('mark')`)
		tabs[i].picture(filepath.Join(*pictures, "open-quarantine-"+looks[i].name+".png"))
		tabs[i].open(p.API + "/")
		tabs[i].reads(".state", "running")
	}
	p.run.Kill()
	for i, look := range looks {
		tabs[i].reads(`[role="alert"]`, "does not answer")
		tabs[i].picture(filepath.Join(*pictures, "broken-pipeline-"+look.name+".png"))
	}
}

// picture writes the whole page as PNG.
func (b *tab) picture(path string) {
	b.t.Helper()
	var png []byte
	b.do(chromedp.FullScreenshot(&png, 100))
	if err := os.WriteFile(path, png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}
