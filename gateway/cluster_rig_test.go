package gateway

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"
)

// fleet is gateways of one cluster in this process, each on a loopback address of
// its own, and what they know in common: in memory, in order, and over links that
// can be cut.
type fleet struct {
	t     testing.TB
	addrs []netip.Addr
	told  sync.WaitGroup // of what is spread

	mu      sync.Mutex
	nodes   map[netip.Addr]*rig // running
	side    map[netip.Addr]int  // of a partition
	records map[netip.Addr]map[ConnectionID]entry
	stamp   int
}

// entry is a record as one node holds it. The later one wins.
type entry struct {
	Record
	stamp int
	gone  bool
}

func newFleet(t testing.TB, size int) *fleet {
	f := &fleet{
		t: t, nodes: map[netip.Addr]*rig{}, side: map[netip.Addr]int{}, records: map[netip.Addr]map[ConnectionID]entry{},
	}
	first := loopbackOf(t).As4()
	for i := range size {
		first[3] = byte(10 + i)
		f.addrs = append(f.addrs, netip.AddrFrom4(first))
	}
	for i := range size {
		f.start(i)
	}
	return f
}

// start runs node i, which knows what the others tell it.
func (f *fleet) start(i int) *rig {
	a := f.addrs[i]
	cfg := configFor(a, func(c *Config) {
		c.Nodes = f.addrs
		for _, n := range f.addrs {
			c.Trusted = append(c.Trusted, netip.PrefixFrom(n, n.BitLen()))
		}
	})
	r := startRig(f.t, a, cfg, Deps{Directory: common{f, a}})
	f.mu.Lock()
	f.nodes[a], f.records[a] = r, map[ConnectionID]entry{}
	f.mu.Unlock()
	f.meet()
	return r
}

// stop ends node i without a farewell: the others find it dead.
func (f *fleet) stop(i int) {
	f.mu.Lock()
	r := f.nodes[f.addrs[i]]
	delete(f.nodes, f.addrs[i])
	f.mu.Unlock()
	r.stop()
}

// kill ends node i as a signal does: it tells nobody of its grants' ends.
func (f *fleet) kill(i int) {
	f.told.Wait()
	f.mu.Lock()
	known := map[netip.Addr]map[ConnectionID]entry{}
	for a := range f.nodes {
		if a == f.addrs[i] {
			continue
		}
		known[a] = maps.Clone(f.records[a])
	}
	f.mu.Unlock()
	f.stop(i)
	f.told.Wait()
	f.mu.Lock()
	living := maps.Clone(f.nodes)
	for a, was := range known {
		f.records[a] = maps.Clone(was)
	}
	f.mu.Unlock()
	for a, r := range living {
		for _, e := range known[a] {
			_ = r.Learn(e.Record)
		}
	}
}

func (f *fleet) node(i int) *rig {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.nodes[f.addrs[i]]
}

// divide cuts node i from the others; -1 heals.
func (f *fleet) divide(i int) {
	f.mu.Lock()
	for k, a := range f.addrs {
		f.side[a] = 0
		if k == i {
			f.side[a] = 1
		}
	}
	f.mu.Unlock()
	if i < 0 {
		f.meet()
	}
}

// meet has every node hear what the others know.
func (f *fleet) meet() {
	f.mu.Lock()
	var all []func()
	for from, known := range f.records {
		for id, e := range known {
			for to := range f.nodes {
				if f.nodes[from] != nil && to != from && f.side[to] == f.side[from] {
					all = append(all, func() { _ = f.tell(to, id, e) })
				}
			}
		}
	}
	f.mu.Unlock()
	for _, tell := range all {
		tell()
	}
}

// tell brings an entry to a node, unless that knows a later one.
func (f *fleet) tell(to netip.Addr, id ConnectionID, e entry) error {
	f.mu.Lock()
	r, known := f.nodes[to], f.records[to]
	if r == nil || known[id].stamp >= e.stamp {
		f.mu.Unlock()
		return nil
	}
	known[id] = e
	f.mu.Unlock()
	if e.gone {
		r.Unlearn(id)
		r.Lose(id)
		return nil
	}
	return r.Learn(e.Record)
}

// others are the running nodes that a node reaches.
func (f *fleet) others(own netip.Addr) (list []netip.Addr) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.addrs {
		if a != own && f.nodes[a] != nil && f.side[a] == f.side[own] {
			list = append(list, a)
		}
	}
	return list
}

// common is the fleet as one of its nodes uses it.
type common struct {
	*fleet
	own netip.Addr
}

func (c common) keep(id ConnectionID, r Record, gone bool) entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stamp++
	e := entry{r, c.stamp, gone}
	if c.records[c.own] != nil {
		c.records[c.own][id] = e
	}
	return e
}

// Share is refused by the first node that knows an older grant; the others forget
// the record then.
func (c common) Share(_ context.Context, r Record) error {
	e := c.keep(r.ID, r, false)
	for _, a := range c.others(c.own) {
		if errors.Is(c.tell(a, r.ID, e), ErrSlotTaken) {
			c.Forget(r.ID)
			c.told.Wait()
			return ErrSlotTaken
		}
	}
	return nil
}

func (c common) Spread(r Record)        { c.later(r.ID, c.keep(r.ID, r, false)) }
func (c common) Forget(id ConnectionID) { c.later(id, c.keep(id, Record{}, true)) }

func (c common) later(id ConnectionID, e entry) {
	to := c.others(c.own)
	c.told.Go(func() {
		for _, a := range to {
			_ = c.tell(a, id, e)
		}
	})
}

func (c common) Living() []netip.Addr {
	list := append(c.others(c.own), c.own)
	slices.SortFunc(list, netip.Addr.Compare)
	return list
}

func (c common) Reopen(ctx context.Context, node netip.Addr, q Reopening) (Grant, error) {
	c.mu.Lock()
	r := c.nodes[node]
	c.mu.Unlock()
	if r == nil {
		return Grant{}, errors.New("it is dead")
	}
	return r.Reopen(ctx, q)
}

// at connects to a grant's port at another node, from the grant's client.
func (f *fleet) at(i int, g Grant) (*net.TCPConn, error) {
	return dialFrom(g.Client.String(), netip.AddrPortFrom(f.addrs[i], g.Port), patience)
}

// served checks that bytes come back at node i.
func (f *fleet) served(i int, g Grant) *net.TCPConn {
	f.t.Helper()
	c, err := f.at(i, g)
	if err != nil {
		f.t.Fatalf("node %d, port %d: %v", i, g.Port, err)
	}
	f.t.Cleanup(func() { c.Close() })
	says(f.t, c, "hello")
	return c
}

// leave blocks every port of the range but these.
func (r *rig) leave(ports ...uint16) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p := r.Gateway.cfg.PortStart; p <= r.Gateway.cfg.PortStop; p++ {
		if !slices.Contains(ports, p) {
			r.reg.blocked[p] = time.Now().Add(time.Hour)
		}
	}
}

// owner is the one node that has the grant for its own; it waits for that.
func (f *fleet) owner(id ConnectionID) (owner int) {
	f.t.Helper()
	eventually(f.t, "one node has the grant", func() bool {
		n := 0
		for i := range f.addrs {
			if r := f.node(i); r != nil {
				if _, is := r.the(id); is {
					owner, n = i, n+1
				}
			}
		}
		return n == 1
	})
	return owner
}

// turnedAway checks that a client gets no connection, or one that ends at once.
func turnedAway(t testing.TB, client string, to netip.AddrPort) {
	t.Helper()
	if c, err := dialFrom(client, to, 100*time.Millisecond); err == nil {
		_ = endsWithin(t, c, prompt)
		c.Close()
	}
}
