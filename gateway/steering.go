package gateway

import (
	"context"
	"errors"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"time"

	"vdi-gateway/gateway/kernel"
	"vdi-gateway/gateway/kernel/rules"
)

const (
	// leaveTime bounds how long a node that stops waits for its kernel to forget its flows.
	leaveTime = 2 * time.Second
	// carryTime bounds how long a node that becomes active tries to carry on what there was.
	carryTime = 10 * time.Second
)

const unopened = "the port of a tunnel cannot be opened: its client cannot connect again"

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
	for gr := range g.reg.all() {
		gr.steered = false
		if !gr.door.steered() {
			continue
		}
		former = append(former, gr.shut()...)
		if err := g.openFor(gr); err != nil {
			g.deps.Log.WithError(err).WithField("port", gr.port).Warn(unopened)
		}
	}
	g.mu.Unlock()
	g.ports.revoke(former...)
}

// all are the grants of this node and of others.
func (r *registry) all() iter.Seq[*grant] {
	return func(yield func(*grant) bool) {
		for _, grants := range []map[ConnectionID]*grant{r.grants, r.others} {
			for gr := range maps.Values(grants) {
				if !yield(gr) {
					return
				}
			}
		}
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
		if err := g.openFor(gr); err != nil {
			g.deps.Log.WithError(err).WithField("port", gr.port).Warn(unopened)
		}
		go g.ports.revoke(was) // not under the lock
	}
}

// Carry makes this node the one whose kernel moves the bytes: those flows of others that
// it was told of are its own when Carry returns. It is to be called before clients and
// VMs are told that the virtual address is here.
func (g *Gateway) Carry(ctx context.Context) {
	g.mu.Lock()
	g.carries = true
	records, steering := []kernel.Record(nil), g.steering
	g.mu.Unlock()
	if steering {
		records = g.deps.Flows.All()
	}
	began := time.Now()
	late, cancel := beyond(ctx, carryTime)
	defer cancel()
	failed, err := g.kernel.Inject(late, records)
	if !steering {
		return
	}
	log := g.deps.Log.WithField("took", time.Since(began).String())
	g.discard(failed)
	switch {
	case err != nil:
		log.WithError(err).Error("connections of the node before cannot be carried on")
	case len(records) > 0:
		log.Infof("carrying on %d connections of the node before", len(records)-len(failed))
	}
}

// beyond is a context that goes on when ctx's deadline has passed, for d in all: the
// addresses do not wait any longer then, but flows that come late are better than none.
func beyond(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), d)
	stop := context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.Canceled) {
			cancel()
		}
	})
	return late, func() { stop(); cancel() }
}

// discard forgets flows that could not be taken over, since nobody carries them.
func (g *Gateway) discard(failed []error) {
	for _, err := range failed {
		var flow *kernel.NotInjected
		if errors.As(err, &flow) {
			g.deps.Flows.Discard(flow.ID)
		}
		if !errors.Is(err, kernel.ErrNotGranted) { // its grant was revoked
			g.deps.Log.WithError(err).Warn("a connection cannot be carried on")
		}
	}
}

// Follow leaves all flows to another node that has become the one that carries them.
func (g *Gateway) Follow(ctx context.Context) {
	g.mu.Lock()
	g.carries = false
	g.mu.Unlock()
	if err := g.kernel.Withdraw(ctx); err != nil && g.steers() {
		g.deps.Log.WithError(err).Error("connections that another node carries now are still known to this one's kernel")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.concede(time.Now())
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

// receiver is the node that a client has to be brought to; invalid: none, it is served
// here. Where the kernel is to lead it there is no socket to bring it to: a node that
// cannot do that serves it itself. The caller holds the lock.
func (g *Gateway) receiver(gr *grant, now time.Time) netip.Addr {
	if gr.steered {
		g.takeOver(gr, now)
		return netip.Addr{}
	}
	return g.server(gr, now)
}

// keepsSteered is keeps for a grant whose client the kernel leads: who carries its flows
// serves it. While two nodes believe that they do, as may be for a moment when one
// follows the other, each says so again until one of them concedes. The caller holds the
// lock.
func (g *Gateway) keepsSteered(own, told *grant) bool {
	if !g.carries || len(own.channels) == 0 {
		return false
	}
	own.claimed = told.node
	return true
}

// concede settles who serves the grants that another node has claimed. The caller holds
// the lock.
func (g *Gateway) concede(now time.Time) {
	for _, gr := range g.reg.grants {
		rival := gr.claimed
		gr.claimed = netip.Addr{}
		switch {
		case !rival.IsValid():
		case g.carries && len(gr.channels) > 0:
			g.spread(gr, now)
		default:
			g.reg.cede(gr, rival)
		}
	}
}

// leaveFlows leaves the flows of a node that stops to those that live: one of them has
// the virtual address by now, or soon.
func (g *Gateway) leaveFlows() {
	living := g.deps.Directory.Living()
	g.mu.Lock()
	others := slices.ContainsFunc(living, func(a netip.Addr) bool { return a != g.cfg.Node })
	steering := g.steering
	g.mu.Unlock()
	if !steering || !others {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	g.Follow(ctx)
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
