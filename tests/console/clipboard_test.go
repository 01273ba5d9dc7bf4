package console

import (
	"slices"
	"testing"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"vdi-gateway/tests/browser"
)

func TestAClipboardByHand(t *testing.T) {
	g, b := newGateway(t, sample(t)), browser.New(t)
	live(t, b, g)
	press(t, b, "do-clipboard")
	browser.Eventually(t, "the dialog", func() bool { return focus(t, b) == "clip-text" })
	b.Do(t, chromedp.KeyEvent("by hand"))
	press(t, b, "clip-send")
	browser.Eventually(t, "the desktop has it", func() bool { s := g.heard(); return slices.Contains(s.cuts, "by hand") })
	if got := textOf(t, b, "clip-told"); got != "Sent to the desktop" {
		t.Errorf("the dialog says %q", got)
	}
	b.Do(t, chromedp.KeyEvent(kb.Escape))
	browser.Eventually(t, "the desktop has the focus again", func() bool { return focus(t, b) == "CANVAS" })
	if s := g.heard(); len(s.keys) > 0 {
		t.Errorf("got keys %v on the desktop, want what was typed into the dialog to stay there", s.keys)
	}
}

// permit lets the page of a gateway read and write the clipboard.
func permit(t *testing.T, b *browser.Browser, g *gateway) {
	t.Helper()
	// A clipboard is for a page that has the focus of its system.
	browser.Call(t, b, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	for _, name := range []string{"clipboard-read", "clipboard-write"} {
		browser.CallBrowser(t, b, cdpbrowser.SetPermission, cdpbrowser.SetPermissionParams{
			Origin: g.URL, Permission: &cdpbrowser.PermissionDescriptor{Name: name}, Setting: cdpbrowser.PermissionSettingGranted,
		})
	}
}

// What was copied elsewhere is on the desktop as soon as that is looked at again.
func TestAClipboardByItself(t *testing.T) {
	g, b := newGateway(t, sample(t)), browser.New(t)
	permit(t, b, g)
	live(t, b, g)
	b.Eval(t, "navigator.clipboard.writeText('by itself')")
	b.Eval(t, "(document.activeElement.blur(), document.querySelector('#place canvas').focus())")
	browser.Eventually(t, "the desktop has it", func() bool { s := g.heard(); return slices.Contains(s.cuts, "by itself") })
	for range 3 {
		b.Eval(t, "(document.activeElement.blur(), document.querySelector('#place canvas').focus())")
	}
	cutAndBack(t, b, g)
	s := g.heard()
	if n := len(slices.DeleteFunc(s.cuts, func(c string) bool { return c != "by itself" })); n > 1 {
		t.Errorf("it was sent %d times, want once", n)
	}
}
