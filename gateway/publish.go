package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// publishTries bounds how often a port is given up because another node knows an
// older connection on it: it is rare once, and nodes prefer different ports.
const publishTries = 8

// publish makes the grant of an answer reachable: its port lets the client pass
// here, and every living node knows of it. A port that the others refuse is
// exchanged for another one.
func (g *Gateway) publish(ctx context.Context, answer *Grant) error {
	tried := map[uint16]bool{}
	for range publishTries {
		if answer.Port != 0 {
			if err := g.ports.reach(answer.Port); err != nil {
				return refuseFor(time.Second, ErrNoFreePort, fmt.Sprintf("port %d cannot be opened: %v", answer.Port, err))
			}
		}
		err := g.share(ctx, answer.ID)
		if !errors.Is(err, ErrSlotTaken) {
			return err
		}
		tried[answer.Port] = true
		if answer.Port, err = g.exchange(answer.ID, tried); err != nil {
			return err
		}
	}
	return refuseFor(time.Second, ErrNoFreePort, "other nodes hold every port that was tried for this client address")
}

// share has the others know a grant as it is now. What changes meanwhile is told
// afterwards.
func (g *Gateway) share(ctx context.Context, id ConnectionID) error {
	g.mu.Lock()
	gr, now := g.reg.grants[id], time.Now()
	if gr == nil { // ended meanwhile
		g.mu.Unlock()
		return nil
	}
	r := gr.record(now)
	gr.told, gr.busy = r.Expires, len(gr.channels) > 0
	before := gr.telling
	g.mu.Unlock()
	err := g.deps.Directory.Share(ctx, r)
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case gr.ended: // while it was told
		g.deps.Directory.Forget(id)
	case gr.remote: // another node has taken it over
	case gr.telling != before:
		g.spread(gr, time.Now())
	}
	return err
}

// exchange gives a grant another port than those tried.
func (g *Gateway) exchange(id ConnectionID, tried map[uint16]bool) (uint16, error) {
	g.mu.Lock()
	gr := g.reg.grants[id]
	if gr == nil {
		g.mu.Unlock()
		return 0, refuse(ErrNotFound, "the connection was ended")
	}
	freed := gr.shut()
	err := g.reseat(gr, tried, time.Now())
	port := gr.port
	g.mu.Unlock()
	g.ports.revoke(freed...)
	return port, err
}

// reseat gives a grant of this node a new port, bound; the caller holds the lock.
// The door of the former one is closed with the grant, or by who shut it.
func (g *Gateway) reseat(gr *grant, not map[uint16]bool, now time.Time) error {
	was := gr.shut()
	among := g.choice(not)
	g.reg.leavePort(gr)
	err := g.reg.takePort(gr, among, now)
	if err == nil {
		err = g.bindFor(gr, among, now)
	}
	go g.ports.revoke(was...) // not under the lock
	return err
}

// Reopening asks the node that has a caller's grant for it again.
type Reopening struct {
	Request    OpenRequest // without a ticket, which has been used
	Verified   bool        // there was one
	SessionMax time.Duration
	Bound      bool // it was made for this client
}

// reopenElsewhere asks the living node that has the caller's own grant for it. An
// error means that there is none: this node opens one.
func (g *Gateway) reopenElsewhere(ctx context.Context, key reopenKey, r OpenRequest, t TicketRequest) (Grant, error) {
	var node netip.Addr
	g.mu.Lock()
	if gr := g.reg.byKey[key]; key.user != "" && gr != nil && gr.remote && !r.here {
		node = g.server(gr, time.Now())
	}
	g.mu.Unlock()
	if !node.IsValid() {
		return Grant{}, ErrNotFound
	}
	q := Reopening{Request: r, Verified: r.Ticket != "", SessionMax: t.SessionMax, Bound: t.Client.IsValid()}
	q.Request.Ticket = ""
	answer, err := g.deps.Directory.Reopen(ctx, node, q)
	if err != nil {
		g.deps.Log.WithError(err).WithField("node", node).Info("a client asks again for a tunnel that its node does not give; opening another")
	}
	return answer, err
}

// Reopen answers another node, whose client asks again for a grant of this node.
// ErrNotFound: there is none.
func (g *Gateway) Reopen(ctx context.Context, q Reopening) (Grant, error) {
	r := q.Request
	vm, err := g.resolveTarget(ctx, r.VMAddr, r.VMPort)
	if err != nil {
		return Grant{}, err
	}
	g.mu.Lock()
	key := reopenKey{r.Client, vm.host, vm.port, r.User, r.Mode}
	t := TicketRequest{SessionMax: q.SessionMax}
	if q.Bound {
		t.Client = r.Client
	}
	answer, ok := g.reopen(key, r, t, time.Now())
	if ok {
		g.reg.grants[answer.ID].verified = q.Verified
	}
	g.mu.Unlock()
	if !ok {
		return Grant{}, ErrNotFound
	}
	return answer, g.publish(ctx, &answer)
}
