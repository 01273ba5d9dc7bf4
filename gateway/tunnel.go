package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"vdi-gateway/gateway/relay"
)

// knock matches a client on a range port to its grant and says where it wants
// to go; nil refuses it. It runs on the relay's loops and must not block.
func (g *Gateway) knock(v relay.Visitor, local netip.AddrPort, pair relay.Pair) *relay.Call {
	now := time.Now()
	g.mu.Lock()
	gr := g.reg.slots[slot{plain(v.Client.Addr()), local.Port()}]
	if gr == nil || g.stopped {
		g.mu.Unlock()
		return nil
	}
	if gr.remote {
		if node := g.receiver(gr, now); node.IsValid() {
			defer g.mu.Unlock()
			return g.pass(v, local, node, pair)
		}
	}
	if g.rival(gr) {
		g.mu.Unlock()
		return nil
	}
	ch, victim, err := gr.admit(now)
	if err == nil {
		g.pairs++
	}
	g.mu.Unlock()
	if err != nil {
		return nil
	}
	if victim != nil {
		victim.kill(ReasonReplaced)
	}
	if ch.desktop.entered() {
		return &relay.Call{Take: func(client *net.TCPConn) { g.serveViewer(ch, client) }}
	}
	ch.belongs(pair)
	return g.call(ch)
}

// given counts a pair that the relay gets.
func (g *Gateway) given() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pairs++
}

// ended counts a pair whose end the relay has told.
func (g *Gateway) ended() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pairs--; g.pairs == 0 {
		g.quiet.Broadcast()
	}
}

// call is what the relay does for a channel.
func (g *Gateway) call(ch *channel) *relay.Call {
	return &relay.Call{
		To:      ch.grant.target.addrs,
		Timeout: ch.timeouts.Dial,
		Setup:   func(fd int) error { return tune(fd, ch.timeouts) },
		Joined: func() {
			g.deps.Dialled(time.Since(ch.opened), nil)
			g.joined(ch)
		},
		Options: relay.Options{HalfClose: ch.timeouts.HalfClose, OnEnd: func(res relay.Result) {
			defer g.ended()
			if res.Err != nil {
				g.deps.Dialled(time.Since(ch.opened), res.Err)
				g.failed(ch, ch.grant.target.refusal(res.Err, ch.timeouts))
				return
			}
			g.left(ch, res)
		}},
	}
}

// joined accounts for a channel that has reached its VM.
func (g *Gateway) joined(ch *channel) {
	now := time.Now()
	g.mu.Lock()
	fresh := ch.begin(now)
	g.spreadUse(ch.grant, now)
	opened := g.event(ch.grant, EventOpen, now)
	g.mu.Unlock()
	if fresh {
		g.tell(opened)
	}
}

// failed gives a channel back that did not reach its VM. That is audited,
// unless somebody ended the channel.
func (g *Gateway) failed(ch *channel, why error) {
	failed := g.release(ch)
	if !ch.unwanted() {
		failed.Reason, failed.Detail = blame(why), why.Error()
		g.tell(failed)
	}
}

// release gives a channel back that was never joined.
func (g *Gateway) release(ch *channel) Event {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	ch.finish(relay.Result{}, now)
	if gr := ch.grant; gr.busy && len(gr.channels) == 0 {
		g.spreadUse(gr, now)
	}
	return g.event(ch.grant, EventFailed, now)
}

// left accounts for a channel that has ended.
func (g *Gateway) left(ch *channel, res relay.Result) {
	now := time.Now()
	g.mu.Lock()
	s := ch.finish(res, now)
	g.spreadUse(ch.grant, now)
	g.moved.up, g.moved.down = g.moved.up+res.Up, g.moved.down+res.Down
	var closed Event
	if s != nil {
		closed = g.event(ch.grant, EventClose, now)
		closed.BytesUp, closed.BytesDown = s.up, s.down
		closed.Duration, closed.Reason, closed.Detail = now.Sub(s.since), res.Reason, ch.grant.detail
	}
	g.mu.Unlock()
	if s != nil {
		g.tell(closed)
	}
}

// probe dials the VM and lets it go: an error now beats a dead viewer.
func (g *Gateway) probe(ctx context.Context, vm target) error {
	g.mu.Lock()
	t := g.cfg.Timeouts
	g.mu.Unlock()
	conn, err := g.dialVM(ctx, vm, t)
	if err != nil {
		return err
	}
	_ = conn.Close() // nothing was said on it
	return nil
}

// dialVM is target.dial, timed.
func (g *Gateway) dialVM(ctx context.Context, vm target, t Timeouts) (*net.TCPConn, error) {
	began := time.Now()
	conn, err := vm.dial(ctx, t)
	g.deps.Dialled(time.Since(began), err)
	return conn, err
}

// dial connects to the first of the checked addresses that answers; together
// they have timeouts.Dial. Errors are a *Refusal of ErrVMTimeout,
// ErrVMUnreachable or ErrOverloaded.
func (t target) dial(ctx context.Context, timeouts Timeouts) (*net.TCPConn, error) {
	var last error
	end := time.Now().Add(timeouts.Dial)
	for i, a := range t.addrs {
		share := timeouts
		if timeouts.Dial > 0 {
			share.Dial = max(time.Until(end)/time.Duration(len(t.addrs)-i), time.Millisecond)
		}
		c, err := dialTCP(ctx, a, share)
		if err == nil {
			return c, nil
		}
		last = err
	}
	return nil, t.refusal(last, timeouts)
}

// refusal tells why the last of the addresses could not be reached.
func (t target) refusal(last error, timeouts Timeouts) *Refusal {
	name := net.JoinHostPort(t.host, fmt.Sprint(t.port))
	switch {
	case errors.Is(last, os.ErrDeadlineExceeded), errors.Is(last, context.DeadlineExceeded):
		return refuse(ErrVMTimeout, fmt.Sprintf("%s did not answer within %s", name, timeouts.Dial))
	case errors.Is(last, syscall.ETIMEDOUT): // the kernel's own patience
		return refuse(ErrVMTimeout, name+" did not answer")
	case starved(last):
		return outOfDescriptors()
	default:
		return refuse(ErrVMUnreachable, fmt.Sprintf("%s cannot be reached: %v", name, plainCause(last)))
	}
}

// starved tells whether an error is this node's want of descriptors.
func starved(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

func outOfDescriptors() *Refusal {
	return refuseFor(time.Second, ErrOverloaded, "the node has run out of descriptors; raise its limit (LimitNOFILE=)")
}

// dialTCP connects and sets the connection up as t says.
func dialTCP(ctx context.Context, a netip.AddrPort, t Timeouts) (*net.TCPConn, error) {
	d := net.Dialer{Timeout: t.Dial, KeepAlive: -1}
	d.SetMultipathTCP(false)
	c, err := d.DialContext(ctx, "tcp", a.String())
	if err != nil {
		return nil, err
	}
	conn := c.(*net.TCPConn)
	if err := tuneConn(conn, t); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// plainCause is the innermost reason of a dial error, without addresses.
func plainCause(err error) error {
	var sys *os.SyscallError
	if errors.As(err, &sys) {
		return sys.Err
	}
	return err
}
