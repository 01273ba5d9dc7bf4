package vrrp

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pair is a fleet of two nodes at the default interval, the first one Active.
func pair(t *testing.T) *fleet {
	f := newFleet(t, 1)
	f.nodes = nil
	for i := range 2 {
		f.nodes = append(f.nodes, &simNode{net: f.simNet, carrier: true, cfg: Config{
			Addrs: []netip.Prefix{simVirtual}, Node: netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}),
			Version: 3, VRID: 7, Priority: uint8(254 - 10*i), Interval: 100 * time.Millisecond, Checksum: ChecksumPseudo,
		}})
	}
	return f
}

func inBubble(t *testing.T, do func(t *testing.T, f *fleet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := pair(t)
		defer f.run()()
		f.settled(0)
		do(t, f)
	})
}

// inject has a node hear a packet from 10.0.0.9.
func (f *fleet) inject(n *simNode, a Advertisement) {
	from, to := addr("10.0.0.9"), addr("224.0.0.18")
	n.take(Packet{From: from, To: to, Hops: 255, Data: a.Marshal(ChecksumPseudo, from, to)})
	time.Sleep(time.Millisecond)
	synctest.Wait()
}

func TestAStoppedActiveNodeWakesUpSilently(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fleet) {
		one := f.nodes[0]
		one.pause()
		f.watch(time.Second)
		was := one.v.Status().Counters.Sent
		one.cont()
		f.watch(50 * time.Millisecond)
		s := one.v.Status()
		if s.Counters.Sent != was || s.Role != RoleBackup || !strings.HasPrefix(s.Why, "it was stopped for") {
			t.Errorf("got %d packets sent, %s: %s; want none, backup", s.Counters.Sent-was, s.Role, s.Why)
		}
	})
}

func TestStrangersAreRemembered(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fleet) {
		two := f.nodes[1]
		other := Advertisement{Version: 3, VRID: 7, Priority: 1, Interval: 100 * time.Millisecond, Addrs: []netip.Addr{addr("10.0.0.77")}}
		f.inject(two, other)
		other.VRID = 8
		f.inject(two, other)
		s := two.v.Status()
		if len(s.Strangers) != 1 || s.Strangers[0].Addr != addr("10.0.0.9") || !strings.Contains(s.Strangers[0].What, "10.0.0.77") {
			t.Errorf("got %+v, want one that uses the id for 10.0.0.77", s.Strangers)
		}
		if got := s.Counters.Discarded[DiscardVRID]; got != 1 {
			t.Errorf("got %d packets of another virtual router, want 1", got)
		}
		old := Advertisement{Version: 2, VRID: 7, Priority: 1, Interval: time.Second, Addrs: []netip.Addr{simVirtual.Addr()}}
		f.inject(two, old)
		if s := two.v.Status(); len(s.Strangers) != 1 || !strings.Contains(s.Strangers[0].What, "version 2") || s.Counters.Discarded[DiscardVersion] != 1 {
			t.Errorf("got %+v, want one that speaks version 2", s.Strangers)
		}
	})
}

func TestOneThatUsesTheSameAddressesIsNoStranger(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fleet) {
		f.inject(f.nodes[1], Advertisement{Version: 3, VRID: 7, Priority: 1, Interval: 100 * time.Millisecond, Addrs: []netip.Addr{simVirtual.Addr()}})
		if s := f.nodes[1].v.Status(); len(s.Strangers) != 0 {
			t.Errorf("got %+v, want none", s.Strangers)
		}
	})
}

func TestANodeThatIsNotReadyResigns(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fleet) {
		one := f.nodes[0]
		one.unready.Store(true)
		one.v.SetReady(false, "the tunnel is blocked")
		f.watch(50 * time.Millisecond)
		if s := one.v.Status(); s.Role != RoleFault || s.Why != "the tunnel is blocked" || s.Held {
			t.Errorf("got %s: %s; want fault, and why", s.Role, s.Why)
		}
		if got := f.holders(); !slices.Equal(got, []netip.Addr{f.nodes[1].addr()}) || f.none > 0 || f.two > overlap {
			t.Errorf("got %v, none for %s, two for %s; want the other at once", got, f.none, f.two)
		}
	})
}

func TestWhatIsNotSaidAgainHoldsNoLonger(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fleet) {
		f.nodes[0].unready.Store(true) // nobody says anything any more
		f.watch(staleAfter + time.Second)
		if s := f.nodes[0].v.Status(); s.Role != RoleFault || !strings.Contains(s.Why, "do not answer") {
			t.Errorf("got %s: %s; want fault", s.Role, s.Why)
		}
		f.steady(0, time.Second)
	})
}

func TestYield(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fleet) {
		one, two := f.nodes[0], f.nodes[1]
		if err := two.v.Yield(t.Context(), ""); !errors.Is(err, ErrNotActive) {
			t.Errorf("a backup: got %v, want %v", err, ErrNotActive)
		}
		if err := one.v.Yield(t.Context(), "asked"); err != nil {
			t.Errorf("the active one: got %v, want none", err)
		}
		f.steady(0, time.Second)
		one.end()
		f.watch(time.Second)
		if err := two.v.Yield(t.Context(), "asked"); !errors.Is(err, ErrNobodyFollows) {
			t.Errorf("one alone: got %v, want %v", err, ErrNobodyFollows)
		}
		f.steady(0, time.Second)
	})
}

// A change of how a router takes part leaves the address where it is, another router
// is another election.
func TestApplyWhileActive(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fleet) {
		change := func(how func(*Config)) {
			for _, n := range f.nodes {
				how(&n.cfg)
				if err := n.v.Apply(n.cfg); err != nil {
					t.Fatal(err)
				}
			}
		}
		since := f.nodes[0].v.Status().Since
		change(func(c *Config) { c.Interval = 50 * time.Millisecond })
		change(func(c *Config) { c.Priority = 100 + c.Node.As4()[3] })
		f.steady(0, time.Second)
		if got := f.nodes[0].v.Status(); got.Role != RoleActive || got.Since != since {
			t.Errorf("got %s since %s, want active without a break", got.Role, got.Since)
		}
		change(func(c *Config) { c.VRID = 9 })
		f.settled(0)
		if got := f.nodes[1].v.Status().Role; got != RoleActive {
			t.Errorf("after a new election: got %s, want the one with the higher priority to be active", got)
		}
		change(func(c *Config) { c.Addrs = nil })
		f.watch(time.Second)
		if got := f.nodes[1].v.Status(); got.Role != RoleNone || len(f.holders()) > 0 {
			t.Errorf("without an address: got %s, and %v have it", got.Role, f.holders())
		}
	})
}

// Nodes that join or leave change whom a router of mode unicast speaks to, and nothing
// else.
func TestPeersComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pair(t)
		for i, n := range f.nodes {
			n.cfg.Peers = []netip.Addr{f.nodes[1-i].cfg.Node}
		}
		f.nodes[0].cfg.Priority = 1 // it is not the first one by luck
		defer f.run()()
		f.settled(0)
		since := f.nodes[1].v.Status().Since
		for _, n := range f.nodes {
			n.cfg.Peers = append(slices.Clone(n.cfg.Peers), addr("10.0.0.3"))
			if err := n.v.Apply(n.cfg); err != nil {
				t.Fatal(err)
			}
		}
		f.steady(0, time.Second)
		if got := f.nodes[1].v.Status(); got.Role != RoleActive || got.Since != since {
			t.Errorf("got %s since %s, want active without a break", got.Role, got.Since)
		}
	})
}

// An interface with another address of its own, or another MAC address, is announced
// anew, and the tie is decided by the address that is used.
func TestTheInterfaceChangesUnderAnActiveNode(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fleet) {
		one := f.nodes[0]
		was := one.v.Status()
		one.mu.Lock()
		one.mac = "02:00:00:00:00:09"
		one.mu.Unlock()
		one.setCarrier(true)
		f.steady(0, time.Second)
		now := one.v.Status()
		if now.Role != RoleActive || now.Since != was.Since || now.Counters.Announced <= was.Counters.Announced {
			t.Errorf("got %s since %s, announced %d times more, want active without a break and an announcement",
				now.Role, now.Since, now.Counters.Announced-was.Counters.Announced)
		}
	})
}

func TestALookThatFailsTakesNothingAway(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fleet) {
		one := f.nodes[0]
		one.mu.Lock()
		one.blind = true
		one.mu.Unlock()
		one.setCarrier(true)
		f.steady(0, time.Second)
		if got := one.v.Status().Role; got != RoleActive {
			t.Errorf("got %s, want active", got)
		}
	})
}

func TestConfigsThatCannotBe(t *testing.T) {
	good := pair(t).nodes[0].cfg
	v := newVRRP(Deps{}, system{})
	for name, change := range map[string]func(*Config){
		"version 4":             func(c *Config) { c.Version = 4 },
		"no router id":          func(c *Config) { c.VRID = 0 },
		"no priority":           func(c *Config) { c.Priority = 0 },
		"too short an interval": func(c *Config) { c.Interval = time.Millisecond },
		"too long an interval":  func(c *Config) { c.Interval = time.Hour },
		"version 2 at 100 ms":   func(c *Config) { c.Version = 2 },
		"version 2 with IPv6": func(c *Config) {
			c.Version, c.Interval, c.Addrs = 2, time.Second, []netip.Prefix{netip.MustParsePrefix("fd00::1/128")}
		},
		"an address that is none": func(c *Config) { c.Addrs = []netip.Prefix{{}} },
	} {
		c := good
		change(&c)
		if err := v.Apply(c); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	if err := v.Apply(good); err != nil {
		t.Errorf("got %v, want none", err)
	}
	if err := v.Apply(Config{}); err != nil {
		t.Errorf("none at all: got %v, want none", err)
	}
}

func TestPingNeedsARunningElection(t *testing.T) {
	v := New(Deps{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := v.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("before Run: got %v, want no answer", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- v.Run(ctx) }()
	if err := v.Ping(t.Context()); err != nil {
		t.Errorf("got %v, want an answer", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
