package gateway

import (
	"time"

	"vdi-gateway/gateway/kernel"
	"vdi-gateway/gateway/relay"
)

// flowOwner accounts for the flows of the kernel as for pairs of the relay.
type flowOwner struct{ *Gateway }

// Opened finds the grant of a flow. Where another node has served it so far, this one
// does now.
func (o flowOwner) Opened(f *kernel.Flow) bool {
	g, now := o.Gateway, time.Now()
	g.mu.Lock()
	ch, victim := g.enlist(f, now)
	g.mu.Unlock()
	if victim != nil {
		victim.kill(ReasonReplaced)
	}
	return ch != nil
}

// enlist makes a flow a channel of its grant; nil: it has none, or no room in it. The
// caller holds the lock.
func (g *Gateway) enlist(f *kernel.Flow, now time.Time) (ch, victim *channel) {
	gr := g.reg.slots[slot{plain(f.Client().Addr()), f.Port()}]
	if gr == nil || g.stopped {
		return nil, nil
	}
	if gr.remote && !g.takeOver(gr, now) {
		return nil, nil
	}
	var err error
	if f.Adopted { // whoever let it in has seen to the limit
		ch = gr.join(now)
	} else if ch, victim, err = gr.admit(now); err != nil {
		return nil, nil
	}
	ch.belongs(f)
	g.pairs++
	g.flows[f] = ch
	return ch, victim
}

// Joined accounts for a flow that has reached its VM. One that another process or node
// has begun was told of then.
func (o flowOwner) Joined(f *kernel.Flow) {
	g := o.Gateway
	g.mu.Lock()
	ch := g.flows[f]
	if f.Adopted {
		ch.begin(f.Since())
	}
	g.mu.Unlock()
	if !f.Adopted {
		g.deps.Dialled(time.Since(ch.opened), nil)
		g.joined(ch)
	}
}

// Ended accounts for the end of a flow. One that another node carries on has not ended.
func (o flowOwner) Ended(f *kernel.Flow, res relay.Result) {
	g := o.Gateway
	defer g.ended()
	g.mu.Lock()
	ch := g.flows[f]
	delete(g.flows, f)
	if res.Reason == kernel.Moved {
		ch.finish(res, time.Now())
		g.mu.Unlock()
		return
	}
	g.mu.Unlock()
	if res.Err == nil {
		g.left(ch, res)
		return
	}
	if !f.Adopted {
		g.deps.Dialled(time.Since(ch.opened), res.Err)
	}
	g.failed(ch, ch.grant.target.refusal(res.Err, ch.timeouts))
}
