package console

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/coder/websocket"

	"vdi-gateway/tests/browser"
)

// screens are what the page is looked at on.
var screens = map[string]struct{ width, height int }{"desktop": {1280, 800}, "phone": {360, 740}}

func (s look) on(t *testing.T, b *browser.Browser) {
	t.Helper()
	size := screens[s.screen]
	if s.screen == "phone" {
		b.Do(t, chromedp.EmulateViewport(int64(size.width), int64(size.height), chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulateScale(2)))
	} else {
		b.Do(t, chromedp.EmulateViewport(int64(size.width), int64(size.height)))
	}
	b.Scheme(t, s.scheme)
}

type look struct{ screen, scheme, language string }

func (s look) String() string { return s.screen + "-" + s.scheme + "-" + s.language }

// TestLooks goes through all the page can show, on screens large and small. The
// pictures are for people (VDI_SHOTS keeps them); what is tested is that nothing is
// wider than the screen and that nobody complains.
func TestLooks(t *testing.T) {
	for _, s := range []look{{"desktop", "light", "en"}, {"desktop", "dark", "ru"}, {"phone", "light", "ru"}, {"phone", "dark", "en"}} {
		t.Run(s.String(), func(t *testing.T) {
			g, b := newGateway(t, sample(t)), browser.New(t)
			s.on(t, b)
			shot := func(name string) {
				t.Helper()
				browser.Eventually(t, "nothing moves any more", func() bool {
					return b.Eval(t, "document.getAnimations().filter(a => a.constructor.name === 'CSSTransition').length") == "0"
				})
				b.Shot(t, fmt.Sprintf("%s-%s", s, name))
				if got, want := b.Eval(t, "document.documentElement.scrollWidth"), fmt.Sprint(screens[s.screen].width); got != want {
					t.Errorf("%s: the page is %s wide, want %s", name, got, want)
				}
			}
			walk(t, b, g, s.language, shot)
		})
	}
}

// walk leads the page through everything it can show.
func walk(t *testing.T, b *browser.Browser, g *gateway, language string, shot func(string)) {
	t.Helper()
	url := func() string { return g.page() + "&lang=" + language }
	g.pause(true)
	open(t, b, url())
	reaches(t, b, "drawing")
	shot("way")
	g.pause(false)
	reaches(t, b, "live")
	shot("live")
	for _, panel := range []string{"size", "keys"} {
		b.Do(t, chromedp.Evaluate[chromedp.Void]("document.getElementById('do-"+panel+"').click()"))
		shot(panel)
	}
	b.Do(t, chromedp.Evaluate[chromedp.Void]("document.getElementById('do-clipboard').click()"))
	browser.Eventually(t, "the clipboard", func() bool { return b.Eval(t, "document.getElementById('clip').open") == "true" })
	shot("clipboard")
	b.Do(t, chromedp.Evaluate[chromedp.Void]("document.getElementById('clip').close()"))
	g.refuse("/console/resume", refusal{503, "DRAINING"})
	g.cut()
	browser.Eventually(t, "it is lost", func() bool { return strings.Contains("lost checking", at(t, b)) })
	shot("lost")
	g.refuse("/console/resume")
	reaches(t, b, "live")
	g.end(websocket.StatusInternalError, "admin")
	reaches(t, b, "ended")
	shot("admin")
	g.refuse("/console/session", refusal{502, "VM_UNREACHABLE"})
	open(t, b, url())
	reaches(t, b, "ended")
	shot("unreachable")
}
