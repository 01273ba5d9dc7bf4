package gateway

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"vdi-gateway/gateway/kernel"
	"vdi-gateway/gateway/relay"
)

// crew is a kernel that notes what it was told.
type crew struct {
	grants map[netip.AddrPort]kernel.Grant
	again  int // grants that were asked for once more
	due    int // changes that are not in force yet
	fails  error
}

func (c *crew) Allow(grants ...kernel.Grant) error {
	for _, g := range grants {
		key := netip.AddrPortFrom(g.Client, g.Port)
		if was, known := c.grants[key]; known && was.VM == g.VM {
			c.again++
		}
		c.grants[key] = g
		c.due++
	}
	return nil
}

func (c *crew) Forbid(_ relay.Reason, grants ...kernel.Grant) {
	for _, g := range grants {
		delete(c.grants, netip.AddrPortFrom(g.Client, g.Port))
		c.due++
	}
}

func (c *crew) Settle() error {
	if c.fails == nil {
		c.due = 0
	}
	return c.fails
}

func steeredWay(client string, port uint16, vm string, limit int) way {
	return way{slot{netip.MustParseAddr(client), port}, netip.MustParseAddrPort(vm), limit}
}

func steeredPorts() (*ports, *crew) {
	c := &crew{grants: map[netip.AddrPort]kernel.Grant{}}
	return newPorts(nil, c, nil, silent()), c
}

// However ways come and go, the kernel leads by the newest of those that are left.
func TestTheNewestWayCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, c := steeredPorts()
		var open []way
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			if len(open) > 0 && rapid.Bool().Draw(t, "revoke") {
				i := rapid.IntRange(0, len(open)-1).Draw(t, "which")
				p.revoke(open[i])
				j := slices.Index(open, open[i]) // equal ones are alike
				open = slices.Delete(open, j, j+1)
			} else {
				vm := rapid.SampledFrom([]string{"10.8.0.50:5900", "10.8.0.51:5900"}).Draw(t, "vm")
				w := steeredWay("10.9.0.100", 5900, vm, rapid.IntRange(0, 2).Draw(t, "limit"))
				if err := p.allow(w); err != nil {
					t.Fatal(err)
				}
				open = append(open, w)
			}
			got, led := c.grants[netip.MustParseAddrPort("10.9.0.100:5900")]
			if led != (len(open) > 0) || p.leads(slot{netip.MustParseAddr("10.9.0.100"), 5900}) != led {
				t.Fatalf("%d ways are open: got led %t", len(open), led)
			}
			if led && got != open[len(open)-1].grant() {
				t.Fatalf("got %v, want the way of %v", got, open[len(open)-1])
			}
		}
	})
}

// A way that is opened twice, for a grant that ends and the next one alike, was not asked
// for again by its client.
func TestOnlyAgainIsAgain(t *testing.T) {
	p, c := steeredPorts()
	w := steeredWay("10.9.0.100", 5900, "10.8.0.50:5900", 1)
	for range 2 {
		if err := p.allow(w); err != nil {
			t.Fatal(err)
		}
	}
	p.revoke(w)
	if c.again != 0 {
		t.Errorf("got %d grants asked for again, want none", c.again)
	}
	wider := w
	wider.limit = 3
	p.again(w, wider)
	if got := c.grants[netip.MustParseAddrPort("10.9.0.100:5900")]; c.again != 1 || got.Limit != 3 {
		t.Errorf("got %d asked for again and %v, want one with a limit of 3", c.again, got)
	}
	p.revoke(wider)
	if len(c.grants) > 0 {
		t.Errorf("got %v after the last was revoked, want none", c.grants)
	}
}

// Whoever has given a tunnel back, or ended it, can count on it.
func TestNobodyGetsInByAWayThatWasRevoked(t *testing.T) {
	p, c := steeredPorts()
	w := steeredWay("10.9.0.100", 5900, "10.8.0.50:5900", 1)
	if err := p.allow(w); err != nil {
		t.Fatal(err)
	}
	if p.revoke(w); c.due > 0 {
		t.Errorf("got %d changes that are not in force yet, want none", c.due)
	}
}

func TestWhoIsNotLedYetIsTold(t *testing.T) {
	p, c := steeredPorts()
	c.fails = errors.New("netlink is full")
	if err := p.allow(steeredWay("10.9.0.100", 5900, "10.8.0.50:5900", 1)); err != nil {
		t.Fatal(err)
	}
	if err := p.reach(5900); !errors.Is(err, c.fails) {
		t.Errorf("got %v, want the kernel's refusal", err)
	}
}

func TestWhatTheKernelCanLead(t *testing.T) {
	vm := func(texts ...string) (vm target) {
		for _, text := range texts {
			vm.addrs = append(vm.addrs, netip.MustParseAddrPort(text))
		}
		return vm
	}
	for name, tt := range map[string]struct {
		client string
		vm     target
		change func(*Gateway, *grant)
		want   bool
	}{
		"IPv4":                     {"10.9.0.100", vm("10.8.0.50:5900"), nil, true},
		"IPv6":                     {"fd09::100", vm("[fd08::50]:5900"), nil, true},
		"one address of each":      {"fd09::100", vm("10.8.0.50:5900", "[fd08::50]:5900"), nil, true},
		"other families":           {"10.9.0.100", vm("[fd08::50]:5900"), nil, false},
		"two addresses":            {"10.9.0.100", vm("10.8.0.50:5900", "10.8.0.51:5900"), nil, false},
		"a WebSocket":              {"10.9.0.100", vm("10.8.0.50:5900"), func(_ *Gateway, gr *grant) { gr.mode = ModeWebSocket }, false},
		"a desktop it enters":      {"10.9.0.100", vm("10.8.0.50:5900"), func(_ *Gateway, gr *grant) { gr.desktop.Password = "x" }, false},
		"a client on this host":    {"127.0.0.1", vm("10.8.0.50:5900"), nil, false},
		"another node as a client": {"10.9.0.2", vm("10.8.0.50:5900"), nil, false},
		"the relay":                {"10.9.0.100", vm("10.8.0.50:5900"), func(g *Gateway, _ *grant) { g.steering = false }, false},
	} {
		g := New(Deps{Log: silent()})
		g.steering = true
		g.cfg.Node, g.cfg.Nodes = netip.MustParseAddr("10.9.0.1"), []netip.Addr{netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("10.9.0.2")}
		gr := &grant{client: netip.MustParseAddr(tt.client), target: tt.vm, mode: ModePort, port: 5900, limit: 1}
		if tt.change != nil {
			tt.change(g, gr)
		}
		gr.steered = g.steerable(gr)
		if w := g.wayOf(gr); gr.steered != tt.want || w.steered() != tt.want || w.slot != (slot{gr.client, 5900}) {
			t.Errorf("%s: got %t and %v, want %t", name, gr.steered, w, tt.want)
		}
	}
}
