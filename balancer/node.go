package balancer

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

const (
	rise = 2 // passes in a row that bring a node up
	fall = 3 // failures in a row that take it down
)

// State of a node as this balancer sees it.
type State string

// The states.
const (
	StateUnknown  State = "unknown"   // no check has ended yet
	StateUp       State = "up"        // clients are sent there
	StateDraining State = "draining"  // only if all others drain, too
	StateNotReady State = "not_ready" // by its own word
	StateDown     State = "down"      // dead, by the checks or the membership
)

// node is one node and what is known of it. The Balancer's lock guards it.
type node struct {
	addr netip.Addr
	kick chan struct{} // capacity 1: check now

	member  Member
	health  health
	load    load
	checks  uint64
	failed  uint64
	lastErr error // of the last failed check
	told    State // what the log knows
	// clients are the connections that reached it.
	clients map[*connection]bool
}

func newNode(addr netip.Addr) *node {
	return &node{addr: addr, kick: make(chan struct{}, 1), told: StateUnknown, clients: map[*connection]bool{}}
}

// heard takes what the membership says.
func (n *node) heard(m Member, now time.Time) {
	n.member = m
	n.load = n.load.reported(m.Connections, now)
	if !m.Alive {
		n.health = n.health.gone(now)
	}
}

// leave takes the clients off a node that is dead by the membership and by its last check
// alike: its heir serves them, and a client that says nothing would wait for an answer of
// the dead for ever.
func (n *node) leave(failed bool) (clients []*connection) {
	if !failed || n.member.Alive {
		return nil
	}
	clients = slices.Collect(maps.Keys(n.clients))
	clear(n.clients)
	return clients
}

func (n *node) state() State {
	switch {
	case !n.health.known:
		return StateUnknown
	case !n.health.up:
		return StateDown
	case n.member.Draining:
		return StateDraining
	case !n.member.Ready:
		return StateNotReady
	}
	return StateUp
}

// health is what checks and the membership have shown.
type health struct {
	known, up bool
	row       int       // results in a row that speak against up
	since     time.Time // of up's last change
}

// checked is h after a check. The first one decides alone: at the start there is
// nothing to wait for.
func (h health) checked(pass, alive bool, now time.Time) health {
	pass = pass && alive
	if !h.known {
		return health{known: true, up: pass, since: now}
	}
	if pass == h.up {
		h.row = 0
		return h
	}
	h.row++
	if h.up && h.row >= fall || !h.up && h.row >= rise {
		return health{known: true, up: pass, since: now}
	}
	return h
}

// gone is h after the membership has lost the node. Only checks bring it back.
func (h health) gone(now time.Time) health {
	if !h.known {
		return h // the first check will tell
	}
	if h.up {
		h.since = now
	}
	h.up, h.row = false, 0
	return h
}
