package gateway

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"vdi-gateway/gateway/relay"
	"vdi-gateway/gateway/rfb"
)

// vacant checks that a node lets a second person have the console of a desktop.
func (r *rig) vacant(vm *machine, changes ...func(*TicketRequest)) {
	r.t.Helper()
	_, err := r.OpenConsole(r.t.Context(), r.ticket(vm.addr, changes...), netip.MustParseAddr(abroad))
	if err != nil {
		r.t.Errorf("a second person got %v, want the desktop that nobody is at", err)
	}
}

// Somebody whose viewer fails before it sees the desktop is not at it, for other nodes
// either.
func TestViewerThatFailsIsNotAtTheDesktop(t *testing.T) {
	f, vm := newFleet(t, 2), newLocked(t)
	a, b := f.node(0), f.node(1)
	enter := func(q *TicketRequest) { q.Desktop.Password = vmPassword }
	c := a.shows(a.ticket(vm.addr, ofAda, enter), home)
	v := a.attach(c.Cookie, home)
	_, _ = v.Write([]byte("GET / HTTP/1.1\r\n"))
	eventually(t, "the viewer is sent away", func() bool { return len(a.audit.of(c.ID)) == 1 })
	f.told.Wait()
	b.vacant(vm, enter)
}

// A node that was killed and came back serves nobody of those before.
func TestRestartedNodeHasNobodyAtItsDesktops(t *testing.T) {
	f, vm := newFleet(t, 2), newEcho(t)
	a, b := f.node(0), f.node(1)
	c := a.shows(a.ticket(vm.addr, ofAda), home)
	says(t, a.attach(c.Cookie, home), "hello")
	f.kill(0)
	f.start(0)
	f.told.Wait()
	b.vacant(vm)
}

func TestADesktopByAllItsNames(t *testing.T) {
	addr, vm := loopbackOf(t), newEcho(t)
	r := startRig(t, addr, configFor(addr), Deps{Resolve: func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{vm.addr.Addr()}, nil
	}})
	named := func(q *TicketRequest) { q.VMAddr = "desktop-17.example.com" }
	says(t, r.attach(r.shows(r.ticket(vm.addr, named), home).Cookie, home), "hello")
	for name, by := range map[string]func(*TicketRequest){
		"its address": func(*TicketRequest) {}, "its full name": func(q *TicketRequest) { q.VMAddr = "Desktop-17.example.com." },
	} {
		_, err := r.OpenConsole(t.Context(), r.ticket(vm.addr, by), netip.MustParseAddr(abroad))
		if err == nil {
			t.Errorf("by %s: a second person is let in", name)
			continue
		}
		refusedWith(t, err, ErrInUse)
	}
}

// A password that was guessed at too often stays spent when its node dies.
func TestGuessesAreKnownToTheHeir(t *testing.T) {
	f, vm := newFleet(t, 2), newLocked(t)
	a := f.node(0)
	g := a.granted("127.0.0.5", vm.addr, entering)
	for i := range passcodeGuesses {
		_, _, _ = a.views(g, rfb.Config{Password: "guessing"})
		eventually(t, "it is told", func() bool { return len(a.audit.of(g.ID)) == i+1 })
	}
	f.kill(0)
	c, err := f.at(1, g)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, _, err := rfb.Connect(t.Context(), c, rfb.Config{Password: rfb.Secret(g.Password)}); err == nil {
		t.Error("the heir takes a password that was guessed at too often")
	}
}

// A user who asks again while a channel is open goes on with his session, and its maximum
// goes on, too.
func TestMaximumSessionOfSeveralChannels(t *testing.T) {
	r, vm := newRig(t, needTickets), newEcho(t)
	several := func(q *TicketRequest) { q.User, q.Channels, q.SessionMax = "ada", 4, time.Hour }
	first := r.shows(r.ticket(vm.addr, several), home)
	v := r.attach(first.Cookie, home)
	says(t, v, "hello")
	again := r.shows(r.ticket(vm.addr, several), home)
	w := r.attach(again.Cookie, home)
	says(t, w, "hello")
	v.Close()
	w.Close()
	r.audit.closed(t, again.ID, relay.ClientClosed)
	r.mu.Lock()
	defer r.mu.Unlock()
	if until := r.reg.grants[again.ID].until; until.IsZero() || time.Until(until) > time.Hour {
		t.Errorf("the page may come back until %s, want an hour from its first connection", until)
	}
}

// One person may look at his desktop by a viewer and by a page.
func TestOnePersonByTwoWays(t *testing.T) {
	r, vm := newRig(t), newLocked(t)
	enter := func(q *TicketRequest) { q.User, q.Desktop.Password = "ada", vmPassword }
	ticket := r.ticket(vm.addr, enter)
	g := r.granted(home, vm.addr, func(q *OpenRequest) { q.Ticket = ticket })
	r.sees(g, rfb.Config{Password: rfb.Secret(g.Password)}, rfb.VncAuth)
	c := r.shows(r.ticket(vm.addr, enter), home)
	if _, _, err := rfb.Connect(t.Context(), r.attach(c.Cookie, home), rfb.Config{}); err != nil {
		t.Error(err)
	}
	for name, other := range map[string]func(*TicketRequest){
		"another user": func(q *TicketRequest) { q.User = "bob" }, "nobody": func(q *TicketRequest) { q.User = "" },
	} {
		_, err := r.OpenConsole(t.Context(), r.ticket(vm.addr, enter, other), fromHome())
		t.Log(name)
		refusedWith(t, err, ErrInUse)
	}
	_, err := r.OpenConsole(t.Context(), r.ticket(vm.addr, enter), netip.MustParseAddr(abroad))
	refusedWith(t, err, ErrInUse)
}
