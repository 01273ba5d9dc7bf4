package relay

import (
	"errors"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// greeting is what a flow needs until its peer has said whom it speaks for.
type greeting struct {
	door  *door
	via   netip.Addr
	until time.Time
}

// greet waits for the PROXY header of a peer that has to send one.
func (l *loop) greet(d *door, f *flow, via netip.Addr) {
	if len(l.greetings) >= greetingsMax {
		resetSocket(f.client.fd)
		return
	}
	f.greeting = &greeting{door: d, via: via, until: l.now.Add(greetingTime)}
	f.enrol(l)
	l.greetings[f] = struct{}{}
	if l.stopping || l.watch(f, &f.client) != nil {
		f.kill(l, Shutdown)
	}
}

// hear looks at what the peer has said. It only looks until the header is whole,
// so that nothing of the client is taken with it.
func (f *flow) hear(l *loop) {
	n, _, err := unix.Recvfrom(f.client.fd, l.buf[:headerMax], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return
	}
	h, bad := parseHeader(l.buf[:max(n, 0)])
	switch {
	case err == nil && errors.Is(bad, errShort) && !f.client.hung:
	case err != nil || bad != nil:
		f.kill(l, ClientClosed)
	default:
		f.heard(l, h)
	}
}

// heard goes on with the client that the header names.
func (f *flow) heard(l *loop, h header) {
	g := f.greeting
	if n, errno := read(f.client.fd, l.buf[:h.size]); n != h.size || errno != 0 {
		f.kill(l, ClientClosed)
		return
	}
	if h.local {
		f.end(l, Result{Reason: ClientClosed})
		return
	}
	f.greeting = nil
	delete(l.greetings, f)
	// It is watched again, from the beginning, when the VM has answered.
	_ = unix.EpollCtl(l.ep, unix.EPOLL_CTL_DEL, f.client.fd, nil) // it is watched
	f.client.readable, f.client.hung = false, false
	call := g.door.engine.knock(g.door.opt, Visitor{Client: h.client, Via: g.via, Hops: h.hops}, f)
	if call == nil {
		f.kill(l, ClientClosed)
		return
	}
	if call.Take != nil {
		g.door.give(f.client.fd, call)
		f.end(l, Result{Reason: ClientClosed}) // nobody is told: it was nobody's yet
		return
	}
	f.start(l, g.door, call)
}

// sweepGreetings gives up on peers that say nothing.
func (l *loop) sweepGreetings() {
	for f := range l.greetings {
		if !l.now.Before(f.greeting.until) {
			f.kill(l, ClientClosed)
		}
	}
}
