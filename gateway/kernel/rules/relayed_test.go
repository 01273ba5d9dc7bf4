package rules

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"vdi-gateway/tests/lab"
)

// relay serves a port of the virtual addresses on the gateway: who connects is told the
// address that it sees.
func (r *rig) relay(port uint16) {
	r.t.Helper()
	d := &desktop{conns: map[string]net.Conn{}}
	for _, f := range families() {
		var l net.Listener
		eventually(r.t, "socket on the virtual address", func() bool {
			var err error // the address is tentative for a moment
			l, err = r.gateway.Listen(netip.AddrPortFrom(r.cfg.Virtual[f], port).String())
			return err == nil
		})
		r.t.Cleanup(func() { _ = l.Close() })
		go d.serve(l)
	}
}

// relayed lets a host through to a socket of the gateway.
func relayed(h *lab.Host, family int, port uint16) Grant {
	return Grant{Client: h.Addrs()[family], Port: port}
}

func (r *rig) share() {
	r.t.Helper()
	r.cfg.Inside = r.cfg.Virtual
	for _, route := range []string{"10.9.0.10/32", "fd09::10/128"}[:len(families())] {
		r.command(r.vm, "ip", "route", "add", route, "dev", "eth0")
	}
}

// mustRelay is mustOpen where a socket of the gateway has to answer.
func (r *rig) mustRelay(h *lab.Host, family int, port uint16) *session {
	r.t.Helper()
	s := r.mustOpen(h, family, port)
	if got := netip.MustParseAddrPort(s.seen).Addr(); got != h.Addrs()[family] {
		r.t.Errorf("%s was led elsewhere, where it is %s: want a socket of the gateway", h.Name(), got)
	}
	return s
}

func TestRelayedClientIsServedHere(t *testing.T) {
	for name, layout := range map[string]func(*rig){"apart": func(*rig) {}, "shared": (*rig).share} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			layout(r)
			newDesktop(r)
			r.relay(5901)
			r.relay(5902)
			r.cfg.OutsideInterface = "eth0"
			r.apply()
			for _, f := range families() {
				r.refused(r.client, f, 5901)
				g := relayed(r.client, f, 5901)
				r.add(g, r.grant(r.other, f, 5902))
				s := r.mustRelay(r.client, f, 5901)
				r.refused(r.other, f, 5901)  // no grant for this port
				r.refused(r.client, f, 5902) // likewise
				steered := r.mustOpen(r.other, f, 5902)
				if got := netip.MustParseAddrPort(steered.seen).Addr(); got != r.cfg.Inside[f] {
					t.Errorf("the other one is %s at the VM, want %s: the socket here is not for it", got, r.cfg.Inside[f])
				}
				r.here(func() error { return r.rules.Remove([]Grant{g}) })
				r.refused(r.client, f, 5901)
				r.lives("the relayed session", s)
			}
			if got := r.counters(); got.Refused != uint64(4*len(families())) || got.Dropped != 0 {
				t.Errorf("counters: got %+v, want 4 refused of each family and none dropped", got)
			}
		})
	}
}

// Clients come by whatever interface to a socket.
func TestRelayedFromAnyInterface(t *testing.T) {
	r := newRig(t)
	r.relay(5901)
	r.cfg.OutsideInterface = "eth1"
	r.apply()
	r.add(relayed(r.client, 0, 5901))
	r.mustRelay(r.client, 0, 5901)
}

func TestDeniedClientIsNotRelayed(t *testing.T) {
	r := newRig(t)
	r.relay(5901)
	r.cfg.Clients = []Range{{r.other.Addrs()[0], r.other.Addrs()[0]}, {r.other.Addrs()[1], r.other.Addrs()[1]}}
	r.apply()
	for _, f := range families() {
		r.add(relayed(r.client, f, 5901), relayed(r.other, f, 5901))
		r.refused(r.client, f, 5901)
		r.mustRelay(r.other, f, 5901)
	}
	n := uint64(len(families()))
	if got, want := r.counters(), (Counters{Refused: n, Denied: n}); got != want {
		t.Errorf("counters: got %+v, want %+v", got, want)
	}
}

// A grant becomes one of the other kind in one step, and the next process finds it.
func TestGrantChangesItsKind(t *testing.T) {
	r := newRig(t)
	newDesktop(r)
	r.relay(5901)
	r.apply()
	for _, f := range families() {
		limited := r.grant(r.client, f, 5901)
		limited.Limit = 2
		r.add(limited)
		for i, g := range []Grant{relayed(r.client, f, 5901), limited, relayed(r.client, f, 5901), r.grant(r.client, f, 5901)} {
			before := r.generation()
			r.add(g)
			if got := r.generation() - before; got != 1 {
				t.Errorf("change %d to %s: got %d transactions, want 1", i, g, got)
			}
			if got := r.grants(); !slices.Equal(got, []Grant{g}) {
				t.Errorf("the next process finds %v, want %s", got, g)
			}
			if g.Relayed() {
				r.mustRelay(r.client, f, 5901)
			} else if s := r.mustOpen(r.client, f, 5901); netip.MustParseAddrPort(s.seen).Addr() != r.cfg.Inside[f] {
				t.Errorf("change %d to %s: got a session of %s, want one at the VM", i, g, s.seen)
			}
		}
		r.here(func() error { return r.rules.Set(nil) })
	}
}

// A relayed connection that conntrack does not know, because there was no table when it
// began or another node had it, is the business of sockets: it goes on, or is reset by them.
func TestRelayedPacketsReachTheirSocket(t *testing.T) {
	need(t, "conntrack")
	r := newRig(t)
	r.relay(5901)
	for _, f := range families() {
		s := r.mustOpen(r.client, f, 5901)
		r.here(func() error { return r.rules.Apply(r.cfg, relayed(r.client, f, 5901)) })
		r.lives("the table is new", s)
		r.command(r.gateway, "conntrack", "-F")
		r.lives("conntrack has forgotten", s)
		r.here(r.rules.Delete)
	}
}

// With a config come grants that apply from the first packet on.
func TestConfigComesWithGrants(t *testing.T) {
	r := newRig(t)
	newDesktop(r)
	want := []Grant{r.grant(r.client, 0, 5901), relayed(r.client, 0, 5902)}
	want[0].Limit = 3
	before := r.generation()
	r.here(func() error { return r.rules.Apply(r.cfg, want...) })
	if got := r.generation() - before; got != 1 {
		t.Errorf("a new table: got %d transactions, want 1", got)
	}
	for i, change := range []func(){func() {}, func() { r.cfg.LastPort-- }, r.otherVersion} {
		more := r.grant(r.other, 0, 5901+uint16(i))
		more.Limit = 4 + i
		want = append(want, more)
		slices.SortFunc(want, Grant.compare)
		change()
		r.here(func() error { return r.rules.Apply(r.cfg, more) })
		if got := r.grants(); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		before := r.generation()
		r.apply()
		if got := r.generation(); got != before {
			t.Errorf("what was applied is not what was wanted: got %d transactions", got-before)
		}
		r.mustOpen(r.other, 0, more.Port)
	}
}
