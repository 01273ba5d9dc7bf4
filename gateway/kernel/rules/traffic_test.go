package rules

import (
	"fmt"
	"io"
	"net/netip"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
)

func TestGrantLeadsToItsVM(t *testing.T) {
	r := newRig(t)
	newDesktop(r)
	r.apply()
	for _, f := range families() {
		r.refused(r.client, f, 5901)
		r.add(r.grant(r.client, f, 5901))
		s := r.mustOpen(r.client, f, 5901)
		r.lives("granted", s)
		if got := netip.MustParseAddrPort(s.seen).Addr(); got != r.cfg.Inside[f] {
			t.Errorf("the VM sees %s, want the inside address %s", got, r.cfg.Inside[f])
		}
		r.refused(r.other, f, 5901)
		r.refused(r.client, f, 5902)
	}
	n := uint64(len(families()))
	if got, want := r.counters(), (Counters{Refused: 3 * n}); got != want {
		t.Errorf("counters: got %+v, want %+v", got, want)
	}
}

func TestOneAddressForBothSides(t *testing.T) {
	r := newRig(t)
	newDesktop(r)
	r.share()
	r.apply()
	for _, f := range families() {
		r.add(r.grant(r.client, f, 5901))
		s := r.mustOpen(r.client, f, 5901)
		seen := netip.MustParseAddrPort(s.seen)
		if seen.Addr() != r.cfg.Virtual[f] || seen.Port() < highPort {
			t.Errorf("the VM sees %s, want %s with a port from %d on", seen, r.cfg.Virtual[f], highPort)
		}
		r.refused(r.other, f, 5901)
	}
}

// What is behind the interface that clients do not come from is refused.
func TestSteersFromOneInterfaceOnly(t *testing.T) {
	r := newRig(t)
	newDesktop(r)
	r.cfg.OutsideInterface = "eth1"
	r.apply()
	r.add(r.grant(r.client, 0, 5901))
	r.refused(r.client, 0, 5901)
	r.cfg.OutsideInterface = "eth0"
	r.apply()
	r.mustOpen(r.client, 0, 5901)
}

func TestStrangerAtTheVMsGetsNothing(t *testing.T) {
	r := newRig(t)
	newDesktop(r)
	r.apply()
	for _, f := range families() {
		r.add(r.grant(r.client, f, 5901))
		s := r.mustOpen(r.client, f, 5901)
		resets := map[*lab.Host]*lab.Counter{}
		for _, h := range []*lab.Host{r.stray, r.vm, r.client} {
			c, err := h.Count("tcp flags rst")
			if err != nil {
				t.Fatal(err)
			}
			resets[h] = c
		}
		r.silent(r.stray, netip.AddrPortFrom(r.cfg.Inside[f], 5901))
		r.silent(r.stray, netip.AddrPortFrom(r.cfg.Inside[f], netip.MustParseAddrPort(s.seen).Port()))
		r.lives("strangers came", s)
		for h, c := range resets {
			if n, err := c.Packets(); n != 0 || err != nil {
				t.Errorf("%s got %d resets (%v), want none", h.Name(), n, err)
			}
		}
	}
	if got := r.counters(); got.Dropped == 0 || got.Refused != 0 {
		t.Errorf("counters: got %+v, want only dropped packets", got)
	}
}

// A node that does not know a flow, yet or any more, keeps silent when the VM talks,
// and takes the flow up when the client does.
func TestUnknownFlowIsNotReset(t *testing.T) {
	need(t, "conntrack")
	r := newRig(t)
	d := newDesktop(r)
	r.apply()
	for _, f := range families() {
		r.add(r.grant(r.client, f, 5901))
		s := r.mustOpen(r.client, f, 5901)
		before := r.counters().Dropped
		r.command(r.gateway, "conntrack", "-F")
		d.mu.Lock()
		vm := d.conns[s.seen]
		d.mu.Unlock()
		if _, err := io.WriteString(vm, "vm"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "dropped packet", func() bool { return r.counters().Dropped > before })
		if _, err := io.WriteString(s, "client"); err != nil {
			t.Fatal(err)
		}
		_ = s.SetReadDeadline(time.Now().Add(patience))
		got := make([]byte, len("vmclient"))
		if _, err := io.ReadFull(s, got); err != nil || len(got) != len("vmclient") {
			t.Errorf("got %q and %v, want what both said", got, err)
		}
	}
}

func TestAccessList(t *testing.T) {
	r := newRig(t)
	newDesktop(r)
	r.apply()
	for _, f := range families() {
		r.add(r.grant(r.client, f, 5901))
		s := r.mustOpen(r.client, f, 5901)
		self := r.client.Addrs()[f]
		for _, tt := range []struct {
			clients []Range
			allowed bool
		}{
			{nil, false},
			{[]Range{{self, self}}, true},
			{[]Range{{self.Next(), self.Next()}}, false},
			{[]Range{{self.Prev(), self.Prev()}, {self, self}}, true},
			{[]Range{{self.Prev().Prev(), self.Prev()}, {self.Next(), self.Next()}}, false},
			{Everybody()[1-f : 2-f], false},
			{Everybody(), true},
		} {
			r.cfg.Clients = tt.clients
			r.apply()
			before := r.counters().Denied
			if tt.allowed {
				r.mustOpen(r.client, f, 5901)
			} else {
				r.refused(r.client, f, 5901)
			}
			if got := r.counters().Denied - before; (got == 0) != tt.allowed {
				t.Errorf("%v: got %d denied, want some: %t", tt.clients, got, !tt.allowed)
			}
			r.lives(fmt.Sprintf("clients %v", tt.clients), s)
		}
	}
}

func TestLimits(t *testing.T) {
	r := newRig(t)
	newDesktop(r)
	r.apply()
	for _, f := range families() {
		g := r.grant(r.client, f, 5901)
		g.Limit = 2
		more := r.grant(r.client, f, 5902)
		more.Limit = 1
		r.add(g, more, r.grant(r.client, f, 5903))
		before := r.counters().Limited
		first, second := r.mustOpen(r.client, f, 5901), r.mustOpen(r.client, f, 5901)
		r.refused(r.client, f, 5901)
		r.refused(r.client, f, 5901)
		r.mustOpen(r.client, f, 5902)
		r.refused(r.client, f, 5902)
		for range 4 {
			r.mustOpen(r.client, f, 5903)
		}
		if got := r.counters().Limited - before; got != 3 {
			t.Errorf("got %d limited, want 3", got)
		}
		_ = first.Close()
		eventually(t, "place for another", func() bool { _, err := r.open(r.client, f, 5901); return err == nil })
		r.refused(r.client, f, 5901)
		r.lives("the second", second)
		// Another content of the table, the same flows: still too many.
		r.cfg.LastPort--
		r.apply()
		r.refused(r.client, f, 5901)
		if got := r.counters().Limited - before; got < 5 {
			t.Errorf("got %d limited, want those before the change as well", got)
		}
	}
}

func TestRemovedGrantEndsNothing(t *testing.T) {
	r := newRig(t)
	newDesktop(r)
	r.apply()
	for _, f := range families() {
		g := r.grant(r.client, f, 5901)
		r.add(g)
		s := r.mustOpen(r.client, f, 5901)
		r.here(func() error { return r.rules.Remove([]Grant{g}) })
		r.refused(r.client, f, 5901)
		r.lives("the grant was removed", s)
	}
}
