package directory

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/memberlist"
	"github.com/sirupsen/logrus"
)

// gossip is membership by memberlist. Apply binds sockets, Run uses them.
type gossip struct {
	log     logrus.FieldLogger
	refused atomic.Uint64
	peers   atomic.Pointer[[]netip.Addr] // without this node

	mu     sync.Mutex
	cfg    Config
	status []byte
	alive  map[netip.Addr][]byte // peers and their status
	ring   *ring                 // as cfg wants it; nil: no peers
	reload chan struct{}         // ring has changed; capacity 1
	news   chan struct{}         // alive has changed; capacity 1
	update chan struct{}         // status has changed; capacity 1
}

func newGossip(log logrus.FieldLogger) *gossip {
	g := &gossip{log: log, alive: map[netip.Addr][]byte{}, reload: make(chan struct{}, 1), news: make(chan struct{}, 1), update: make(chan struct{}, 1)}
	g.peers.Store(&[]netip.Addr{})
	return g
}

// Apply binds sockets if the address changed; keys and peers change in place.
func (g *gossip) Apply(cfg Config) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	peers := cfg.others()
	ring, err := g.wanted(cfg, len(peers) > 0)
	if err != nil {
		return err
	}
	g.peers.Store(&peers)
	for peer := range g.alive {
		if !slices.Contains(peers, peer) {
			delete(g.alive, peer)
		}
	}
	if g.cfg = cfg; ring != g.ring {
		g.ring.abandon()
		g.ring = ring
		poke(g.reload)
	}
	return nil
}

// wanted returns the ring for cfg: the present one, another, or nil.
func (g *gossip) wanted(cfg Config, peers bool) (*ring, error) {
	switch {
	case !peers:
		return nil, nil
	case g.ring != nil && g.cfg.Node == cfg.Node && g.cfg.Port == cfg.Port:
		return g.ring, renewKeys(g.ring.keys, cfg)
	}
	return newRing(g, cfg)
}

// Run keeps a ring until ctx ends.
func (g *gossip) Run(ctx context.Context, changed func()) error {
	for ctx.Err() == nil {
		ring := g.take()
		ringCtx, cancel := context.WithCancel(ctx)
		var running sync.WaitGroup
		if ring != nil {
			running.Go(func() { ring.run(ringCtx, changed) })
		}
		for ctx.Err() == nil && g.take() == ring {
			select {
			case <-ctx.Done():
			case <-g.reload:
			}
		}
		cancel()
		running.Wait()
		g.clear()
		changed()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ring.abandon()
	return nil
}

// take returns the wanted ring, which is Run's to end from now on.
func (g *gossip) take() *ring {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ring != nil {
		g.ring.taken = true
	}
	return g.ring
}

func (g *gossip) clear() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.alive)
}

// Alive returns a copy.
func (g *gossip) Alive() map[netip.Addr][]byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	alive := make(map[netip.Addr][]byte, len(g.alive))
	for peer, status := range g.alive {
		alive[peer] = status
	}
	return alive
}

// SetStatus has the own status announced.
func (g *gossip) SetStatus(status []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.status = status
	poke(g.update)
}

// Refused counts.
func (g *gossip) Refused() uint64 { return g.refused.Load() }

func (g *gossip) trusts(a netip.Addr) bool { return slices.Contains(*g.peers.Load(), a) }

// delegate answers memberlist's questions; it calls them with a lock held.
type delegate struct {
	*gossip
	node netip.Addr
	port uint16
}

// NodeMeta is the own status.
func (d delegate) NodeMeta(limit int) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.status[:min(len(d.status), limit)]
}

// NotifyMsg and the next three: nothing but membership goes over memberlist.
func (delegate) NotifyMsg([]byte) {}

// GetBroadcasts returns none.
func (delegate) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState is empty.
func (delegate) LocalState(bool) []byte { return nil }

// MergeRemoteState ignores it.
func (delegate) MergeRemoteState([]byte, bool) {}

// NotifyAlive refuses nodes that are no peers, or not where they should be.
func (d delegate) NotifyAlive(n *memberlist.Node) error {
	address, _ := netip.AddrFromSlice(n.Addr)
	if node, ok := d.named(n); ok && address.Unmap() == node && n.Port == d.port {
		return nil
	}
	d.refused.Add(1)
	return errNotPeer
}

// named returns the node, if it is this one or a peer.
func (d delegate) named(n *memberlist.Node) (netip.Addr, bool) {
	node, err := netip.ParseAddr(n.Name)
	return node, err == nil && (node == d.node || d.trusts(node))
}

// NotifyJoin notes a peer and its status.
func (d delegate) NotifyJoin(n *memberlist.Node) {
	node, ok := d.named(n)
	if !ok || node == d.node {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.alive[node] = slices.Clone(n.Meta)
	poke(d.news)
}

// NotifyUpdate does, too.
func (d delegate) NotifyUpdate(n *memberlist.Node) { d.NotifyJoin(n) }

// NotifyLeave notes that a peer is dead or has left.
func (d delegate) NotifyLeave(n *memberlist.Node) {
	node, err := netip.ParseAddr(n.Name)
	if err != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.alive, node)
	poke(d.news)
}
