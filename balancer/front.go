package balancer

import (
	"net/netip"
	"time"
)

// front is one port of the virtual address. The Balancer's lock guards it.
type front struct {
	Front
	listen   netip.AddrPort
	backends map[netip.Addr]*backend
	total    uint64 // clients that came
	refused  uint64 // of these, for want of room or of nodes
	lost     uint64 // of these, since none of their nodes could be reached
}

// backend is one node as a front knows it.
type backend struct {
	node    *node
	suspect time.Time // it was not reached then; zero: not suspected
	current int
	total   uint64 // connections that reached it
	missed  uint64 // and those that did not
	up      int64  // bytes of ended connections, from clients
	down    int64
}

// keepFronts makes the fronts of cfg. Those of a name, and their nodes, keep
// their counts.
func keepFronts(was map[netip.AddrPort]*front, cfg Config, nodes []*node) map[netip.AddrPort]*front {
	known := map[string]*front{}
	for _, f := range was {
		known[f.Name] = f
	}
	now := map[netip.AddrPort]*front{}
	for _, c := range cfg.Fronts {
		f := known[c.Name]
		if f == nil {
			f = &front{}
		}
		f.Front, f.listen = c, cfg.listen(c)
		f.backends = keepBackends(f.backends, nodes)
		now[f.listen] = f
	}
	return now
}

func keepBackends(was map[netip.Addr]*backend, nodes []*node) map[netip.Addr]*backend {
	now := map[netip.Addr]*backend{}
	for _, n := range nodes {
		now[n.addr] = was[n.addr]
		if now[n.addr] == nil {
			now[n.addr] = &backend{node: n}
		}
	}
	return now
}

// knock decides about a client of the door at listen; nil refuses it.
func (b *Balancer) knock(listen, client netip.AddrPort, cut func(), now time.Time) *Route {
	client = netip.AddrPortFrom(client.Addr().Unmap(), client.Port())
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.fronts[listen]
	if f == nil {
		return nil
	}
	f.total++
	if b.open >= b.cfg.MaxConnections {
		f.refused++
		return nil
	}
	c := b.choose(f, client.Addr(), now)
	if len(c.at) == 0 {
		f.refused++
		return nil
	}
	c.cut = cut
	return c.route(client)
}

// choose places a client and counts it.
func (b *Balancer) choose(f *front, client netip.Addr, now time.Time) *connection {
	b.hear(now)
	c := &connection{b: b, front: f}
	s := situation{algorithm: b.cfg.Algorithm, turn: b.turn, candidates: f.candidates(b.nodes, now)}
	if f.Sticky && b.cfg.StickyTTL > 0 {
		c.source = b.cfg.source(client)
		s.sticky, _ = b.deps.Sticky.Get(c.source)
	}
	if s.sticky.IsValid() {
		s.held = b.deps.Held(client)
	}
	p := place(s, client, now)
	if p.turned {
		b.turn++
	}
	for _, a := range p.order {
		c.at = append(c.at, f.backends[a])
	}
	c.stick = p.stick && c.source.IsValid()
	if len(c.at) > 0 {
		b.open++
		c.enter(now)
	}
	return c
}

// candidates are the nodes as a placement sees them.
func (f *front) candidates(nodes []*node, now time.Time) []candidate {
	all := make([]candidate, len(nodes))
	for i, n := range nodes {
		state := n.state()
		all[i] = candidate{
			node:    n.addr,
			alive:   n.member.Alive,
			well:    state == StateUp || state == StateDraining,
			drain:   state == StateDraining,
			suspect: !f.backends[n.addr].suspect.IsZero(),
			load:    n.load.at(now).total(),
			since:   n.health.since,
		}
	}
	return all
}
