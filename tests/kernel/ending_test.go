package kernel

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// around is how long before and after a failover begins sessions end.
const around = 60 * time.Millisecond

// Sessions that end in the moment in which another node takes over have ended there, too:
// nobody lists them for ever.
func TestSessionsEndWhileTheyMove(t *testing.T) {
	parallel(t)
	r := newRig(t, shape{nodes: 2})
	c := r.crowd(many)
	c.goOn("begun")
	a, b := r.nodes[0], r.nodes[1]
	const rounds = 4
	for i := range rounds {
		part := c.all[i*many/rounds/2 : (i+1)*many/rounds/2]
		var all sync.WaitGroup
		errs := make([]error, len(part))
		for k, s := range part {
			s.doomed = true
			all.Go(func() {
				time.Sleep(rand.N(2 * around)) // at any moment
				errs[k] = s.finish()
			})
		}
		time.Sleep(around)
		a.failover()
		r.serves(b)
		all.Wait()
		for _, err := range errs {
			if err != nil {
				t.Errorf("ended in round %d: %v", i+1, err)
			}
		}
		c.goOn(fmt.Sprintf("failover %d", i+1))
		a, b = b, a
	}
	c.inactive(a, c.all[:many/2])
	c.finish()
}

// inactive waits until a node does not list sessions as active any more.
func (c *crowd) inactive(m *machine, sessions []*session) {
	c.r.t.Helper()
	var left []string
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		left = nil
		all := connections(c.r.t, m.api)
		for _, s := range sessions {
			if l := all[s.tunnel.ID]; l.State == "active" {
				left = append(left, fmt.Sprintf("%s: %+v", s, l))
			}
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(end) {
			break
		}
	}
	c.r.t.Errorf("%d of %d sessions that have ended are listed as active %s later, such as:", len(left), len(sessions), patience)
	for _, text := range some(left) {
		c.r.t.Error(text)
	}
}
