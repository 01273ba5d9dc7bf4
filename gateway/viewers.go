package gateway

import "slices"

// desk is a desktop that people sit at.
type desk struct {
	host string
	port uint16
}

func (gr *grant) desk() desk { return desk{gr.target.host, gr.target.port} }

// viewing tells whether the grant is for a person at a desktop, as far as the gateway can
// know: what a tunnel carries on a range port is not its concern.
func (gr *grant) viewing() bool {
	return gr.desktop.entered() || gr.mode == ModeWebSocket && gr.protocol == "vnc"
}

// rival tells whether somebody else is at the desktop of a grant that was not made to
// share it. The caller holds the lock.
func (g *Gateway) rival(gr *grant) bool {
	return gr.verified && gr.viewing() && !gr.desktop.Shared && g.taken(gr.desk(), gr)
}

// taken tells whether anybody is at a desktop, but for one. The caller holds the lock.
func (g *Gateway) taken(d desk, but *grant) bool {
	for gr := range g.reg.desks[d] {
		if gr != but && g.sitsAt(gr) {
			return true
		}
	}
	return false
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
