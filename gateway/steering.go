package gateway

import (
	"vdi-gateway/gateway/kernel"
	"vdi-gateway/gateway/kernel/rules"
)

// Steer has the kernel move the bytes of tunnels that are opened from now on, or the
// relay again. Sessions go on with what carries them; with the relay again it gets the
// next connections of every tunnel. kernel.ErrUnable says in words that this host cannot
// have it; then tunnels are opened as before.
func (g *Gateway) Steer(cfg kernel.Config) error {
	g.applying.Lock()
	defer g.applying.Unlock()
	if !cfg.Enabled {
		g.unsteer()
	}
	if err := g.kernel.Apply(cfg); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.steering = cfg.Enabled
	return nil
}

// unsteer opens sockets for the tunnels that the kernel has led so far.
func (g *Gateway) unsteer() {
	g.mu.Lock()
	g.steering = false
	var former []way
	for _, grants := range []map[ConnectionID]*grant{g.reg.grants, g.reg.others} {
		for _, gr := range grants {
			gr.steered = false
			if gr.door.steered() {
				former = append(former, gr.shut()...)
				g.unlead(gr)
			}
		}
	}
	g.mu.Unlock()
	g.ports.revoke(former...)
}

// unlead opens a socket for a grant that the kernel leads no more. The caller holds the
// lock.
func (g *Gateway) unlead(gr *grant) {
	if err := g.openFor(gr); err != nil {
		g.deps.Log.WithError(err).WithField("port", gr.port).
			Warn("the port of a tunnel cannot be opened: its client cannot connect again")
	}
}

// resteer has a grant that was asked for again led as it is wanted now. The caller
// holds the lock.
func (g *Gateway) resteer(gr *grant) {
	was := gr.door
	gr.steered = gr.steered && g.steerable(gr)
	w := g.wayOf(gr)
	switch {
	case !was.steered():
	case w.steered():
		g.ports.again(was, w)
		gr.door = w
	default:
		gr.door = way{}
		g.unlead(gr)
		go g.ports.revoke(was) // not under the lock
	}
}

func (g *Gateway) steers() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.steering
}

// Reconcile takes away what a former process has left in the kernel and nobody knows. It
// is to be called when what others know was learnt.
func (g *Gateway) Reconcile() {
	var unknown []kernel.Grant
	for _, left := range g.kernel.Grants() {
		if !g.ports.leads(slot{left.Client, left.Port}) {
			unknown = append(unknown, left)
		}
	}
	g.kernel.Forbid(kernel.Revoked, unknown...)
}

// Forwarding are warnings about the way of packets through the kernel, in words; none
// where the relay has them.
func (g *Gateway) Forwarding() []string {
	if !g.steers() {
		return nil
	}
	return g.kernel.Warnings()
}

// Carried is what the kernel has done for tunnels.
type Carried struct {
	Flows int // connections that it carries
	rules.Counters
}

// Carried reads its figures; false: it carries nothing, the relay does.
func (g *Gateway) Carried() (Carried, bool) {
	g.mu.Lock()
	c, steering := Carried{Flows: len(g.flows)}, g.steering
	g.mu.Unlock()
	if !steering {
		return Carried{}, false
	}
	counters, err := g.kernel.Counters()
	if err != nil {
		g.deps.Log.WithError(err).Debug("the kernel's counters cannot be read")
	}
	c.Counters = counters
	return c, true
}
