package gateway

import (
	"net/netip"
	"time"
)

// choice is the ports a grant may get: a range, of which the nodes of a cluster
// begin with different parts, so that they seldom want the same.
type choice struct {
	first, last uint16
	turn, of    int             // node turn of so many; of 0: one node alone
	not         map[uint16]bool // tried before
}

// all yields the ports, those this node prefers first, each in ascending order.
func (c choice) all(yield func(uint16) bool) {
	of := max(c.of, 1)
	for part := range of {
		for p := int(c.first) + (c.turn+part)%of; p <= int(c.last); p += of {
			if port := uint16(p); !c.not[port] && !yield(port) { //nolint:gosec // between two uint16
				return
			}
		}
	}
}

// freePort is the first port of the choice that the client has no grant on.
func (r *registry) freePort(client netip.Addr, among choice, now time.Time) (uint16, bool) {
	for port := range among.all {
		if r.slots[slot{client, port}] == nil && !now.Before(r.blocked[port]) {
			return port, true
		}
	}
	return 0, false
}
