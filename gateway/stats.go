package gateway

import (
	"maps"
	"net/netip"
)

// Stats are a gateway's figures at one moment.
type Stats struct {
	Sessions  int // grants in use
	Grants    int // reserved and not in use
	Channels  int // connections of sessions
	Others    int // grants of other nodes
	Forwarded int // connections on their way to other nodes
	// BytesUp, from clients to VMs, and BytesDown are those of all sessions of
	// this node since the start.
	BytesUp, BytesDown uint64
}

// traffic is bytes from clients to VMs and back.
type traffic struct{ up, down int64 }

// Stats reads all figures.
func (g *Gateway) Stats() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := Stats{Others: len(g.reg.others), Forwarded: len(g.forwarded)}
	moved := g.moved
	for _, gr := range g.reg.grants {
		if gr.session == nil {
			s.Grants++
			continue
		}
		s.Sessions++
		for _, ch := range gr.channels {
			up, down := ch.bytes()
			moved.up, moved.down = moved.up+up, moved.down+down
			s.Channels++
		}
	}
	s.BytesUp, s.BytesDown = uint64(moved.up), uint64(moved.down) //nolint:gosec // never negative
	return s
}

// Held counts the grants of a client by the node that serves them.
func (g *Gateway) Held(client netip.Addr) map[netip.Addr]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.reg.clients[plain(client)])
}
