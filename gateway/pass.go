package gateway

import (
	"maps"
	"net/netip"
	"slices"

	"vdi-gateway/gateway/relay"
)

// hopsMax is how many nodes a connection comes through at most: one that took its
// client in, and one that turned out not to be the owner any more.
const hopsMax = 2

// pass brings a client to the node that serves its grant, on the same port; nil
// when it has been passed on often enough. The caller holds the lock.
func (g *Gateway) pass(v relay.Visitor, local netip.AddrPort, node netip.Addr, pair relay.Pair) *relay.Call {
	if v.Hops >= hopsMax {
		return nil
	}
	own, t := g.cfg.Node, g.cfg.Timeouts
	g.forwarded[pair] = struct{}{}
	g.pairs++
	return &relay.Call{
		To:      []netip.AddrPort{netip.AddrPortFrom(node, local.Port())},
		Timeout: t.Dial,
		Prelude: relay.Header(v.Client, local, v.Hops+1),
		// The owner believes the header by the address it comes from.
		Setup: func(fd int) error { return dialling(fd, own, node, t) },
		Options: relay.Options{HalfClose: t.HalfClose, OnEnd: func(relay.Result) {
			g.mu.Lock()
			delete(g.forwarded, pair)
			g.mu.Unlock()
			g.ended()
		}},
	}
}

// passing are the connections that are passed on; the caller holds the lock.
func (g *Gateway) passing() []relay.Pair { return slices.Collect(maps.Keys(g.forwarded)) }

func killAll(pairs []relay.Pair, why relay.Reason) {
	for _, p := range pairs {
		p.Kill(why)
	}
}
