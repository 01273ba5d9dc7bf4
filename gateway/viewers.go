package gateway

import (
	"net/netip"
	"slices"
)

// desk is a desktop that people sit at, by one of its addresses: it may have several
// names.
type desk = netip.AddrPort

// viewing tells whether the grant is for a person at a desktop, as far as the gateway can
// know: what a tunnel carries on a range port is not its concern.
func (gr *grant) viewing() bool {
	return gr.desktop.entered() || gr.mode == ModeWebSocket && gr.protocol == "vnc"
}

// rival tells whether somebody else is at the desktop of a grant that was not made to
// share it. The caller holds the lock.
func (g *Gateway) rival(gr *grant) bool {
	return gr.verified && gr.viewing() && !gr.desktop.Shared && g.accompanied(gr)
}

// accompanied tells whether anybody else is at the desktop of a grant. The caller holds the
// lock.
func (g *Gateway) accompanied(gr *grant) bool {
	for _, d := range gr.target.addrs {
		for other := range g.reg.desks[d] {
			if other != gr && !other.samePerson(gr) && g.sitsAt(other) {
				return true
			}
		}
	}
	return false
}

// samePerson tells whether two grants are one user's at one place, who came by another way
// or named the VM otherwise: he may be at his desktop twice.
func (gr *grant) samePerson(other *grant) bool {
	return gr.user != "" && gr.user == other.user && gr.verified && other.verified && gr.client == other.client
}

// sitsAt tells whether a grant is in use, or will be in a moment.
func (g *Gateway) sitsAt(gr *grant) bool {
	if gr.remote {
		return gr.busy && slices.Contains(g.deps.Directory.Living(), gr.node)
	}
	return len(gr.channels) > 0
}

func inUse() error {
	return refuse(ErrInUse, "somebody else is at this desktop, and the ticket does not say that it may be shared")
}
