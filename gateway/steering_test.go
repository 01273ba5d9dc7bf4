package gateway

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vdi-gateway/gateway/relay"
)

// courier is the directory of a node in a pair: what it tells waits to be delivered.
type courier struct {
	told      []Record
	forgotten []ConnectionID
	pair      []netip.Addr
	during    func() // happens while the others are told what Share says
}

func (c *courier) Share(_ context.Context, r Record) error {
	c.Spread(r)
	if c.during != nil {
		c.during()
	}
	return nil
}

func (c *courier) Spread(r Record)        { c.told = append(c.told, r) }
func (c *courier) Forget(id ConnectionID) { c.forgotten = append(c.forgotten, id) }
func (c *courier) Living() []netip.Addr   { return c.pair }
func (c *courier) Reopen(context.Context, netip.Addr, Reopening) (Grant, error) {
	return Grant{}, ErrNotFound
}

// rivalNode is a node whose kernel may carry connections.
type rivalNode struct {
	*Gateway
	courier *courier
}

func newRivalNode(own, other string) rivalNode {
	pair := []netip.Addr{netip.MustParseAddr(own), netip.MustParseAddr(other)}
	c := &courier{pair: pair}
	g := New(Deps{Log: silent(), Directory: c})
	g.cfg.Enabled, g.cfg.Node, g.cfg.Nodes, g.steering = true, pair[0], pair, true
	g.policy.Store(newPolicy(Targets{Allow: []Target{{Prefix: netip.MustParsePrefix("10.8.0.0/24")}}, Ports: anyPort}, nil))
	return rivalNode{g, c}
}

// grant is the one both know, as this node does; nil: it does not.
func (n rivalNode) grant(id ConnectionID) *grant {
	if gr := n.reg.grants[id]; gr != nil {
		return gr
	}
	return n.reg.others[id]
}

// carry is what a flow of the grant does that was injected.
func (n rivalNode) carry(id ConnectionID) *channel {
	n.carries = true
	gr := n.grant(id)
	if gr.remote {
		n.takeOver(gr, time.Now())
	}
	ch := gr.join(time.Now())
	ch.begin(time.Now())
	return ch
}

// deliver brings the oldest news to the other node.
func (n rivalNode) deliver(t *rapid.T, to rivalNode) {
	if len(n.courier.told) == 0 {
		return
	}
	r := n.courier.told[0]
	n.courier.told = n.courier.told[1:]
	if err := to.Learn(r); err != nil {
		t.Fatal(err)
	}
}

// The node that carries a connection serves its grant in the end, and the one before
// knows that it does, in whatever order they hear of each other and of who is active.
func TestWhoCarriesServes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first, second := "10.9.0.1", "10.9.0.2"
		if rapid.Bool().Draw(t, "from the second to the first") {
			first, second = second, first
		}
		a, b := newRivalNode(first, second), newRivalNode(second, first)
		gr := opened(a)
		a.deliver(t, b)
		before := a.carry(gr.id)
		b.carry(gr.id)
		follow := func() {
			a.carries = false
			if before != nil { // the kernel withdraws
				before.finish(relay.Result{}, time.Now())
				before = nil
			}
			a.concede(time.Now())
		}
		for range rapid.IntRange(0, 20).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0:
				a.deliver(t, b)
			case 1:
				b.deliver(t, a)
			case 2:
				a.concede(time.Now())
			case 3:
				b.concede(time.Now())
			case 4:
				follow()
			}
		}
		follow()
		for range 4 { // seconds
			for len(a.courier.told)+len(b.courier.told) > 0 {
				a.deliver(t, b)
				b.deliver(t, a)
			}
			a.concede(time.Now())
			b.concede(time.Now())
		}
		if b.reg.grants[gr.id] == nil || len(b.reg.grants[gr.id].channels) != 1 {
			t.Error("the node that carries it does not serve it")
		}
		if known := a.reg.others[gr.id]; known == nil || known.node != b.cfg.Node || a.reg.grants[gr.id] != nil {
			t.Errorf("the node before knows it as %+v, want that of the other", known)
		}
		if got := a.reg.clients[gr.client]; len(got) != 1 || got[b.cfg.Node] != 1 {
			t.Errorf("the node before counts the client's grants as %v, want one of the other", got)
		}
	})
}

// opened is a grant of a node that the kernel leads.
func opened(n rivalNode) *grant {
	vm := target{host: "10.8.0.50", port: 5900, addrs: []netip.AddrPort{netip.MustParseAddrPort("10.8.0.50:5900")}}
	r := OpenRequest{Client: netip.MustParseAddr("10.9.0.100"), User: "u", Mode: ModePort, Protocol: "tcp", TTL: time.Minute, Channels: 2}
	n.cfg.PortStart, n.cfg.PortStop = 5900, 5999
	now := time.Now()
	gr, _ := n.newGrant(r, TicketRequest{}, vm, reopenKey{r.Client, vm.host, vm.port, r.User, r.Mode}, now)
	if err := n.enter(gr, now); err != nil {
		panic(err)
	}
	n.spread(gr, now)
	return gr
}

// A node whose kernel cannot lead serves a client that comes to it: at the owner there is
// no socket that it could be passed on to.
func TestClientOfTheKernelIsNotPassedOn(t *testing.T) {
	a, b := newRivalNode("10.9.0.1", "10.9.0.2"), newRivalNode("10.9.0.2", "10.9.0.1")
	gr := opened(a)
	b.steering = false
	known, err := a.courier.told[0].grant()
	if err != nil {
		t.Fatal(err)
	}
	b.reg.learn(known, time.Now())
	known.door = b.wayOf(known) // as good as open
	v := relay.Visitor{Client: netip.AddrPortFrom(gr.client, 40000)}
	call := b.knock(v, netip.AddrPortFrom(netip.MustParseAddr("10.9.0.10"), gr.port), nil)
	if call == nil || len(call.To) != 1 || call.To[0] != netip.MustParseAddrPort("10.8.0.50:5900") || call.Prelude != nil {
		t.Errorf("got %+v, want a call of the VM", call)
	}
	if b.reg.grants[gr.id] == nil {
		t.Error("the grant is still the other node's, want it taken over")
	}
}
