package kernel

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"vdi-gateway/tests/node"
)

// Strangers on both networks send whatever TCP knows to every port, before, while and after
// another node takes over: nothing of it comes to a VM, and nobody notices.
func TestStrangersReachNothing(t *testing.T) {
	parallel(t)
	for _, s := range shapes() {
		t.Run(s.String(), func(t *testing.T) {
			parallel(t)
			if !full && (s.six || s.flat) {
				t.Skip("in the full matrix")
			}
			bothered(newRig(t, s))
		})
	}
}

func bothered(r *rig) {
	r.t.Helper()
	out := r.newStranger(r.outside.Host("stranger", "10.99.0.66/24", "fd99::66/64"), r.address(66))
	in := out
	if !r.shape.flat {
		in = r.newStranger(r.inside.Host("guest", "10.98.0.66/24", "fd98::66/64"), r.insideAddress(66))
	}
	n := 10 * int(manners)
	c := r.crowd(n)
	var seen []func() int
	for _, v := range r.vms {
		seen = append(seen, r.counting(v))
	}
	c.goOn("begun")
	c.pauses("before")
	outside := []netip.Addr{r.virtual, r.nodes[0].host.Addr(), r.nodes[1].host.Addr()}
	inside := []netip.Addr{r.within, r.nodes[0].leg.Addr(), r.nodes[1].leg.Addr()}
	if r.shape.six {
		outside = []netip.Addr{r.virtual, r.nodes[0].host.Addr6(), r.nodes[1].host.Addr6()}
		inside = []netip.Addr{r.within, r.nodes[0].leg.Addr6(), r.nodes[1].leg.Addr6()}
	}
	stopOut := out.bother(r, outside, node.PortStart, node.PortStop)
	stopIn := in.bother(r, inside, node.PortStart, node.PortStop)
	c.goOn("bothered")
	r.tryAll(out, outside)
	undo := cutOff(r.nodes[0])
	r.takes(r.nodes[1])
	c.goOn("bothered while a node dies")
	undo()
	r.serves(r.nodes[1])
	c.goOn("bothered at the next node")
	r.tryAll(out, outside)
	r.t.Logf("%d and %d volleys", stopOut(), stopIn())
	c.pauses("bothered")
	for i, count := range seen {
		if got := count(); got > 0 {
			r.t.Errorf("VM %s got %d packets of strangers, want none", r.vms[i].addr, got)
		}
	}
	c.shown(r.nodes[1])
	c.finish()
}

// counting counts new connections to a VM from now on.
func (r *rig) counting(v *vmHost) func() int {
	r.t.Helper()
	counter, err := v.Count("tcp dport 7000 tcp flags & (syn|ack) == syn")
	r.try(err)
	return func() int {
		n, err := counter.Packets()
		r.try(err)
		return n
	}
}

// tryAll connects to some ports that others have, from the stranger's address: it is
// refused, or nobody answers.
func (r *rig) tryAll(s *stranger, addrs []netip.Addr) {
	r.t.Helper()
	for _, a := range addrs {
		for _, port := range []uint16{node.PortStart, node.PortStart + 1, node.PortStop} {
			conn, err := s.host.Dial(s.from, netip.AddrPortFrom(a, port), 300*time.Millisecond)
			if err == nil {
				_, _ = conn.Write([]byte("let me in"))
				_ = conn.SetReadDeadline(time.Now().Add(ending))
				_, err = conn.Read(make([]byte, 1))
				_ = conn.Close()
			}
			if !refused(err) {
				r.t.Errorf("port %d of %s: got %v for a stranger, want a refusal or silence", port, a, err)
			}
		}
	}
}

// refused tells whether somebody was not let in.
func refused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EHOSTUNREACH) || isTimeout(err)
}

func isTimeout(err error) bool {
	var late interface{ Timeout() bool }
	return errors.As(err, &late) && late.Timeout()
}
