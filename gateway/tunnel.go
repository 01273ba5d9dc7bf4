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

// accepted matches a connection on a range port to its grant. It runs in the
// accept loop, so all that takes time happens in a goroutine of its own.
func (g *Gateway) accepted(conn *net.TCPConn, port uint16) {
	ch, err := g.admitAt(slot{clientOf(conn), port})
	if err != nil {
		relay.Reset(conn)
		return
	}
	g.wg.Go(func() { g.connect(ch, conn) })
}

// clientOf is the address of conn's peer; invalid when it has gone already.
func clientOf(conn *net.TCPConn) netip.Addr {
	a, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return plain(a.AddrPort().Addr())
}

func (g *Gateway) admitAt(s slot) (*channel, error) {
	g.mu.Lock()
	gr := g.reg.slots[s]
	if gr == nil {
		g.mu.Unlock()
		return nil, refuse(ErrNotFound, "no grant of this client on this port")
	}
	ch, victim, err := g.admit(gr)
	g.mu.Unlock()
	if victim != nil {
		victim.kill(ReasonReplaced)
	}
	return ch, err
}

// admit reserves a channel of gr together with the means to end its dial. The
// caller holds the lock and kills the victim after letting it go.
func (g *Gateway) admit(gr *grant) (ch, victim *channel, err error) {
	ch, victim, err = gr.admit(time.Now())
	if err == nil {
		ch.ctx, ch.cancel = context.WithCancelCause(g.ctx)
	}
	return ch, victim, err
}

// connect dials the VM for a client that is there and joins the two.
func (g *Gateway) connect(ch *channel, client *net.TCPConn) {
	vm, err := g.dialFor(ch)
	if err != nil {
		relay.Reset(client)
		return
	}
	if err := tune(client, ch.timeouts); err != nil {
		g.deps.Log.WithError(err).Debug("the client left before its tunnel was up")
	}
	g.join(ch, client, vm)
}

// dialFor dials the VM of a reserved channel. On failure the channel is given
// back, and a VM that does not answer is audited.
func (g *Gateway) dialFor(ch *channel) (*net.TCPConn, error) {
	vm, err := ch.grant.target.dial(ch.ctx, ch.timeouts)
	if err == nil {
		return vm, nil
	}
	unwanted := context.Cause(ch.ctx) != nil
	failed := g.release(ch)
	if !unwanted {
		failed.Reason, failed.Detail = ReasonVMUnreachable, err.Error()
		g.tell(failed)
	}
	return nil, err
}

// release gives a channel back that was never joined.
func (g *Gateway) release(ch *channel) Event {
	ch.cancel(nil)
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	ch.finish(relay.Result{}, now)
	return g.event(ch.grant, EventFailed, now)
}

// join gives both legs to the relay and audits the session's begin.
func (g *Gateway) join(ch *channel, client net.Conn, vm *net.TCPConn) {
	now := time.Now()
	g.mu.Lock()
	fresh := ch.begin(now)
	opened := g.event(ch.grant, EventOpen, now)
	g.mu.Unlock()
	if fresh {
		g.tell(opened)
	}
	pair := g.engine.Join(client, vm, relay.Options{
		HalfClose: ch.timeouts.HalfClose,
		OnEnd:     func(res relay.Result) { g.left(ch, res) },
	})
	ch.joined(pair)
}

// left accounts for a channel that has ended.
func (g *Gateway) left(ch *channel, res relay.Result) {
	ch.cancel(nil)
	now := time.Now()
	g.mu.Lock()
	s := ch.finish(res, now)
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
	if ch.onEnd != nil {
		ch.onEnd(res.Reason)
	}
}

// probe dials the VM and lets it go: an error now beats a dead viewer.
func (g *Gateway) probe(ctx context.Context, vm target) error {
	g.mu.Lock()
	t := g.cfg.Timeouts
	g.mu.Unlock()
	conn, err := vm.dial(ctx, t)
	if err != nil {
		return err
	}
	_ = conn.Close() // nothing was said on it
	return nil
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

func dialTCP(ctx context.Context, a netip.AddrPort, t Timeouts) (*net.TCPConn, error) {
	return dialAddr(ctx, a.String(), t)
}

// dialAddr connects to host:port and sets the connection up as t says.
func dialAddr(ctx context.Context, addr string, t Timeouts) (*net.TCPConn, error) {
	d := net.Dialer{Timeout: t.Dial, KeepAlive: -1}
	d.SetMultipathTCP(false)
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	conn := c.(*net.TCPConn)
	if err := tune(conn, t); err != nil {
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
