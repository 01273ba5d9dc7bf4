package balancer

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Stats are figures since the start. What is removed by an Apply takes its
// counts along.
type Stats struct {
	Fronts []FrontStats // by name
	Nodes  []NodeStats  // in the order of Config.Nodes
}

// FrontStats are those of one front.
type FrontStats struct {
	Name    string
	Listen  netip.AddrPort
	Total   uint64 // clients that came
	Refused uint64 // of these, for want of room or of nodes
	Lost    uint64 // of these, since none of their nodes could be reached
	Nodes   []BackendStats
}

// BackendStats are those of one node behind a front.
type BackendStats struct {
	Node     netip.Addr
	Current  int    // connections there or on their way
	Total    uint64 // connections that reached it
	Missed   uint64 // attempts to reach it that failed; the client went on to another
	Up, Down int64  // bytes from and to clients, of connections that have ended
	Suspect  bool
}

// NodeStats are what is known of a node.
type NodeStats struct {
	Node         netip.Addr
	State        State
	Since        time.Time // when the checks or the membership last took it up or down
	Load         int       // what leastconn compares
	Checks       uint64
	FailedChecks uint64
	LastError    string // of the last failed check
}

// Stats reads all figures.
func (b *Balancer) Stats() Stats {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	var s Stats
	for _, f := range b.fronts {
		s.Fronts = append(s.Fronts, f.stats(b.nodes))
	}
	slices.SortFunc(s.Fronts, func(a, b FrontStats) int { return strings.Compare(a.Name, b.Name) })
	for _, n := range b.nodes {
		s.Nodes = append(s.Nodes, n.stats(now))
	}
	return s
}

func (f *front) stats(nodes []*node) FrontStats {
	s := FrontStats{Name: f.Name, Listen: f.listen, Total: f.total, Refused: f.refused, Lost: f.lost}
	for _, n := range nodes {
		at := f.backends[n.addr]
		s.Nodes = append(s.Nodes, BackendStats{
			Node: n.addr, Current: at.current, Total: at.total, Missed: at.missed,
			Up: at.up, Down: at.down, Suspect: !at.suspect.IsZero(),
		})
	}
	return s
}

func (n *node) stats(now time.Time) NodeStats {
	s := NodeStats{
		Node: n.addr, State: n.state(), Since: n.health.since, Load: n.load.at(now).total(),
		Checks: n.checks, FailedChecks: n.failed,
	}
	if n.lastErr != nil {
		s.LastError = n.lastErr.Error()
	}
	return s
}
