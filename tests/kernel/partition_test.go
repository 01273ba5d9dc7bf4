package kernel

import (
	"fmt"
	"testing"
	"time"
)

const (
	// parted is how long nodes cannot hear each other.
	parted = 4 * time.Second
	// told is what it may take, after they can, until each knows what the others know.
	told = 3 * time.Second
)

// deafen has the switch lose what goes between the first node and all others.
func (r *rig) deafen(what ...string) (undo func()) {
	r.t.Helper()
	a := r.nodes[0].host
	r.try(a.Mute(what...))
	return func() { r.try(a.Unmute()) }
}

// between are the packets that nodes exchange, VRRP among them or not.
func (r *rig) between(vrrp bool) (matches []string) {
	for _, m := range r.nodes[1:] {
		a, b := r.nodes[0].host, m.host
		for _, pair := range [][2]string{{a.Addr().String(), b.Addr().String()}, {b.Addr().String(), a.Addr().String()}} {
			matches = append(matches, fmt.Sprintf("ip saddr %s ip daddr %s ip protocol { tcp, udp }", pair[0], pair[1]))
		}
		for _, pair := range [][2]string{{a.Addr6().String(), b.Addr6().String()}, {b.Addr6().String(), a.Addr6().String()}} {
			matches = append(matches, fmt.Sprintf("ip6 saddr %s ip6 daddr %s", pair[0], pair[1]))
		}
	}
	if vrrp {
		matches = append(matches, "ip protocol 112", "ip6 nexthdr 112")
	}
	return matches
}

// The nodes' directory is parted while the one with the address goes on: what begins
// meanwhile is known to the other one after it has healed.
func TestDirectoryIsParted(t *testing.T) {
	parallel(t)
	r := newRig(t, shape{nodes: 2})
	a, b := r.nodes[0], r.nodes[1]
	c := r.crowd(10 * int(manners))
	c.goOn("begun")
	heal := r.deafen(r.between(false)...)
	eventually(t, "the nodes miss each other", func() bool { return a.alive() == 1 && b.alive() == 1 })
	c.grow(5 * int(manners))
	ended := c.all[:int(manners)]
	for _, s := range ended {
		s.doomed = true
		if err := s.finish(); err != nil {
			t.Error(err)
		}
	}
	c.goOn("parted")
	heal()
	r.serves(a)
	time.Sleep(told) // nobody can be asked whether it has been told of all
	c.goOn("healed")
	undo := cutOff(a)
	r.takes(b)
	c.goOn("at the second node")
	c.stayEnded(b, ended)
	undo()
	r.serves(b)
	c.shown(b)
	c.finish()
}

// Nodes that hear nothing of each other are both active; sessions go on with whom their
// packets come to, and with one node when that is over.
func TestNodesAreParted(t *testing.T) {
	parallel(t)
	r := newRig(t, shape{nodes: 2})
	a, b := r.nodes[0], r.nodes[1]
	c := r.crowd(10 * int(manners))
	c.goOn("begun")
	heal := r.deafen(r.between(true)...)
	r.takes(b)
	until := time.Now().Add(parted)
	for time.Now().Before(until) {
		c.goOn("both are active")
		time.Sleep(time.Second)
	}
	c.pauses("both are active")
	heal()
	r.serves(a)
	c.goOn("healed")
	c.shown(a)
	undo := cutOff(a)
	r.takes(b)
	c.goOn("at the second node")
	undo()
	r.serves(b)
	c.finish()
}
