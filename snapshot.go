package main

import (
	"context"
	"net/netip"
	"time"

	"vdi-gateway/api/statistics"
	"vdi-gateway/balancer"
	"vdi-gateway/balancer/directory"
	"vdi-gateway/gateway"
	"vdi-gateway/vrrp"
)

// reportEvery is how often this node tells the others how it does.
const reportEvery = 250 * time.Millisecond

// report tells the other nodes how this one does until ctx is done.
func (a *app) report(ctx context.Context) error {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	for {
		ready, why := a.fit(ctx)
		a.compete(ready, why)
		a.mu.Lock()
		a.wasReady = ready
		revision := a.current.Number
		a.mu.Unlock()
		for _, m := range a.cluster.directory.Members() {
			if m.Alive && !m.Self {
				a.agreement.Saw(m.Node, m.Revision)
			}
		}
		g := a.gateway.Health()
		a.cluster.directory.SetStatus(directory.Status{
			Role: string(a.vrrp.Status().Role), Revision: revision, Connections: g.Used, Draining: g.Draining, Ready: ready, Version: version,
		})
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// opened counts an open_connection for the statistics.
func (a *app) opened(took time.Duration, code string) {
	if code == "" {
		a.statistics.Opened(took)
	} else {
		a.statistics.Refused(code)
	}
}

// snapshot is what the statistics show of this moment. It never waits.
func (a *app) snapshot() statistics.Snapshot {
	a.mu.Lock()
	rev, node, ready := a.current, a.node, a.wasReady
	a.mu.Unlock()
	h, g, r := a.gateway.Health(), a.gateway.Stats(), a.engine.Figures()
	s := statistics.Snapshot{
		Node: node, Role: string(a.vrrp.Status().Role), Ready: ready, Draining: h.Draining, Revision: rev.Number,
		Sessions: g.Sessions, Grants: g.Grants, Channels: g.Channels, Forwarded: g.Forwarded,
		MaxConnections: h.Max, FreePorts: h.FreePorts, BytesUp: g.BytesUp, BytesDown: g.BytesDown,
		Denied:      a.gate.denied.Load(),
		Dispatchers: dispatcherLine(h.Dispatchers),
		Relay:       statistics.Relay{Loops: r.Loops, Pairs: r.Pairs, Pipes: r.Pipes, Spliced: r.Spliced},
		Backends:    backendLines(a.balancer.Stats()),
	}
	if members := a.cluster.directory.Members(); len(members) > 1 {
		s.Nodes = nodeLines(members)
		s.Directory = directoryLine(a.cluster.directory.Stats())
	}
	if k, carrying := a.gateway.Carried(); carrying {
		s.Denied += k.Denied
		s.Kernel = &statistics.Kernel{Flows: k.Flows, Refused: k.Refused, Limited: k.Limited, Dropped: k.Dropped}
	}
	if v := a.vrrp.Status(); v.Role != vrrp.RoleNone {
		s.VRRP = vrrpLine(v)
	}
	return s
}

func vrrpLine(v vrrp.Status) *statistics.VRRP {
	c := v.Counters
	line := &statistics.VRRP{
		Since: v.Since, Took: max(0, v.Took), Strangers: len(v.Strangers), Became: map[string]uint64{}, Discarded: map[string]uint64{},
		Sent: c.Sent, Unsent: c.SendErrors, Received: c.Received, Announced: c.Announced, Guards: c.Guards,
	}
	for role, n := range c.Became {
		line.Became[string(role)] = n
	}
	for why, n := range c.Discarded {
		line.Discarded[string(why)] = n
	}
	return line
}

func dispatcherLine(list []gateway.Dispatcher) (line statistics.Dispatchers) {
	for _, d := range list {
		if d.OK {
			line.Up++
		} else {
			line.Down++
		}
	}
	return line
}

func nodeLines(members []directory.Member) []statistics.NodeLine {
	var lines []statistics.NodeLine
	for _, m := range members {
		lines = append(lines, statistics.NodeLine{
			Addr: m.Node, Alive: m.Alive, Role: m.Role, Ready: m.Ready, Draining: m.Draining,
			Connections: m.Connections, Revision: m.Revision, Version: m.Version,
		})
	}
	return lines
}

func backendLines(s balancer.Stats) []statistics.BackendLine {
	var lines []statistics.BackendLine
	up := map[netip.Addr]bool{}
	for _, n := range s.Nodes {
		up[n.Node] = n.State == balancer.StateUp
	}
	for _, f := range s.Fronts {
		for _, n := range f.Nodes {
			lines = append(lines, statistics.BackendLine{
				Front: f.Name, Node: n.Node, Up: up[n.Node], Connections: n.Current, Total: n.Total,
			})
		}
	}
	return lines
}

func directoryLine(d directory.Stats) *statistics.Directory {
	line := statistics.Directory{
		Records: d.Records, Bytes: int64(d.Bytes),
		Refused: map[string]uint64{"clock": d.Ahead, "full": d.Dropped, "message": d.Messages, "packet": d.Packets},
	}
	for _, p := range d.Peers {
		if p.Alive {
			line.Lag = max(line.Lag, p.Lag)
		}
	}
	return &line
}
