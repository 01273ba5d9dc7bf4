package pages

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"vdi-gateway/tests/node"
	"vdi-gateway/tests/xvnc"
)

func (r *rig) plain(t *testing.T, port uint16) xvnc.Desktop {
	t.Helper()
	return xvnc.StartDesktop(t, r.vms.Do, netip.AddrPortFrom(r.vms.Addr(), port), 24, "-SecurityTypes", "None", "-AlwaysShared")
}

func TestWhoMayOnlyWatch(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, nil)
	d := r.plain(t, vmPort)
	b := r.browse(t)
	opens(t, b, r.link(t, d.Addr, map[string]any{"view_only": true}).ConsoleURL)
	xvnc.WantPattern(t, picture(t, b), d.Size, xvnc.Exact)
	if got := textOf(t, b, "view-only"); got != "View only" {
		t.Errorf("the mark: got %q", got)
	}
	events := d.Events(t)
	xvnc.Eventually(t, "xev has its window", func() bool { return strings.Contains(events.Output(), "MapNotify") })
	acts(t, b, "abc")
	d.Paint(t, "#ffffff", "#ffffff") // he sees what changes
	xvnc.Eventually(t, "another picture", func() bool {
		p := picture(t, b)
		red, green, blue, _ := p.At(p.Bounds().Dx()-1, p.Bounds().Dy()-1).RGBA()
		return red&green&blue == 0xffff
	})
	said := events.Output()
	for _, event := range []string{"KeyPress", "ButtonPress", "MotionNotify"} {
		if strings.Contains(said, event) {
			t.Errorf("a %s reached the desktop", event)
		}
	}
}

// TestTwoAtADesktop: both see it where that is allowed, else the second one reads why not.
func TestTwoAtADesktop(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, nil)
	d := r.plain(t, vmPort)
	shared := map[string]any{"shared": true, "vm_id": "a desktop"}
	b := r.browse(t)
	other := b.Tab(t)
	opens(t, b, r.link(t, d.Addr, shared).ConsoleURL)
	opens(t, other, r.link(t, d.Addr, shared).ConsoleURL)
	xvnc.WantPattern(t, picture(t, b), d.Size, xvnc.Exact)
	xvnc.WantPattern(t, picture(t, other), d.Size, xvnc.Exact)
	third := b.Tab(t)
	third.Do(t, chromedp.Navigate(r.link(t, d.Addr, nil).ConsoleURL))
	endsWith(t, third, "Somebody else is at this desktop", "Reconnect")
	for _, tab := range []interface {
		Eval(testing.TB, string) string
	}{b, other} {
		if got := tab.Eval(t, "document.body.dataset.at"); got != "live" {
			t.Errorf("who was there before is %s", got)
		}
	}
	third.Shot(t, "in-use")
}

func TestTheAdministratorEndsASession(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, nil)
	b := r.browse(t)
	opens(t, b, r.link(t, r.sample(t, vmPort), nil).ConsoleURL)
	try(t, r.dispatcher(t, 0).Call(soon(t), http.MethodPost, "/v3/disconnect/", map[string]any{"all": true}, nil))
	endsWith(t, b, "Your administrator ended the session", "")
	away(patience / 20)
	if got := sockets(b); got != 1 {
		t.Errorf("the page attached %d times, want that it stays away", got)
	}
	b.Shot(t, "ended-by-administrator")
}

func TestTheTimeOfASessionIsUp(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, node.Settings{"timeouts": map[string]any{"session_max_s": 3}})
	b := r.browse(t)
	opens(t, b, r.link(t, r.sample(t, vmPort), nil).ConsoleURL)
	endsWith(t, b, "The time for this session is up", "")
}

// TestIdling: a page that asks whether its connection lives does not count as use.
func TestIdling(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, node.Settings{"timeouts": map[string]any{"idle_s": 4}})
	d := r.plain(t, vmPort)
	b := r.browse(t)
	opens(t, b, r.link(t, d.Addr, nil).ConsoleURL)
	endsWith(t, b, "Disconnected, because nothing happened for a long time", "Reconnect")
}

func TestTheSameLinkAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, nil)
	l, b := r.link(t, r.sample(t, vmPort), nil), r.browse(t)
	opens(t, b, l.ConsoleURL)
	second := b.Tab(t)
	second.Do(t, chromedp.Navigate(l.ConsoleURL))
	endsWith(t, second, "This link has been used already", "")
	if got := at(t, b); got != "live" {
		t.Errorf("the first page is %s, want it live", got)
	}
}
