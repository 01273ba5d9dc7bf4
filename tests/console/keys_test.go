package console

import (
	"fmt"
	"slices"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"vdi-gateway/tests/browser"
)

// Keysyms that the tests ask for.
const (
	symControl = 0xffe3
	symAlt     = 0xffe9
	symDelete  = 0xffff
	symEscape  = 0xff1b
	symF5      = 0xffc2
)

func TestKeysThatAKeyboardLacks(t *testing.T) {
	t.Parallel() // it waits
	g, b := newGateway(t, sample(t)), browser.New(t)
	live(t, b, g)
	press(t, b, "do-cad")
	browser.Eventually(t, "Ctrl-Alt-Del", func() bool { s := g.heard(); return len(s.keys) >= 6 })
	s := g.heard()
	want := []key{{symControl, true}, {symAlt, true}, {symDelete, true}, {symDelete, false}, {symAlt, false}, {symControl, false}}
	if !slices.Equal(s.keys, want) {
		t.Errorf("got %v, want %v", s.keys, want)
	}
	press(t, b, "do-keys")
	before := len(s.keys)
	button := func(label string) {
		t.Helper()
		b.Eval(t, fmt.Sprintf("[...document.querySelectorAll('#keys button')].find(b => b.textContent === %q).click()", label))
	}
	button("Ctrl")
	button("F5")
	if got := b.Eval(t, "document.querySelector('#keys button[aria-pressed=true]').getAttribute('aria-label')"); got != "Ctrl, hold down" {
		t.Errorf("the key that is held: got %q", got)
	}
	button("Ctrl")
	button("Esc")
	browser.Eventually(t, "the keys", func() bool { s := g.heard(); return len(s.keys) >= before+6 })
	s = g.heard()
	want = []key{{symControl, true}, {symF5, true}, {symF5, false}, {symControl, false}, {symEscape, true}, {symEscape, false}}
	if got := s.keys[before:]; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A key that goes up while something else has the focus is up on the desktop too.
func TestNoKeyStaysDown(t *testing.T) {
	g, b := newGateway(t, sample(t)), browser.New(t)
	live(t, b, g)
	down(t, b, "Control", "ControlLeft")
	press(t, b, "do-clipboard")
	up(t, b, "Control", "ControlLeft")
	browser.Eventually(t, "Ctrl is up", func() bool { s := g.heard(); return len(s.keys) >= 2 && len(s.held()) == 0 })
}

// A keyboard on the screen writes into a text box: what it completes and corrects
// is pressed on the desktop.
func TestAKeyboardOnTheScreen(t *testing.T) {
	g, b := newGateway(t, sample(t)), browser.New(t)
	b.Do(t, chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile, chromedp.EmulateTouch))
	live(t, b, g)
	press(t, b, "do-type")
	browser.Eventually(t, "a text box has the focus", func() bool { return focus(t, b) == "typing" })
	write := func(text string) { browser.Call(t, b, input.InsertText, input.InsertTextParams{Text: text}) }
	write("fish")
	for range 2 {
		stroke(t, b, "Backspace", "Backspace")
	}
	write("ve да")
	stroke(t, b, "Enter", "Enter")
	browser.Eventually(t, "the text", func() bool { s := g.heard(); return s.text() == "fish⌫⌫ve да⏎" })
	browser.Eventually(t, "no key is down", func() bool { s := g.heard(); return len(s.held()) == 0 })
}
