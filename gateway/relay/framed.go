package relay

import (
	"net"
	"time"

	"vdi-gateway/gateway/frames"
)

// farewellTime is what a client has to take its close frame in. The end of a tunnel
// must be quick, and a peer that is gone says nothing.
const farewellTime = 300 * time.Millisecond

// CloseCode is what a client is told about the end of its WebSocket.
func (r Reason) CloseCode() (code int, reason string) {
	switch r {
	case Shutdown:
		return frames.StatusGoingAway, string(r)
	case ClientClosed, VMClosed, "idle", "max_time":
		return frames.StatusNormal, string(r)
	}
	return frames.StatusInternal, string(r)
}

// carrierOf is the WebSocket that c is, or that is below it; nil: there is none.
func carrierOf(c net.Conn) *frames.Stream {
	for {
		if s, ok := c.(*frames.Stream); ok {
			return s
		}
		u, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		c = u.NetConn()
	}
}

// bare is the connection below everything that tells what it is around.
func bare(c net.Conn) net.Conn {
	for {
		u, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return c
		}
		c = u.NetConn()
	}
}

// watch returns when done is closed. Meanwhile it asks the client of a WebSocket for
// signs of life, and ends the pair when none comes.
func (p *copied) watch(done <-chan struct{}) {
	if p.carrier == nil || p.opt.Ping <= 0 {
		<-done
		return
	}
	v := newVigil(p.opt, time.Now())
	took := func() (uint64, bool) { return unsent(p.carrier) }
	for wait(time.Until(v.next()), done) {
		switch v.look(time.Now(), p.carrier.Heard(), took) {
		case askIt:
			if !v.busy { // else it would wait behind data, and so would we
				p.carrier.Ping()
			}
		case lost:
			p.Kill(KeepaliveTimeout)
			<-done
			return
		}
	}
}

// wait is false when done comes first.
func wait(d time.Duration, done <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-done:
		return false
	}
}

// goodbye ends a client's WebSocket when nobody reads or writes it any more. One that
// takes what is still on its way to it has time to, unless the pair was killed.
func (p *copied) goodbye(why Reason) {
	code, reason := why.CloseCode()
	if tcp, ok := p.carrier.NetConn().(*net.TCPConn); ok && why == KeepaliveTimeout {
		_ = tcp.SetLinger(0) // nobody is there to end it with
	}
	before, _ := unsent(p.carrier)
	p.carrier.Finish(code, reason, farewellTime, func() bool {
		acked, _ := unsent(p.carrier)
		progress := acked > before && !p.killed.Load()
		before = acked
		return progress
	})
	_ = p.up.src.Close() // what is around it
}
