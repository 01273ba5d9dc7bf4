package console

import (
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"vdi-gateway/tests/browser"
)

// modifiers are the keys that lead out of the desktop.
var modifiers = []struct{ key, code string }{{"Control", "ControlLeft"}, {"Alt", "AltLeft"}, {"Shift", "ShiftLeft"}}

func down(t *testing.T, b *browser.Browser, key, code string) {
	keyEvent(t, b, "rawKeyDown", key, code)
}
func up(t *testing.T, b *browser.Browser, key, code string) { keyEvent(t, b, "keyUp", key, code) }

func keyEvent(t *testing.T, b *browser.Browser, kind input.DispatchKeyEventType, key, code string) {
	t.Helper()
	browser.Call(t, b, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: kind, Key: key, Code: code})
}

// chord presses Ctrl, Alt and Shift together.
func chord(t *testing.T, b *browser.Browser) {
	t.Helper()
	for _, m := range modifiers {
		down(t, b, m.key, m.code)
	}
	for _, m := range modifiers {
		up(t, b, m.key, m.code)
	}
}

func isOpen(t *testing.T, b *browser.Browser) bool {
	t.Helper()
	return b.Eval(t, "document.getElementById('handle').getAttribute('aria-expanded')") == "true"
}

// focus is the id of what has it, or its kind.
func focus(t *testing.T, b *browser.Browser) string {
	t.Helper()
	return b.Eval(t, "document.activeElement.id || document.activeElement.tagName")
}

// hidden waits for the tools to hide by themselves.
func hidden(t *testing.T, b *browser.Browser) {
	t.Helper()
	b.Do(t, chromedp.MouseEvent(chromedp.MouseMoved, 600, 500))
	browser.Eventually(t, "the tools hide", func() bool { return !isOpen(t, b) })
}

func TestTheToolsHide(t *testing.T) {
	t.Parallel() // it waits
	g, b := newGateway(t, sample(t)), browser.New(t)
	live(t, b, g)
	if !isOpen(t, b) {
		t.Error("the tools are hidden from the start, and nobody would know of them")
	}
	hidden(t, b)
	browser.Eventually(t, "they are not to be seen", func() bool {
		return b.Eval(t, "document.getElementById('do-leave').checkVisibility({visibilityProperty: true})") == "false"
	})
	b.Do(t, chromedp.MouseEvent(chromedp.MouseMoved, 600, 5))
	browser.Eventually(t, "the pointer brings them out", func() bool { return isOpen(t, b) })
	hidden(t, b)
	press(t, b, "handle")
	if !isOpen(t, b) && b.Eval(t, "document.getElementById('bar').matches(':hover')") == "true" {
		press(t, b, "handle") // hovering had opened them already
	}
	if !isOpen(t, b) {
		t.Error("the handle does not bring them out")
	}
}

// Whoever has no pointer gets out of the desktop, through all tools, and back.
func TestTheToolsFromTheKeyboard(t *testing.T) {
	t.Parallel() // it waits
	g, b := newGateway(t, sample(t)), browser.New(t)
	live(t, b, g)
	hidden(t, b)
	chord(t, b)
	browser.Eventually(t, "the tools", func() bool { return isOpen(t, b) && focus(t, b) == "do-full" })
	s := g.heard()
	if held := s.held(); len(held) > 0 {
		t.Errorf("keys %x are still down on the desktop", held)
	}
	var passed []string
	for range 7 {
		passed = append(passed, focus(t, b))
		stroke(t, b, "ArrowRight", "ArrowRight")
	}
	if want := []string{"do-full", "do-size", "do-clipboard", "do-keys", "do-cad", "do-leave", "do-full"}; !slices.Equal(passed, want) {
		t.Errorf("got %q, want %q", passed, want)
	}
	for range 4 {
		stroke(t, b, "ArrowLeft", "ArrowLeft") // from the second to the last but two
	}
	b.Do(t, chromedp.KeyEvent(kb.Enter))
	if got := b.Eval(t, "document.getElementById('keys').hidden"); got != "false" || focus(t, b) != "do-keys" {
		t.Errorf("the keys: got hidden %s, focus at %s", got, focus(t, b))
	}
	b.Do(t, chromedp.KeyEvent(kb.Escape)) // the panel
	if got := b.Eval(t, "document.getElementById('keys').hidden"); got != "true" || focus(t, b) != "do-keys" || !isOpen(t, b) {
		t.Errorf("after Escape: got hidden %s, focus at %s", got, focus(t, b))
	}
	b.Do(t, chromedp.KeyEvent(kb.Escape)) // the tools
	if isOpen(t, b) || focus(t, b) != "CANVAS" {
		t.Errorf("after Escape twice: got open %t, focus at %s", isOpen(t, b), focus(t, b))
	}
	stroke(t, b, "q", "KeyQ")
	browser.Eventually(t, "typing goes on", func() bool { s := g.heard(); return s.text() == "q" })
}

func TestSizes(t *testing.T) {
	t.Parallel() // it waits
	g, b := newGateway(t, sample(t)), browser.New(t)
	live(t, b, g)
	shown := func() string {
		return b.Eval(t, "(() => { const r = document.querySelector('#place canvas').getBoundingClientRect(); return Math.round(r.width) + 'x' + Math.round(r.height); })()")
	}
	choose := func(size string) {
		b.Eval(t, "document.querySelector('input[value="+size+"]').click()")
	}
	b.Do(t, chromedp.EmulateViewport(800, 700))
	browser.Eventually(t, "it fits the window", func() bool { return shown() == "800x500" })
	choose("one")
	browser.Eventually(t, "its actual size", func() bool { return shown() == "1024x640" })
	open(t, b, "about:blank")
	live(t, b, g)
	if got := shown(); got != "1024x640" {
		t.Errorf("the next time: got %s, want the size that was chosen", got)
	}
	choose("remote") // which the sample desktop cannot
	browser.Eventually(t, "it fits the window again", func() bool {
		return shown() == "800x500" && b.Eval(t, "document.querySelector('input[value=fit]').checked") == "true"
	})
	if got := textOf(t, b, "note"); got != "This desktop does not change its size" {
		t.Errorf("the page says %q", got)
	}
}

func TestViewOnly(t *testing.T) {
	g, b := newGateway(t, sample(t)), browser.New(t)
	g.answer.ViewOnly = true
	live(t, b, g)
	if got := textOf(t, b, "view-only"); got != "View only" {
		t.Errorf("the mark: got %q", got)
	}
	for _, id := range []string{"do-cad", "do-keys", "do-clipboard", "do-type"} {
		if got := b.Eval(t, "document.getElementById('"+id+"').checkVisibility()"); got != "false" {
			t.Errorf("%s is offered, and could do nothing", id)
		}
	}
	x, y := place(t, b, point{500, 300})
	b.Do(t, chromedp.MouseClickXY(x, y), chromedp.KeyEvent("abc"))
	cutAndBack(t, b, g) // everything before has been sent by then
	if s := g.heard(); len(s.keys)+len(s.clicks) > 0 {
		t.Errorf("got %d keys and %d clicks, want none", len(s.keys), len(s.clicks))
	}
}

func TestFullScreen(t *testing.T) {
	g, b := newGateway(t, sample(t)), browser.New(t)
	live(t, b, g)
	press(t, b, "do-full")
	browser.Eventually(t, "the full screen", func() bool {
		return b.Eval(t, "document.fullscreenElement !== null && document.getElementById('do-full').title") == "Leave full screen"
	})
	press(t, b, "do-full")
	browser.Eventually(t, "the window again", func() bool { return b.Eval(t, "document.fullscreenElement === null") == "true" })
}

func TestLeavingAndComingBack(t *testing.T) {
	g, b := newGateway(t, sample(t)), browser.New(t)
	live(t, b, g)
	press(t, b, "do-leave")
	reaches(t, b, "ended")
	if got := textOf(t, b, "headline"); got != "You are disconnected" {
		t.Errorf("got %q", got)
	}
	browser.Eventually(t, "the gateway sees it", func() bool { g.mu.Lock(); defer g.mu.Unlock(); return len(g.carriers) == 0 })
	press(t, b, "again")
	reaches(t, b, "live")
	for _, c := range b.Complaints(g.URL) {
		t.Error(c)
	}
}

func TestTheQualityIsShown(t *testing.T) {
	g, b := newGateway(t, sample(t)), browser.New(t)
	live(t, b, g)
	browser.Eventually(t, "a round trip", func() bool { return strings.HasSuffix(textOf(t, b, "quality"), " ms") })
	if got := b.Eval(t, "document.getElementById('quality').title"); !strings.HasPrefix(got, "Good connection: ") {
		t.Errorf("got %q", got)
	}
	offline(t, b, true)
	browser.Eventually(t, "no answer", func() bool { return b.Eval(t, "document.getElementById('quality').dataset.level") == "none" })
	offline(t, b, false)
	browser.Eventually(t, "an answer", func() bool { return b.Eval(t, "document.getElementById('quality').dataset.level") == "good" })
}

// On a screen one touches, a picture that is larger is moved by a finger.
func TestThePictureIsMoved(t *testing.T) {
	g, b := newGateway(t, sample(t)), browser.New(t)
	b.Do(t, chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile, chromedp.EmulateTouch))
	live(t, b, g)
	if got := textOf(t, b, "do-move"); got != "" {
		t.Error("a picture that fits can be moved")
	}
	b.Eval(t, "document.querySelector('input[value=one]').click()")
	browser.Eventually(t, "a part of the desktop", func() bool { return picture(t, b).Bounds().Dx() == 360 })
	before := picture(t, b)
	b.Eval(t, "document.getElementById('do-move').click()")
	touch := func(kind input.DispatchTouchEventType, x float64) {
		points := []*input.TouchPoint{}
		if kind != input.DispatchTouchEventTypeTouchEnd {
			points = append(points, &input.TouchPoint{X: x, Y: 400})
		}
		browser.Call(t, b, input.DispatchTouchEvent, input.DispatchTouchEventParams{Type: kind, TouchPoints: points})
	}
	touch(input.DispatchTouchEventTypeTouchStart, 300)
	for x := 290.0; x >= 60; x -= 10 {
		touch(input.DispatchTouchEventTypeTouchMove, x)
	}
	touch(input.DispatchTouchEventTypeTouchEnd, 0)
	browser.Eventually(t, "another part of it", func() bool { return alike(before, picture(t, b)) < 0.95 })
	if s := g.heard(); len(s.clicks) > 0 {
		t.Errorf("the desktop was clicked at %v", s.clicks)
	}
	b.Eval(t, "document.querySelector('input[value=fit]').click()")
	browser.Eventually(t, "all of it", func() bool { return picture(t, b).Bounds().Dx() == width })
	x, y := place(t, b, point{500, 300})
	b.Do(t, chromedp.TapXY(x, y))
	browser.Eventually(t, "a tap is a click", func() bool { s := g.heard(); return len(s.clicks) > 0 })
}
