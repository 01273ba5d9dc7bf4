package gateway

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"vdi-gateway/gateway/kernel"
)

const (
	// leaveTime bounds how long a node that stops waits for its kernel to forget its flows.
	leaveTime = 2 * time.Second
	// carryTime bounds how long a node that becomes active tries to carry on what there was.
	carryTime = 10 * time.Second
)

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
