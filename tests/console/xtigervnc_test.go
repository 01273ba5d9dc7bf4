package console

import (
	"image/color"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"vdi-gateway/tests/browser"
)

func newX(t *testing.T, password string) (xserver, *gateway, *browser.Browser) {
	t.Helper()
	x := startX(t, password)
	g := newGateway(t, x.addr)
	g.answer.Desktop = ""
	return x, g, browser.New(t)
}

func TestXtigervncIsSeen(t *testing.T) {
	x, g, b := newX(t, "")
	x.run(t, "", "xsetroot", "-solid", "#3366cc")
	live(t, b, g)
	browser.Eventually(t, "its colour", func() bool {
		r, g, b, _ := picture(t, b).At(400, 300).RGBA()
		return color.RGBA{uint8(r), uint8(g), uint8(b), 255} == color.RGBA{0x33, 0x66, 0xcc, 0xff}
	})
	x.run(t, "", "xsetroot", "-solid", "#cc6633")
	browser.Eventually(t, "another one", func() bool {
		r, _, _, _ := picture(t, b).At(400, 300).RGBA()
		return uint8(r) == 0xcc
	})
	// The gateway had no name for it, so the desktop's own is used.
	if got := b.Eval(t, "document.title"); !strings.Contains(got, "Xtigervnc") {
		t.Errorf("title: got %q, want the desktop's name", got)
	}
	for _, c := range b.Complaints(g.URL) {
		t.Error(c)
	}
}

func TestAnXClientIsTypedOnAndClicked(t *testing.T) {
	x, g, b := newX(t, "")
	w := x.xev(t)
	live(t, b, g)
	px, py := place(t, b, point{350, 250})
	b.Do(t, chromedp.MouseClickXY(px, py), chromedp.KeyEvent("a"), chromedp.KeyEvent(kb.F5))
	stroke(t, b, "ж", "Semicolon")
	for _, words := range []string{"ButtonPress", "(keysym 0x61, a)", "(keysym 0xffc2, F5)", "Cyrillic_zhe"} {
		browser.Eventually(t, "xev sees "+words, func() bool { return w.has(words) })
	}
}

func TestXtigervncChangesItsSize(t *testing.T) {
	t.Parallel() // it waits
	_, g, b := newX(t, "")
	live(t, b, g)
	size := func() string {
		return b.Eval(t, "(c => c.width + 'x' + c.height)(document.querySelector('#place canvas'))")
	}
	if got := size(); got != "800x600" {
		t.Fatalf("got %s, want its own size first", got)
	}
	b.Do(t, chromedp.EmulateViewport(1000, 700))
	b.Eval(t, "document.querySelector('input[value=remote]').click()")
	browser.Eventually(t, "the size of the window", func() bool { return size() == "1000x700" })
	b.Do(t, chromedp.EmulateViewport(900, 650))
	browser.Eventually(t, "the size of the window again", func() bool { return size() == "900x650" })
	b.Eval(t, "new Promise(done => setTimeout(done, 3000))") // longer than it has to follow
	if got := b.Eval(t, "document.querySelector('input[value=remote]').checked"); got != "true" {
		t.Error("the page says that this desktop does not change its size")
	}
}

func TestADesktopThatAsksForAPassword(t *testing.T) {
	_, g, b := newX(t, "secret12")
	signIn := func(password string) {
		t.Helper()
		browser.Eventually(t, "the question", func() bool { return b.Eval(t, "document.getElementById('ask').open") == "true" })
		if got := b.Eval(t, "document.activeElement.name"); got != "password" {
			t.Errorf("the focus is at %q, want the one field that is asked for", got)
		}
		b.Do(t, chromedp.KeyEvent(password+kb.Enter))
	}
	open(t, b, g.page())
	signIn("wrong")
	reaches(t, b, "ended")
	if got := textOf(t, b, "headline"); got != "The desktop refused to let you in" {
		t.Errorf("got %q", got)
	}
	press(t, b, "again")
	signIn("secret12")
	reaches(t, b, "live")
	cutAndBack(t, b, g)
	if got := b.Eval(t, "document.getElementById('ask').open"); got != "false" {
		t.Error("the user is asked again for what he said before")
	}
	open(t, b, "about:blank")
	open(t, b, g.page())
	browser.Eventually(t, "the question", func() bool { return b.Eval(t, "document.getElementById('ask').open") == "true" })
	b.Do(t, chromedp.KeyEvent(kb.Escape))
	reaches(t, b, "ended")
	if got := textOf(t, b, "headline"); got != "You are disconnected" {
		t.Errorf("after Escape: got %q", got)
	}
}

func TestTheClipboardOfXtigervnc(t *testing.T) {
	need(t, "xclip")
	x, g, b := newX(t, "")
	permit(t, b, g)
	live(t, b, g)
	x.run(t, "от рабочего стола", "xclip", "-selection", "clipboard", "-in")
	browser.Eventually(t, "what was copied there is here", func() bool {
		return b.Eval(t, "navigator.clipboard.readText()") == "от рабочего стола"
	})
	if got := b.Eval(t, "document.getElementById('clip-text').value"); got != "от рабочего стола" {
		t.Errorf("the dialog has %q", got)
	}
	b.Eval(t, "navigator.clipboard.writeText('to the desktop, ёж €')")
	b.Eval(t, "(document.activeElement.blur(), document.querySelector('#place canvas').focus())")
	browser.Eventually(t, "what was copied here is there", func() bool {
		return x.run(t, "", "xclip", "-selection", "clipboard", "-out") == "to the desktop, ёж €"
	})
	for _, c := range b.Complaints(g.URL) {
		t.Error(c)
	}
}
