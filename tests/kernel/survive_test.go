package kernel

import (
	"testing"
	"time"
)

// unheard is the longest that sessions may hear nothing while another node takes over
// after its adverts are missed. It is what the kernel takes to drop the address where
// nobody is left to do it, and TCP's next attempt after that.
const unheard = 10 * time.Second

// shapes are the networks in which sessions have to survive.
func shapes() []shape {
	return []shape{{nodes: 2}, {nodes: 2, flat: true}, {nodes: 2, six: true}, {nodes: 2, flat: true, six: true}}
}

func (s shape) String() string {
	name := "two networks"
	if s.flat {
		name = "one network"
	}
	if s.six {
		name += ", IPv6"
	}
	return name
}

// survives has something happen to the active node, and wants all sessions to go on at
// another one, and the node to come back without a word to them.
func (c *crowd) survives(tr trouble, from, to *machine) {
	c.r.t.Helper()
	c.pauses("before")
	at := time.Now()
	undo := tr.does(from)
	c.r.takes(to)
	c.r.t.Logf("%s: %s has the address after %s", tr.name, to.host.Name(), time.Since(at).Round(time.Millisecond))
	c.goOn(tr.name)
	if pause := c.pauses(tr.name); pause > unheard {
		c.r.t.Errorf("%s: got a pause of %s, want %s at most", tr.name, pause, unheard)
	}
	undo()
	c.r.serves(to)
	c.goOn(tr.name + ", and the node is back")
	c.pauses("the node is back")
}

// Whatever happens to the active node: no session is lost, at the next node nor when the
// sessions come back to the first one.
func TestSessionsSurviveTheirNode(t *testing.T) {
	parallel(t)
	for _, s := range shapes() {
		t.Run(s.String(), func(t *testing.T) {
			parallel(t)
			if !full && s.six {
				t.Skip("in the full matrix")
			}
			r := newRig(t, s)
			a, b := r.nodes[0], r.nodes[1]
			c := r.crowd(many)
			if forwarding() == "kernel" {
				c.inKernel()
			}
			c.goOn("begun")
			for _, tr := range troubles() {
				if !full && !tr.quick {
					continue
				}
				c.survives(tr, a, b)
				a, b = b, a
			}
			c.finish()
		})
	}
}
