package gateway

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"

	"vdi-gateway/gateway/relay"

	"github.com/google/go-cmp/cmp"
)

func TestRangeMovesWithoutTouchingSessions(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	g := r.granted("127.0.0.5", vm.addr)
	c := r.enter(g)
	says(t, c, "hello")
	if err := r.change(func(c *Config) { c.PortStart, c.PortStop = 22000, 22009 }); err != nil {
		t.Fatal(err)
	}
	says(t, c, "still here")
	says(t, r.enter(g), "and a second channel")
	if next := r.granted("127.0.0.5", vm.addr); next.Port != 22000 {
		t.Errorf("got port %d, want the lowest of the new range", next.Port)
	}
	if got := r.Health().FreePorts; got != 9 {
		t.Errorf("got %d free ports, want 9 of the 10 new ones", got)
	}
}

func TestListenersMoveWithoutTouchingSessions(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	g := r.granted("127.0.0.5", vm.addr)
	c := r.enter(g)
	says(t, c, "hello")
	from, to := r.addr, r.addr.Next()
	move := func(addrs ...netip.Addr) {
		t.Helper()
		if err := r.change(func(c *Config) { c.Listen, c.PublicAddr = addrs, addrs[len(addrs)-1].String() }); err != nil {
			t.Fatal(err)
		}
	}
	move(from, to)
	through(t, "127.0.0.5", netip.AddrPortFrom(from, g.Port))
	through(t, "127.0.0.5", netip.AddrPortFrom(to, g.Port))
	shut(t, "127.0.0.6", netip.AddrPortFrom(to, g.Port))
	move(to)
	shut(t, "127.0.0.5", netip.AddrPortFrom(from, g.Port))
	through(t, "127.0.0.5", netip.AddrPortFrom(to, g.Port))
	says(t, c, "still here")
	l, err := r.Renew(t.Context(), g.ID, g.Token, g.Client)
	if err != nil || l.Addr != to.String() || l.Port != g.Port {
		t.Errorf("got %+v (%v), want the new address and the same port", l, err)
	}
	if next := r.granted("127.0.0.6", vm.addr); next.Addr != to.String() {
		t.Errorf("got %s, want %s", next.Addr, to)
	}
	through(t, "127.0.0.6", netip.AddrPortFrom(to, g.Port))
}

// A change that cannot be had whole is not had at all.
func TestFailingApplyChangesNothing(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	g := r.granted("127.0.0.5", vm.addr)
	next := r.addr.Next()
	for _, tt := range []struct {
		name  string
		taken netip.AddrPort
	}{
		{"the service port is taken", netip.AddrPortFrom(r.addr, 23000)},
		{"a granted port is taken on a new address", netip.AddrPortFrom(next, g.Port)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := net.Listen("tcp", tt.taken.String())
			if err != nil {
				t.Fatal(err)
			}
			err = r.change(func(c *Config) {
				c.PortStart, c.PortStop = 22000, 22009
				c.Listen = []netip.Addr{next}
				c.Targets.Allow = nil
				c.Service = Service{Listen: netip.AddrPortFrom(r.addr, 23000), Dispatchers: []string{vm.addr.String()}}
			})
			if !errors.Is(err, syscall.EADDRINUSE) {
				t.Fatalf("got %v, want the port in use", err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			says(t, r.enter(g), "hello")
			shut(t, "127.0.0.5", netip.AddrPortFrom(next, g.Port))
			shut(t, "127.0.0.5", netip.AddrPortFrom(r.addr, 23000))
			again := r.granted("127.0.0.6", vm.addr)
			if again.Port != g.Port {
				t.Errorf("got port %d, want the old range's lowest", again.Port)
			}
			if err := r.GiveBack(t.Context(), again.ID, again.Token, again.Client); err != nil {
				t.Error(err)
			}
			if got := r.Health().Dispatchers; len(got) != 0 {
				t.Errorf("got dispatchers %v, want none", got)
			}
		})
	}
}

func TestEqualApplyTouchesNothing(t *testing.T) {
	r, vm := newRig(t, func(c *Config) { c.Limits.OpenPerSecond = 1 }), newEcho(t)
	g := r.granted("127.0.0.5", vm.addr)
	r.granted("127.0.0.5", vm.addr)
	listener := func() relay.Door {
		r.ports.mu.Lock()
		defer r.ports.mu.Unlock()
		return r.ports.open[g.Port].doors[r.addr]
	}
	before := listener()
	if err := r.Apply(configFor(r.addr, func(c *Config) { c.Limits.OpenPerSecond = 1 })); err != nil {
		t.Fatal(err)
	}
	if listener() != before {
		t.Error("the listener was made anew")
	}
	_, err := r.ask("127.0.0.5", vm.addr)
	refusedWith(t, err, ErrRateLimited) // the bucket was not filled
	if err := r.change(func(c *Config) { c.PortStop++ }); err != nil {
		t.Fatal(err)
	}
	_, err = r.ask("127.0.0.5", vm.addr)
	refusedWith(t, err, ErrRateLimited) // nor by a change of something else
}

func TestDisablingEndsAll(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	g := r.granted("127.0.0.5", vm.addr)
	w := r.granted("127.0.0.6", vm.addr, overWebSocket)
	c, v := r.enter(g), r.attach(w.Token, "127.0.0.6")
	says(t, c, "hello")
	says(t, v, "hello")
	off := r.cfg
	off.Enabled = false
	if got := r.Forbidden(off); len(got) != 2 {
		t.Errorf("got %v to be ended, want both", got)
	}
	if err := r.change(func(c *Config) { c.Enabled = false }); err != nil {
		t.Fatal(err)
	}
	_, _ = endsWithin(t, c, prompt), endsWithin(t, v, prompt)
	r.audit.closed(t, g.ID, ReasonAdmin)
	r.audit.closed(t, w.ID, ReasonAdmin)
	shut(t, "127.0.0.5", netip.AddrPortFrom(r.addr, g.Port))
	_, err := r.ask("127.0.0.5", vm.addr)
	refusedWith(t, err, ErrDisabled)
	_, err = r.IssueTicket(t.Context(), TicketRequest{VMAddr: "127.0.0.1", VMPort: 5900})
	refusedWith(t, err, ErrDisabled)
	if err := r.Check(t.Context()); !errors.Is(err, ErrDisabled) {
		t.Errorf("got %v from the check, want disabled", err)
	}
	if err := r.change(func(c *Config) { c.Enabled = true }); err != nil {
		t.Fatal(err)
	}
	says(t, r.enter(r.granted("127.0.0.5", vm.addr)), "back")
}

func TestTargetsEndOnlyWhatTheyForbid(t *testing.T) {
	r, kept, lost := newRig(t), newEcho(t), newEcho(t)
	a, b := r.granted("127.0.0.5", kept.addr), r.granted("127.0.0.6", lost.addr)
	ca, cb := r.enter(a), r.enter(b)
	says(t, ca, "hello")
	says(t, cb, "hello")
	strict := func(c *Config) { c.Targets.Ports = []PortRange{{kept.addr.Port(), kept.addr.Port()}} }
	dry := r.cfg
	strict(&dry)
	if diff := cmp.Diff([]ConnectionID{b.ID}, r.Forbidden(dry)); diff != "" {
		t.Error("forbidden:", diff)
	}
	says(t, cb, "nothing ended yet")
	if err := r.change(strict); err != nil {
		t.Fatal(err)
	}
	_ = endsWithin(t, cb, prompt)
	r.audit.closed(t, b.ID, ReasonAdmin)
	says(t, ca, "still here")
	if got := r.audit.of(a.ID); len(got) != 1 {
		t.Errorf("got %v of the allowed session, want its open alone", got)
	}
}

func TestDrainKeepsWhatRuns(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	g := r.granted("127.0.0.5", vm.addr, as("ada"))
	c := r.enter(g)
	says(t, c, "hello")
	r.SetDrain(true)
	_, err := r.ask("127.0.0.6", vm.addr)
	if got := refusedWith(t, err, ErrDraining).RetryAfter; got <= 0 {
		t.Error("got no time to try again")
	}
	if !r.Health().Draining {
		t.Error("health does not show it")
	}
	says(t, c, "still here")
	if again := r.granted("127.0.0.5", vm.addr, as("ada")); again.ID != g.ID {
		t.Errorf("got %s, want the running session's %s", again.ID, g.ID)
	}
	says(t, r.enter(g), "reconnected")
	r.SetDrain(false)
	r.granted("127.0.0.6", vm.addr)
}

func TestPortOfAnotherProgramIsPassedOver(t *testing.T) {
	r, vm := newRig(t, func(c *Config) { c.PortStop = c.PortStart + 3 }), newEcho(t)
	for _, off := range []uint16{0, 2} {
		l, err := net.Listen("tcp", netip.AddrPortFrom(r.addr, r.cfg.PortStart+off).String())
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	var got []uint16
	for range 2 {
		g := r.granted("127.0.0.5", vm.addr)
		says(t, r.enter(g), "hello")
		got = append(got, g.Port-r.cfg.PortStart)
	}
	if want := []uint16{1, 3}; !slices.Equal(got, want) {
		t.Errorf("got ports %v of the range, want %v", got, want)
	}
	_, err := r.ask("127.0.0.5", vm.addr)
	refusedWith(t, err, ErrNoFreePort)
	if got := r.Health(); got.Used != 2 || got.FreePorts != 2 {
		t.Errorf("got %+v, want 2 used and 2 without a grant", got)
	}
}
