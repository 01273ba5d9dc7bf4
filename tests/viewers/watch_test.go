package viewers

import (
	"errors"
	"image"
	"net/netip"
	"testing"

	"vdi-gateway/gateway/rfb/desktop"
	"vdi-gateway/tests/xvnc"
)

// person sits at a screen that is a VNC server itself: what he types and clicks there
// reaches a viewer as from a keyboard and a mouse.
type person struct {
	screen xvnc.Desktop
	hands  *desktop.Viewer
}

func (r *rig) person(t *testing.T) person {
	t.Helper()
	s := xvnc.StartDesktop(t, r.client.Do, netip.AddrPortFrom(r.client.Addr(), 6001), 24, "-SecurityTypes", "None", "-geometry", "1024x768")
	conn, err := r.client.Dial(netip.Addr{}, s.Addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	hands, err := desktop.NewViewer(conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hands.Close() })
	s.Paint(t, "#000000", "#000000")
	return person{s, hands}
}

// sees waits until the picture of a desktop is on the screen, and returns where.
func (p person) sees(t *testing.T, d xvnc.Desktop) (at image.Point) {
	t.Helper()
	xvnc.Eventually(t, "the viewer shows what was drawn", func() bool {
		if _, err := p.hands.Update(false); err != nil {
			t.Fatal(err)
		}
		var ok bool
		at, ok = xvnc.Find(p.hands.Image(), d.Size, xvnc.Exact)
		return ok
	})
	return at
}

// acts clicks at a place and types a letter.
func (p person) acts(t *testing.T, at image.Point) {
	t.Helper()
	if err := errors.Join(
		p.hands.Pointer(at.X, at.Y, 0), p.hands.Pointer(at.X, at.Y, 1), p.hands.Pointer(at.X, at.Y, 0), p.hands.Key('x'),
	); err != nil {
		t.Fatal(err)
	}
}

func TestWhoMayWatchCannotAct(t *testing.T) {
	r := newRig(t, false)
	d, p := r.locked(t), r.person(t)
	watching := xvnc.View(t, r.client.Do, p.screen.Display, r.once(r.open(t, d.Addr, map[string]any{"vm_password": vmPassword, "view_only": true})))
	at := p.sees(t, d).Add(image.Pt(300, 200))
	events := d.Events(t)
	xvnc.Eventually(t, "xev has its window", func() bool { return hasAll(events.Output(), []string{"MapNotify"}) })
	for range 20 {
		p.acts(t, at)
	}
	// Its last words come after all that it passed on before.
	watching.Stop()
	r.journal(t, "session closed")
	if said := events.Output(); hasAll(said, []string{"KeyPress"}) || hasAll(said, []string{"ButtonPress"}) || hasAll(said, []string{"MotionNotify"}) {
		t.Errorf("what was typed by who may only watch was heard:\n%s", said)
	}
	// The same person, the same desktop, allowed to.
	xvnc.View(t, r.client.Do, p.screen.Display, r.once(r.open(t, d.Addr, entered())))
	for _, word := range []string{"KeyPress", "ButtonPress"} {
		xvnc.Eventually(t, "xev sees a "+word, func() bool {
			p.acts(t, at)
			return hasAll(events.Output(), []string{word})
		})
	}
}

// What changes on the desktop is seen by who watches, too.
func TestWhoWatchesSeesChanges(t *testing.T) {
	r := newRig(t, false)
	d, p := r.locked(t), r.person(t)
	d.Paint(t, "#123456", "#654321")
	xvnc.View(t, r.client.Do, p.screen.Display, r.once(r.open(t, d.Addr, map[string]any{"view_only": true, "vm_password": vmPassword})))
	r.journal(t, "session opened")
	d.Paint(t, "#ff8040", "#0040c0")
	p.sees(t, d)
}
