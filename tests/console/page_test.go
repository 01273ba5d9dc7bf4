package console

import (
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"vdi-gateway/gateway/rfb/desktop"
	"vdi-gateway/tests/browser"
)

func TestThePageShowsTheDesktop(t *testing.T) {
	g, b := newGateway(t, sample(t)), browser.New(t)
	live(t, b, g)
	got := picture(t, b)
	conn, err := net.Dial("tcp", g.vm)
	if err != nil {
		t.Fatal(err)
	}
	v, err := desktop.NewViewer(conn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = v.Close() }()
	if _, err := v.Update(false); err != nil {
		t.Fatal(err)
	}
	if same := alike(got, v.Image()); same < 0.97 {
		t.Errorf("got a picture of %v with %.0f%% of the pixels of the desktop, want all but the clock and the planets", got.Bounds(), 100*same)
	}
	if got := b.Eval(t, "document.title"); got != "Sample desktop" {
		t.Errorf("title: got %q", got)
	}
	if got := b.Eval(t, "document.activeElement.tagName"); got != "CANVAS" {
		t.Errorf("focus: got %s, want the desktop", got)
	}
	for _, c := range b.Complaints(g.URL) {
		t.Error(c)
	}
}

func TestKeysAndClicksReachTheDesktop(t *testing.T) {
	g, b := newGateway(t, sample(t)), browser.New(t)
	live(t, b, g)
	b.Do(t, chromedp.KeyEvent("Hi 5!"))
	stroke(t, b, "ж", "Semicolon")
	stroke(t, b, "€", "KeyE")
	want := point{700, 400}
	x, y := place(t, b, want)
	b.Do(t, chromedp.MouseClickXY(x, y))
	browser.Eventually(t, "the click", func() bool { s := g.heard(); return len(s.clicks) > 0 })
	s := g.heard()
	if got, want := s.text(), "Hi 5!ж€"; got != want {
		t.Errorf("typed: got %q, want %q", got, want)
	}
	if got := s.clicks[0]; abs(got.x-want.x) > 1 || abs(got.y-want.y) > 1 { // the picture is scaled
		t.Errorf("clicked: got %v, want %v", got, want)
	}
	if down := s.held(); len(down) > 0 {
		t.Errorf("keys %x are still down", down)
	}
	for _, c := range b.Complaints(g.URL) {
		t.Error(c)
	}
}

// A ticket is worth a session: nothing of it is left where somebody might find it.
func TestTheTicketIsLeftNowhere(t *testing.T) {
	g, b := newGateway(t, sample(t)), browser.New(t)
	ticket := g.ticket()
	open(t, b, g.URL+"/console/?lang=ru&token="+ticket+"&x=1")
	reaches(t, b, "live")
	if got, want := b.Eval(t, "location.href"), g.URL+"/console/"; got != want && got != want+"?lang=ru" {
		t.Errorf("the address: got %s, want %s", got, want)
	}
	for _, where := range []string{
		"document.referrer", "JSON.stringify(history.state)", "JSON.stringify({...localStorage})", "JSON.stringify({...sessionStorage})",
		"document.cookie", "document.documentElement.outerHTML", "JSON.stringify(performance.getEntriesByType('resource').map(e => e.name))",
	} {
		if got := b.Eval(t, where); strings.Contains(got, ticket) {
			t.Errorf("%s has the ticket: %s", where, got)
		}
	}
	entries, err := chromedp.Run(b.Context(), chromedp.NavigationEntries())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries.Entries {
		if strings.Contains(e.URL, ticket) {
			t.Errorf("the history has %s", e.URL)
		}
	}
	with := 0
	for _, r := range b.Requests() {
		if strings.Contains(r, ticket) {
			with++
		}
	}
	if with != 1 {
		t.Errorf("%d requests had the ticket in their address, want the first alone", with)
	}
}

// What a page connects to is not for an address to say: whoever sends a link might
// choose a desktop of his own.
func TestOtherParametersAreIgnored(t *testing.T) {
	stranger := newGateway(t, sample(t))
	g, b := newGateway(t, sample(t)), browser.New(t)
	host := strings.TrimPrefix(stranger.URL, "http://")
	name, port, _ := strings.Cut(host, ":")
	open(t, b, g.page()+"&host="+name+"&port="+port+"&path=v3/other/&encrypt=1&password=x&autoconnect=true&url=ws://"+host+"&target="+host+
		"&view_only=1&reconnect=0&logging=debug&repeaterID=1&shared=0&resize=remote#host="+host)
	reaches(t, b, "live")
	if n := stranger.attachments(); n != 0 || len(stranger.paths()) != 0 {
		t.Errorf("the stranger was asked for %q", stranger.paths())
	}
	stroke(t, b, "a", "KeyA")
	browser.Eventually(t, "the key", func() bool { s := g.heard(); return s.text() == "a" }) // not view_only
	for _, c := range b.Complaints(g.URL) {
		t.Error(c)
	}
}

// Without TLS a browser gives a page less. What is left is enough for a desktop.
func TestWithoutTLS(t *testing.T) {
	g := newGateway(t, sample(t))
	b := browser.New(t, chromedp.Flag("host-resolver-rules", "MAP gateway.test 127.0.0.1"))
	base := strings.Replace(g.URL, "127.0.0.1", "gateway.test", 1)
	open(t, b, base+"/console/?token="+g.ticket())
	reaches(t, b, "live")
	if got := b.Eval(t, "isSecureContext + ' ' + typeof navigator.clipboard"); got != "false undefined" {
		t.Fatalf("got %s, want a page without TLS", got)
	}
	stroke(t, b, "a", "KeyA")
	browser.Eventually(t, "the key", func() bool { s := g.heard(); return s.text() == "a" })
	press(t, b, "do-clipboard")
	browser.Eventually(t, "the dialog", func() bool { return focus(t, b) == "clip-text" })
	b.Do(t, chromedp.KeyEvent("text"))
	press(t, b, "clip-send")
	browser.Eventually(t, "the desktop has it", func() bool { s := g.heard(); return slices.Contains(s.cuts, "text") })
	press(t, b, "clip-copy")
	if got := textOf(t, b, "clip-told"); got != "The browser did not allow it: select the text and press Ctrl+C" {
		t.Errorf("the dialog says %q", got)
	}
	for _, c := range b.Complaints(base) {
		// What a browser and noVNC say of every page without TLS.
		if !strings.Contains(c, "Cross-Origin-Opener-Policy") && !strings.Contains(c, "noVNC requires a secure context") {
			t.Error(c)
		}
	}
}

func TestWithTLS(t *testing.T) {
	g, b := newTLSGateway(t, sample(t)), browser.New(t, chromedp.IgnoreCertErrors)
	live(t, b, g)
	cutAndBack(t, b, g)
	if got := slices.DeleteFunc(b.Requests(), func(r string) bool { return !strings.HasPrefix(r, "ws") }); len(got) != 2 || !strings.HasPrefix(got[0], "wss://127.0.0.1:") {
		t.Errorf("got %q, want both WebSockets over TLS", got)
	}
}
