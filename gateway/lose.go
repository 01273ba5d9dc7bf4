package gateway

import "time"

// lostWait is how long a session of a grant that another node has ended has to go on here
// until this node says that the grant is still there. It is more than it takes a node that
// was cut off to hear who carries its flows now.
const lostWait = 3 * time.Second

// Lose is called when another node, which has served a grant of this one meanwhile, has
// ended it: it was revoked there, given back, or its time was over. It ends here, too,
// unless a session of it goes on here.
func (g *Gateway) Lose(id ConnectionID) {
	g.mu.Lock()
	gr := g.reg.grants[id]
	if gr == nil {
		g.mu.Unlock()
		return
	}
	now := time.Now()
	gr.lost = now
	ends := g.bereave(gr, now, nil)
	g.mu.Unlock()
	g.end(ends)
}

// bereave takes a lost grant out when nobody uses it; a session that has gone on for a
// while was not what the other node meant. To be called like revoke.
func (g *Gateway) bereave(gr *grant, now time.Time, ends []ending) []ending {
	switch {
	case gr.lost.IsZero():
	case len(gr.channels) == 0:
		g.reg.expire(gr, now)
		return append(ends, ending{doors: gr.shut()})
	case now.Sub(gr.lost) > lostWait && (g.carries || !gr.steered):
		gr.lost = time.Time{}
		g.spread(gr, now)
	}
	return ends
}
