package kernel

import (
	"testing"
	"time"
)

// What the dispatcher ends while nobody has the address is ended; the rest goes on.
func TestDisconnectDuringFailover(t *testing.T) {
	parallel(t)
	for name, wait := range map[string]time.Duration{"at once": 0, "while it is noticed": 150 * time.Millisecond, "at the take-over": 280 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			parallel(t)
			if !full && wait > 0 {
				t.Skip("in the full matrix")
			}
			r := newRig(t, shape{nodes: 2})
			a, b := r.nodes[0], r.nodes[1]
			c := r.crowd(10 * int(manners))
			c.goOn("begun")
			doomed := c.all[:4*int(manners)]
			undo := cutOff(a)
			time.Sleep(wait) // that it is at another moment, waits for nothing
			b.disconnect(doomed...)
			r.takes(b)
			r.wantReset(doomed, patience)
			c.goOn("at the second node")
			undo()
			r.serves(b)
			c.goOn("the first node is back")
			c.stayEnded(a, doomed)
			c.stayEnded(b, doomed)
			c.finish()
		})
	}
}

// While all is well both ends know at once, also when they say nothing.
func TestDisconnectEndsBothSides(t *testing.T) {
	parallel(t)
	r := newRig(t, shape{nodes: 2})
	c := r.crowd(many)
	c.goOn("begun")
	half := c.all[:many/2]
	at := time.Now()
	r.nodes[1].disconnect(half...) // any node speaks for all
	r.wantReset(half, ending)
	t.Logf("%d sessions were ended at both sides in %s", len(half), time.Since(at))
	for _, s := range half {
		r.closed(s, "admin")
	}
	c.goOn("the others")
	c.finish()
	c.once()
}
