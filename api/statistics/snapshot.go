package statistics

import (
	"net/netip"
	"time"
)

// Snapshot is what a node knows of itself at one moment. Counters (uint64) only
// grow while the process runs. A zero Snapshot is a node that has not begun.
type Snapshot struct {
	Node     netip.Addr // this node's entry in internal_addrs; invalid: it has none
	Role     string     // of VRRP: active, backup, fault, none
	Ready    bool       // it takes sessions, as /readyz says
	Draining bool
	Revision int64 // of the settings that are applied

	Sessions       int // grants in use
	Grants         int // reserved and not used yet
	Channels       int // connections and WebSockets of sessions
	Forwarded      int // connections that came for another node, carried to it now
	MaxConnections int // limit of sessions and grants; 0: none
	FreePorts      int // ports of the range without any grant

	BytesUp   uint64 // from clients to VMs
	BytesDown uint64 // from VMs to clients

	Denied uint64 // clients that the access list kept out

	Dispatchers Dispatchers
	Relay       Relay
	Kernel      *Kernel       // nil: it carries nothing
	Directory   *Directory    // nil: the node is alone
	VRRP        *VRRP         // nil: there is no virtual address to move
	Backends    []BackendLine // of the balancer's frontends; none on a node alone
	Nodes       []NodeLine    // this one included, in the order of internal_addrs; none: the node is alone
}

// Dispatchers are the targets of the service tunnel, by the outcome of their
// last check.
type Dispatchers struct{ Up, Down int }

// Relay is what moves the bytes.
type Relay struct {
	Loops   int    // event loops
	Pairs   int    // joined connections
	Pipes   int    // pipes lent to fast streams or kept for the next
	Spliced uint64 // bytes that never entered the process
}

// Kernel is what carries tunnels instead of the relay.
type Kernel struct {
	Flows int // connections
	// Refused are connections that got a reset instead of a VM, Limited those of them that
	// were too many at once, and Dropped packets that belonged to no connection.
	Refused, Limited, Dropped uint64
}

// Directory is what the nodes have told each other.
type Directory struct {
	Records map[string]int // by kind
	Bytes   int64          // of all values
	// Lag is how long, at most, a record of this node has waited for a living
	// node to have it.
	Lag     time.Duration
	Refused map[string]uint64 // records that were not taken, by why
}

// BackendLine is one node behind one frontend of the virtual address.
type BackendLine struct {
	Front       string // name of the frontend: api, service
	Node        netip.Addr
	Up          bool // by its checks
	Connections int  // open now
	Total       uint64
}

// NodeLine is one node as this one sees it.
type NodeLine struct {
	Addr        netip.Addr
	Alive       bool
	Role        string
	Ready       bool
	Draining    bool
	Connections int
	Revision    int64
	Version     string
}

// nodes are the nodes to show: of one alone, itself.
func (s *Snapshot) nodes(version string) []NodeLine {
	if len(s.Nodes) > 0 {
		return s.Nodes
	}
	return []NodeLine{{
		Addr: s.Node, Alive: true, Role: s.Role, Ready: s.Ready, Draining: s.Draining,
		Connections: s.Sessions + s.Grants, Revision: s.Revision, Version: version,
	}}
}
