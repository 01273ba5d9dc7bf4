package kernel

import (
	"fmt"
	"testing"
	"time"
)

func TestFiveFailoversInARow(t *testing.T) {
	parallel(t)
	r := newRig(t, shape{nodes: 2})
	c := r.crowd(many)
	for i := range 5 {
		from, to := r.nodes[i%2], r.nodes[(i+1)%2]
		from.failover()
		r.serves(to)
		c.goOn(fmt.Sprintf("failover %d", i+1))
		c.pauses("meanwhile")
	}
	c.shown(r.nodes[1])
	c.finish()
}

// Two of three nodes die, one after the other; the last one has all sessions, also those
// that began after the first one's death.
func TestTwoOfThreeNodesDie(t *testing.T) {
	parallel(t)
	r := newRig(t, shape{nodes: 3})
	c := r.crowd(many / 2)
	c.goOn("begun") // by then the others were told of the last one, too
	r.nodes[0].perish()
	r.takes(r.nodes[1])
	c.goOn("the first one is dead")
	eventually(t, "the nodes know", func() bool { return r.nodes[1].alive() == 2 && r.nodes[2].alive() == 2 })
	c.grow(many / 2)
	c.goOn("more have begun")
	r.nodes[1].perish()
	r.takes(r.nodes[2])
	c.goOn("two are dead")
	c.pauses("two are dead")
	c.shown(r.nodes[2])
	c.finish()
}

// perish is a power-off for good.
func (m *machine) perish() { powerOff(m) }

// A node that comes back with all it knew does not bring back what has ended meanwhile.
func TestNothingIsResurrected(t *testing.T) {
	parallel(t)
	for name, tr := range map[string]trouble{"as it was": {does: cutOff}, "after a boot": {does: powerOff}} {
		t.Run(name, func(t *testing.T) {
			parallel(t)
			r := newRig(t, shape{nodes: 2})
			a, b := r.nodes[0], r.nodes[1]
			c := r.crowd(10 * int(manners))
			c.goOn("begun")
			undo := tr.does(a)
			r.takes(b)
			c.goOn("at the second node")
			ended, revoked := c.all[:8], c.all[8:16]
			for _, s := range ended {
				s.doomed = true
				if err := s.finish(); err != nil {
					t.Error(err)
				}
			}
			b.disconnect(revoked...)
			r.wantReset(revoked, ending)
			undo()
			r.serves(b)
			time.Sleep(told) // nobody can be asked whether it has been told of all
			c.goOn("the first node is back")
			c.stayEnded(b, append(ended, revoked...))
			b.failover()
			r.serves(a)
			c.goOn("at the first node again")
			c.stayEnded(a, append(ended, revoked...))
			in := 0
			for _, s := range revoked {
				if conn, err := r.clients.Dial(s.from, s.tunnel.Addr(), ending); err == nil {
					in++
					_ = conn.Close()
				}
				r.closed(s, "admin")
			}
			if in > 0 {
				t.Errorf("%d of %d clients got in although their tunnels were revoked", in, len(revoked))
			}
			c.finish()
		})
	}
}

// stayEnded wants a node to carry nothing of sessions, and none of them to be active.
func (c *crowd) stayEnded(m *machine, sessions []*session) {
	c.r.t.Helper()
	all := connections(c.r.t, m.api)
	entries := m.tracked()
	var wrong []string
	for _, s := range sessions {
		if l := all[s.tunnel.ID]; l.State == "active" {
			wrong = append(wrong, fmt.Sprintf("%s: got %+v, want it to have ended", s, l))
		}
		if line, there := entries[s.client.conn.LocalAddr().String()]; there {
			wrong = append(wrong, fmt.Sprintf("%s: got an entry at %s, want none: %s", s, m.host.Name(), line))
		}
	}
	if len(wrong) > 0 {
		c.r.t.Errorf("%d complaints about %d sessions that have ended, such as:", len(wrong), len(sessions))
	}
	for _, text := range some(wrong) {
		c.r.t.Error(text)
	}
}
