package vrrp

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var insideFour, insideSix = netip.MustParsePrefix("10.8.0.10/32"), netip.MustParsePrefix("fd08::10/128")

// insiders is a pair whose address moves along with two others.
func insiders(t *testing.T, do func(t *testing.T, f *fleet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := pair(t)
		for _, n := range f.nodes {
			n.cfg.Inside = []Placed{{insideFour, "eth1"}, {insideSix, ""}}
		}
		defer f.run()()
		f.settled(0)
		do(t, f)
	})
}

func TestInsideIsAnnouncedOnItsInterface(t *testing.T) {
	insiders(t, func(t *testing.T, f *fleet) {
		one := f.nodes[0]
		want := []place{{simVirtual, "eth0", 2, ""}, {insideFour, "eth1", 3, insideMAC}, {insideSix, "eth1", 3, insideMAC}}
		one.mu.Lock()
		if !slices.Equal(one.announced, want) {
			t.Errorf("got %v, want %v", one.announced, want)
		}
		one.mu.Unlock()
		if got := one.guard.places(); !slices.Equal(got, want) {
			t.Errorf("the guard's: got %v, want %v", got, want)
		}
	})
}

// places are those of the guard's newest order.
func (g *simGuard) places() []place {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ward.order.Places
}

// Routers that hear it know nothing of it.
func TestInsideIsNotAdvertised(t *testing.T) {
	c := pair(t).nodes[0].cfg
	c.Inside = []Placed{{insideFour, "eth1"}}
	if got := c.advertisement(100).Addrs; !slices.Equal(got, []netip.Addr{simVirtual.Addr()}) {
		t.Errorf("got %v, want %v alone", got, simVirtual.Addr())
	}
}

// A node that has lost its interface inside resigns, says so, and hears who follows.
func TestLostInterfaceInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pair(t)
		for _, n := range f.nodes {
			n.cfg.Inside = []Placed{{insideFour, "eth1"}}
		}
		one, two, heard := f.nodes[0], f.nodes[1], &notes{}
		one.followed = func(a netip.Addr) { heard.add("%s", a) }
		defer f.run()()
		f.settled(0)
		one.change(func() { one.cut = true })
		f.watch(50 * time.Millisecond)
		if s := one.v.Status(); s.Role != RoleFault || !strings.Contains(s.Why, "eth1") || s.Held {
			t.Errorf("got %s: %s; want fault, and the interface named", s.Role, s.Why)
		}
		if got := f.holders(); !slices.Equal(got, []netip.Addr{two.addr()}) || f.none > 20*time.Millisecond {
			t.Errorf("got %v, nobody for %s; want the other at once", got, f.none)
		}
		if got := heard.take(); !slices.Equal(got, []string{two.addr().String()}) {
			t.Errorf("got %q, want it to hear who follows", got)
		}
		one.change(func() { one.cut = false })
		f.watch(50 * time.Millisecond)
		if s := one.v.Status(); s.Role != RoleBackup {
			t.Errorf("with the link again: got %s: %s; want backup", s.Role, s.Why)
		}
		f.steady(0, time.Second)
	})
}

// Other addresses inside come and go where the others stay.
func TestOtherAddressesInside(t *testing.T) {
	insiders(t, func(t *testing.T, f *fleet) {
		was, all := f.nodes[0].v.Status().Since, f.nodes[0].cfg.Inside
		for _, list := range [][]Placed{all[:1], nil, all} {
			for _, n := range f.nodes {
				n.cfg.Inside = list
				if err := n.v.Apply(n.cfg); err != nil {
					t.Fatal(err)
				}
			}
			f.steady(0, time.Second)
			if got := f.nodes[0].v.Status(); got.Since != was || got.Role != RoleActive {
				t.Errorf("got %s since %s, want active without a break", got.Role, got.Since)
			}
			want := []place{{simVirtual, "eth0", 2, ""}, {insideFour, "eth1", 3, insideMAC}, {insideSix, "eth1", 3, insideMAC}}[:1+len(list)]
			if got := f.nodes[0].guard.places(); !slices.Equal(got, want) {
				t.Errorf("the guard's: got %v, want %v", got, want)
			}
			one := f.nodes[0]
			one.mu.Lock()
			if !slices.Equal(one.announced, want) {
				t.Errorf("announced: got %v, want %v", one.announced, want)
			}
			one.mu.Unlock()
		}
	})
}

func TestInsideThatCannotBe(t *testing.T) {
	c := pair(t).nodes[0].cfg
	for name, list := range map[string][]Placed{
		"one that is virtual": {{simVirtual, ""}},
		"of other length":     {{netip.PrefixFrom(simVirtual.Addr(), 24), "eth1"}},
		"twice":               {{insideFour, ""}, {insideFour, "eth1"}},
		"none":                {{}},
	} {
		c.Inside = list
		if c.check() == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	c.Inside = []Placed{{insideFour, ""}, {insideSix, ""}}
	if err := c.check(); err != nil {
		t.Errorf("got %v, want none", err)
	}
}

// What leaves its interface is removed, what stays is not touched.
func TestWithout(t *testing.T) {
	out, in := place{simVirtual, "eth0", 2, "a"}, place{insideFour, "eth1", 3, "b"}
	moved, renamed := in, in
	moved.Index, renamed.MAC = 4, "c"
	for _, tt := range []struct {
		name string
		next []place
		want []netip.Prefix
	}{
		{"the same", []place{out, in}, nil},
		{"another MAC address", []place{out, renamed}, nil},
		{"another interface", []place{out, moved}, []netip.Prefix{insideFour}},
		{"one less", []place{out}, []netip.Prefix{insideFour}},
		{"none", nil, []netip.Prefix{simVirtual, insideFour}},
	} {
		if got := (order{Places: []place{out, in}}).without(order{Places: tt.next}); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}
