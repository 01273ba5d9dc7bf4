package main

import (
	"net/netip"

	"vdi-gateway/balancer"
	"vdi-gateway/gateway/relay"
)

// frontDoors are the balancer's listening sockets, served by the relay that
// serves the tunnels.
func frontDoors(engine *relay.Engine) func(netip.AddrPort, balancer.Door) (balancer.Listener, error) {
	return func(addr netip.AddrPort, d balancer.Door) (balancer.Listener, error) {
		return engine.Listen(addr, relay.DoorOptions{
			Setup: d.Setup, Starved: d.Starved,
			Knock: func(v relay.Visitor, p relay.Pair) *relay.Call {
				return frontCall(d.Knock(v.Client, func() { p.Kill(relay.KeepaliveTimeout) }))
			},
		})
	}
}

// frontCall is a route as the relay goes it.
func frontCall(r *balancer.Route) *relay.Call {
	if r == nil {
		return nil
	}
	return &relay.Call{
		To: r.To, Timeout: r.Timeout, Setup: r.Setup, Prelude: r.Header, Missed: r.Missed, Joined: r.Joined,
		Options: relay.Options{
			HalfClose: r.HalfClose,
			OnEnd:     func(result relay.Result) { r.Ended(result.Up, result.Down) },
		},
	}
}

// frontHeader tells a node whom a connection through a front is for.
func frontHeader(client, local netip.AddrPort) []byte { return relay.Header(client, local, 0) }

// frontMembers are the nodes as the balancer sees them.
func (c *cluster) frontMembers() []balancer.Member {
	members := c.directory.Members()
	list := make([]balancer.Member, 0, len(members))
	for _, m := range members {
		list = append(list, balancer.Member{
			Node: m.Node, Alive: m.Alive, Ready: m.Ready, Draining: m.Draining, Connections: m.Connections,
		})
	}
	return list
}
