package gateway

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vdi-gateway/gateway/relay"
)

const (
	home   = "127.0.0.5"
	abroad = "127.0.0.6"
)

func fromHome() netip.Addr { return netip.MustParseAddr(home) }

// shows opens the console of a ticket.
func (r *rig) shows(ticket Secret, client string) Console {
	r.t.Helper()
	c, err := r.OpenConsole(r.t.Context(), ticket, netip.MustParseAddr(client))
	if err != nil {
		r.t.Fatalf("console: %v", err)
	}
	return c
}

func (r *rig) resumes(c Console, client string) Console {
	r.t.Helper()
	fresh, err := r.ResumeConsole(r.t.Context(), c.Resume, netip.MustParseAddr(client))
	if err != nil {
		r.t.Fatalf("resume: %v", err)
	}
	if fresh.ID != c.ID || fresh.Cookie == c.Cookie || fresh.Resume == c.Resume {
		r.t.Errorf("got %+v after %+v, want fresh secrets of the same session", fresh, c)
	}
	return fresh
}

func (r *rig) resumeRefused(c Console, client string, want error) {
	r.t.Helper()
	_, err := r.ResumeConsole(r.t.Context(), c.Resume, netip.MustParseAddr(client))
	refusedWith(r.t, err, want)
}

func ofAda(q *TicketRequest) { q.User, q.VMID = "ada", "desktop-17" }

func TestConsoleOfATicket(t *testing.T) {
	r, vm := newRig(t, needTickets), newEcho(t)
	ticket := r.ticket(vm.addr, ofAda)
	c := r.shows(ticket, home)
	if c.Desktop != "desktop-17" || c.User != "ada" || c.ViewOnly || c.Shared || len(c.Cookie) != 43 || len(c.Resume) != 43 {
		t.Errorf("got %+v", c)
	}
	_, err := r.OpenConsole(t.Context(), ticket, fromHome())
	refusedWith(t, err, ErrUsed)
	says(t, r.attach(c.Cookie, home), "hello")
	r.attachRefused(c.Cookie, home, ErrUsed)
	if now, _ := r.the(c.ID); now.Protocol != "vnc" || now.Mode != ModeWebSocket {
		t.Errorf("got %+v, want vnc over a WebSocket", now)
	}
	_, err = r.OpenConsole(t.Context(), "no such ticket", fromHome())
	refusedWith(t, err, ErrTicketUnknown)
	_, err = r.OpenConsole(t.Context(), r.ticket(vm.addr, func(q *TicketRequest) { q.Protocol = "spice" }), fromHome())
	refusedWith(t, err, ErrInvalid)
}

func TestConsoleGivesTheTicketBack(t *testing.T) {
	r, vm := newRig(t, needTickets), newEcho(t)
	ticket := r.ticket(vm.addr)
	vm.listener.Close()
	for range 2 {
		_, err := r.OpenConsole(t.Context(), ticket, fromHome())
		refusedWith(t, err, ErrVMUnreachable)
	}
	if n := r.Health().Used; n != 0 {
		t.Errorf("%d connections are left behind", n)
	}
}

func TestConsoleOfAConnection(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	g := r.granted(home, vm.addr, overWebSocket)
	for range 2 { // until it is used
		if c := r.shows(g.Token, abroad); c.Cookie != g.Token || c.Resume != "" || c.ID != g.ID {
			t.Errorf("got %+v, want the token of the connection", c)
		}
	}
	says(t, r.attach(g.Token, abroad), "hello")
	_, err := r.OpenConsole(t.Context(), g.Token, fromHome())
	refusedWith(t, err, ErrUsed)
	port := r.granted(home, vm.addr)
	_, err = r.OpenConsole(t.Context(), port.Token, netip.MustParseAddr(abroad))
	refusedWith(t, err, ErrForbidden)
}

func TestConsoleResumes(t *testing.T) {
	r, vm := newRig(t, needTickets), newEcho(t)
	c := r.shows(r.ticket(vm.addr, ofAda), home)
	v := r.attach(c.Cookie, home)
	says(t, v, "hello")
	fresh := r.resumes(c, abroad) // another network, and nobody knows yet that v is dead
	says(t, v, "still there")
	w := r.attach(fresh.Cookie, abroad)
	says(t, w, "back")
	v.told(t, 1011, ReasonReplaced)
	if now, _ := r.the(c.ID); now.Client != netip.MustParseAddr(abroad) {
		t.Errorf("the client is %s, want where it is now", now.Client)
	}
	r.resumeRefused(c, home, ErrForbidden) // the former token, after the fresh cookie was used
	r.resumes(fresh, home)
}

// An answer that never came leaves the page with its former token.
func TestFormerResumeTokenUntilTheCookieIsUsed(t *testing.T) {
	r, vm := newRig(t, needTickets), newEcho(t)
	c := r.shows(r.ticket(vm.addr), home)
	r.attach(c.Cookie, home).Close()
	first := r.resumes(c, home)
	second := r.resumes(c, home)
	r.attachRefused(first.Cookie, home, ErrTokenUnknown)
	r.resumeRefused(first, home, ErrForbidden)
	says(t, r.attach(second.Cookie, home), "hello")
	r.resumeRefused(c, home, ErrForbidden)
}

func TestResumeAfterAFailedAttach(t *testing.T) {
	r, vm := newRig(t, needTickets), newEcho(t)
	c := r.shows(r.ticket(vm.addr), home)
	vm.listener.Close()
	r.attachRefused(c.Cookie, home, ErrVMUnreachable)
	c = r.resumes(c, home)
	r.attachRefused(c.Cookie, home, ErrVMUnreachable)
	r.resumes(c, home)
}

func TestResumeOfABoundTicket(t *testing.T) {
	r, vm := newRig(t, needTickets), newEcho(t)
	c := r.shows(r.ticket(vm.addr, func(q *TicketRequest) { q.Client = fromHome() }), home)
	r.resumeRefused(c, abroad, ErrForbidden)
	r.resumes(c, "::ffff:127.0.0.5")
}

func TestDisconnectEndsResuming(t *testing.T) {
	r, vm := newRig(t, needTickets), newEcho(t)
	c := r.shows(r.ticket(vm.addr), home)
	says(t, r.attach(c.Cookie, home), "hello")
	if _, _, err := r.Disconnect(t.Context(), Selector{All: true}, ""); err != nil {
		t.Fatal(err)
	}
	r.resumeRefused(c, home, ErrForbidden)
}

func TestResumeIsForAWhile(t *testing.T) {
	r, vm := newRig(t, needTickets), newEcho(t)
	c := r.shows(r.ticket(vm.addr), home)
	r.attach(c.Cookie, home).Close()
	r.audit.closed(t, c.ID, relay.ClientClosed)
	r.mu.Lock()
	gr := r.reg.grants[c.ID]
	left, later := time.Until(gr.expires), gr.expires
	r.mu.Unlock()
	if left > resumeTime || left < resumeTime-patience {
		t.Errorf("the page may come back for %s, want %s", left, resumeTime)
	}
	_, err := r.resume(c.Resume, fromHome(), later)
	refusedWith(t, err, ErrExpired)
}

// The maximum session counts from its first connection, however often it comes back.
func TestResumeNeverBeyondTheMaximumSession(t *testing.T) {
	t.Parallel()
	r, vm := newRig(t, needTickets), newEcho(t)
	c := r.shows(r.ticket(vm.addr, func(q *TicketRequest) { q.SessionMax = 1500 * time.Millisecond }), home)
	began := time.Now()
	r.attach(c.Cookie, home).Close()
	for i := 0; ; i++ {
		fresh, err := r.ResumeConsole(t.Context(), c.Resume, fromHome())
		if err != nil {
			if i < 2 {
				t.Errorf("it came back %d times only", i)
			}
			break
		}
		c = fresh
		a, err := r.Attach(t.Context(), c.Cookie, fromHome())
		if err != nil { // its end came just now
			continue
		}
		v := r.serve(a)
		time.Sleep(200 * time.Millisecond) // a page that loses its connection again and again
		v.Close()
		if time.Since(began) > 1500*time.Millisecond+2*idleLook+prompt {
			t.Fatal("it comes back after its end")
		}
	}
}

func TestTwoAttachesAtOnce(t *testing.T) {
	r, vm := newRig(t, needTickets), newEcho(t)
	for range 50 {
		c := r.shows(r.ticket(vm.addr, func(q *TicketRequest) { q.Desktop.Shared = true }), home)
		var won atomic.Int32
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				if a, err := r.Attach(t.Context(), c.Cookie, fromHome()); err == nil {
					won.Add(1)
					r.serve(a)
				}
			})
		}
		both.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d attaches won, want one", won.Load())
		}
	}
}

func TestSecondViewer(t *testing.T) {
	r, vm := newRig(t, needTickets), newEcho(t)
	first := r.attach(r.shows(r.ticket(vm.addr, ofAda), home).Cookie, home)
	says(t, first, "hello")
	second := r.ticket(vm.addr)
	_, err := r.OpenConsole(t.Context(), second, netip.MustParseAddr(abroad))
	refusedWith(t, err, ErrInUse)
	shared := r.attach(r.shows(r.ticket(vm.addr, func(q *TicketRequest) { q.Desktop.Shared = true }), abroad).Cookie, abroad)
	says(t, shared, "beside it")
	says(t, first, "still here")
	says(t, r.attach(r.shows(r.ticket(newEcho(t).addr), abroad).Cookie, abroad), "another desktop")

	again := r.shows(r.ticket(vm.addr, ofAda), home) // the same person at the same place
	_, err = r.Attach(t.Context(), again.Cookie, fromHome())
	refusedWith(t, err, ErrInUse) // the one who shares is there
	shared.Close()
	eventually(t, "the other one is gone", func() bool { return r.audit.count(EventClose) > 0 })
	says(t, r.attach(again.Cookie, home), "hello")
	first.told(t, 1011, ReasonReplaced)
}

// The token that a refused viewer held is not used up.
func TestSecondViewerComesWhenTheFirstHasLeft(t *testing.T) {
	r, vm := newRig(t, needTickets), newEcho(t)
	first := r.attach(r.shows(r.ticket(vm.addr), home).Cookie, home)
	says(t, first, "hello")
	ticket := r.ticket(vm.addr)
	_, err := r.OpenConsole(t.Context(), ticket, netip.MustParseAddr(abroad))
	refusedWith(t, err, ErrInUse)
	first.Close()
	eventually(t, "the first one is gone", func() bool { return r.audit.count(EventClose) == 1 })
	says(t, r.attach(r.shows(ticket, abroad).Cookie, abroad), "hello")
}

func TestConsoleAtEveryNode(t *testing.T) {
	f, vm := newFleet(t, 3), newEcho(t)
	a, b := f.node(0), f.node(1)
	ticket := a.ticket(vm.addr, ofAda)
	c := a.shows(ticket, home)
	says(t, a.attach(c.Cookie, home), "hello")
	f.told.Wait()
	if at := b.Elsewhere("", c.Resume); at != f.addrs[0] {
		t.Errorf("node 1 sends the page to %s, want node 0", at)
	}
	other := b.ticket(vm.addr)
	_, err := b.OpenConsole(t.Context(), other, netip.MustParseAddr(abroad))
	refusedWith(t, err, ErrInUse)

	f.stop(0)
	f.told.Wait() // what it said last
	var heir int
	for i := range f.addrs { // any of the others may be asked; the heir is the one that serves
		if i > 0 && !f.node(i).Elsewhere("", c.Resume).IsValid() {
			heir = i
		}
	}
	if heir == 0 {
		t.Fatal("no node serves the session of the dead one")
	}
	fresh := f.node(heir).resumes(c, abroad)
	says(t, f.node(heir).attach(fresh.Cookie, abroad), "back")
	f.told.Wait()
	f.node(3-heir).resumeRefused(c, home, ErrForbidden)
}
