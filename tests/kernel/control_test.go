package kernel

import (
	"testing"
	"time"
)

// Sessions that are relayed end with their node. If that were not seen here, the other
// tests would prove nothing.
func TestRelayedSessionsEndWithTheirNode(t *testing.T) {
	parallel(t)
	r := newRig(t, shape{nodes: 2, forwarding: "proxy"})
	c := r.crowd(5 * int(manners))
	c.goOn("begun")
	a, b := r.nodes[0], r.nodes[1]
	a.perish()
	r.takes(b)
	at := time.Now()
	eventually(t, "clients that talk are reset by the next node", func() bool {
		for _, s := range c.all {
			if s.client.talks && s.lost() == nil {
				return false
			}
		}
		return true
	})
	for _, s := range c.all {
		s.doomed = true
		if s.manner == vmTalks && s.works(at) {
			t.Errorf("%s: got words through a node that is dead", s)
		}
	}
}

// A session whose end or bytes are not what they should be is lost.
func TestLossIsSeen(t *testing.T) {
	parallel(t)
	r := newRig(t, shape{nodes: 1, flat: true, forwarding: "proxy"})
	for name, harm := range map[string]func(*session){
		"a byte too much": func(s *session) { _, _ = s.vm.conn.Write([]byte{0}) },
		"an early end":    func(s *session) { _ = s.vm.conn.CloseWrite() },
		"a reset":         func(s *session) { _ = s.client.conn.SetLinger(0); _ = s.client.conn.Close() },
	} {
		s := r.plan()
		s.manner = bothTalk
		r.try(r.begin(s))
		harm(s)
		s.client.say()
		s.vm.say()
		eventually(t, name+" is seen", func() bool { return s.lost() != nil })
		t.Logf("%s: %v", name, s.lost())
	}
}
