package gateway

import (
	"time"

	"vdi-gateway/gateway/kernel"
)

// Who carries a client's connection serves its grant, which another node may end in the
// same moment. What it ended on purpose has ended, whichever the nodes hear of first.

// inherited notes what the node said that has served the grant so far. The caller holds
// the lock.
func (gr *grant) inherited() {
	gr.heir, gr.former = true, time.Time{}
	if !gr.expires.IsZero() {
		gr.former = gr.expires.Add(-recordMargin)
	}
}

// Unlearn forgets a grant of another node that has ended there. One that this node has
// taken over meanwhile ends here, too, if its time was not over.
func (g *Gateway) Unlearn(id ConnectionID) {
	now := time.Now()
	var e ending
	g.mu.Lock()
	if gr := g.reg.others[id]; gr != nil {
		e.doors = g.reg.unlearn(gr)
	} else if gr = g.reg.grants[id]; gr != nil && gr.endedBefore(now) {
		e = g.revoke(gr, kernel.Revoked, "")
	}
	g.mu.Unlock()
	g.end([]ending{e})
}

// endedBefore tells whether the node that has served a grant before, and says now that it
// has ended, has ended it on purpose.
func (gr *grant) endedBefore(now time.Time) bool {
	return gr.heir && gr.steered && (gr.former.IsZero() || now.Before(gr.former))
}

// Revoked tells, once, whether this node has ended a grant on purpose, which another node
// says it has taken over: it had not heard of that, and has to be told again.
func (g *Gateway) Revoked(id ConnectionID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, was := g.reg.revoked[id]
	delete(g.reg.revoked, id)
	return was
}
