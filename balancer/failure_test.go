package balancer

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func (c *cluster) state(node netip.Addr) State {
	all := c.Stats().Nodes
	return all[slices.IndexFunc(all, func(n NodeStats) bool { return n.Node == node })].State
}

// become waits until a node is seen in a state.
func (c *cluster) become(t *testing.T, node netip.Addr, want State) {
	t.Helper()
	await(t, fmt.Sprintf("%s %s", node, want), func() bool { return c.state(node) == want })
}

// A node that dies while clients come loses none of those that come after: they
// go on to another node within the same second.
func TestNodeDies(t *testing.T) {
	c := newCluster(t, 3)
	victim := c.servers[1]
	var cut atomic.Int32 // clients that were with the node in the moment it died
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			for j := range 30 {
				began := time.Now()
				if i == 0 && j == 10 {
					victim.die()
				}
				from := fmt.Sprintf("127.77.%d.%d", 3+i, 1+j)
				call, err := dial(from, c.front())
				if err != nil {
					cut.Add(1)
					call, err = dial(from, c.front())
				}
				if err != nil {
					t.Errorf("client %d of %d: %v", j, i, err)
					return
				}
				_ = call.Close()
				if took := time.Since(began); took > 5*time.Second { // a second, five times over
					t.Errorf("client %d of %d was served after %v", j, i, took)
				}
			}
		})
	}
	all.Wait()
	if n := cut.Load(); n > 5 {
		t.Errorf("%d clients were cut, want no more than there were at a time", n)
	}
	c.become(t, victim.addr.Addr(), StateDown)
	victim.start(t)
	c.become(t, victim.addr.Addr(), StateUp)
}

// With the checks slower than the clients, those sent to a dead node go on to
// the next one at once, and none is lost.
func TestRedispatch(t *testing.T) {
	c := newCluster(t, 3)
	first := mustDial(t, "127.77.1.1", c.front())
	i := slices.Index(c.cfg.Nodes, first.node())
	c.servers[i].die()
	again := mustDial(t, "127.77.1.1", c.front())
	if again.node() == first.node() {
		t.Errorf("got %s, which is dead", again.node())
	}
	for k := range 20 {
		if call := mustDial(t, fmt.Sprintf("127.77.4.%d", k+1), c.front()); call.node() == first.node() {
			t.Errorf("got %s, which is dead", call.node())
		}
	}
	s := c.Stats().Fronts[0]
	if s.Nodes[i].Missed == 0 || s.Lost != 0 || s.Refused != 0 {
		t.Errorf("got %+v, want misses of the dead node alone", s)
	}
	if now := mustDial(t, "127.77.1.1", c.front()); now.node() != again.node() {
		t.Errorf("the client came to %s, then to %s: want the node that it was moved to", again.node(), now.node())
	}
}

// A node that says no by turns ends up out or in, and nobody is lost meanwhile.
func TestFlapping(t *testing.T) {
	c := newCluster(t, 2)
	flapping := c.servers[1]
	for round := range 3 {
		flapping.ill.Store(true)
		c.become(t, flapping.addr.Addr(), StateDown)
		if call := mustDial(t, fmt.Sprintf("127.77.5.%d", 1+round), c.front()); call.node() == flapping.addr.Addr() {
			t.Error("a client came to the node that is down")
		}
		flapping.ill.Store(false)
		c.become(t, flapping.addr.Addr(), StateUp)
	}
	s := c.Stats()
	if s.Nodes[1].FailedChecks < 3*fall || s.Nodes[1].LastError == "" || s.Nodes[0].FailedChecks != 0 {
		t.Errorf("got %+v, want the failed checks of the second node alone", s.Nodes)
	}
}

// All fail: clients are sent to those alive all the same, which may know better.
func TestNobodyIsWell(t *testing.T) {
	c := newCluster(t, 2)
	for _, s := range c.servers {
		s.ill.Store(true)
	}
	for _, n := range c.cfg.Nodes {
		c.become(t, n, StateDown)
	}
	mustDial(t, "127.77.1.1", c.front()).echo(t, "hello")
	if c.sticky.puts != 0 {
		t.Error("a node that is not well was remembered for a client")
	}
}
