package relay

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// copiedDoor is a door whose pairs are copied by goroutines.
type copiedDoor struct {
	engine *Engine
	opt    DoorOptions
	l      *net.TCPListener

	greetings atomic.Int32 // peers that have not said who their client is
}

func (e *Engine) listenCopied(addr netip.AddrPort, opt DoorOptions) (Door, error) {
	lc := net.ListenConfig{Control: controlOf(opt.Setup), KeepAlive: -1}
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), "tcp", addr.String())
	if err != nil {
		return nil, err
	}
	d := &copiedDoor{engine: e, opt: opt, l: l.(*net.TCPListener)}
	e.wg.Go(d.serve)
	return d, nil
}

// controlOf makes what package net wants of a Setup.
func controlOf(setup func(fd int) error) func(string, string, syscall.RawConn) error {
	if setup == nil {
		return nil
	}
	return func(_, _ string, raw syscall.RawConn) error { return onDescriptor(raw, setup) }
}

func onDescriptor(raw syscall.RawConn, do func(fd int) error) error {
	var err error
	if cerr := raw.Control(func(fd uintptr) { err = do(int(fd)) }); cerr != nil {
		return cerr
	}
	return err
}

// Addr is the address it listens on.
func (d *copiedDoor) Addr() netip.AddrPort { return d.l.Addr().(*net.TCPAddr).AddrPort() }

// Control calls do with the socket.
func (d *copiedDoor) Control(do func(fd int) error) error {
	raw, err := d.l.SyscallConn()
	if err != nil {
		return err
	}
	return onDescriptor(raw, do)
}

// Close stops listening.
func (d *copiedDoor) Close() { _ = d.l.Close() } // closed already: just as well

func (d *copiedDoor) serve() {
	for {
		c, err := d.l.AcceptTCP()
		switch {
		case err == nil:
			d.receive(c)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			if d.opt.Starved != nil {
				d.opt.Starved(err)
			}
			time.Sleep(acceptPause)
		}
	}
}

// acceptPause is how long accepting rests when descriptors have run out.
const acceptPause = 100 * time.Millisecond

func (d *copiedDoor) receive(c *net.TCPConn) {
	client := c.RemoteAddr().(*net.TCPAddr).AddrPort()
	if peer := client.Addr().Unmap(); d.opt.Proxied != nil && d.opt.Proxied(peer) {
		d.greet(c, peer)
		return
	}
	d.welcome(c, Visitor{Client: client})
}

// greet waits for the PROXY header of a peer that has to send one.
func (d *copiedDoor) greet(c *net.TCPConn, peer netip.Addr) {
	if d.greetings.Add(1) > greetingsMax {
		d.greetings.Add(-1)
		reset(c)
		return
	}
	d.engine.wg.Go(func() {
		h, err := readHeader(c)
		d.greetings.Add(-1)
		switch {
		case err != nil:
			reset(c)
		case h.local:
			_ = c.Close() // nothing was said on it
		default:
			d.welcome(c, Visitor{Client: h.client, Via: peer, Hops: h.hops})
		}
	})
}

// readHeader takes the header from the connection and nothing behind it.
func readHeader(c *net.TCPConn) (header, error) {
	if err := c.SetReadDeadline(time.Now().Add(greetingTime)); err != nil {
		return header{}, err
	}
	b := make([]byte, headerSize, headerMax)
	if _, err := io.ReadFull(c, b); err != nil {
		return header{}, err
	}
	if _, err := parseHeader(b); errors.Is(err, errShort) {
		b = b[:headerSize+int(binary.BigEndian.Uint16(b[14:]))]
		if _, err := io.ReadFull(c, b[headerSize:]); err != nil {
			return header{}, err
		}
	}
	h, err := parseHeader(b)
	return h, errors.Join(err, c.SetReadDeadline(time.Time{}))
}

func (d *copiedDoor) welcome(c *net.TCPConn, v Visitor) {
	a := &arrival{engine: d.engine, client: c}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	call := d.engine.knock(d.opt, v, a)
	if call == nil {
		a.cancel()
		reset(c)
		return
	}
	if d.opt.Accepted != nil {
		if raw, err := c.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { d.opt.Accepted(int(fd)) }) // it has just been accepted
		}
	}
	if call.Take != nil {
		a.cancel()
		d.engine.wg.Go(func() { call.Take(c) })
		return
	}
	d.engine.wg.Go(func() { a.connect(call) })
}

// arrival is a client whose VM is being dialled, and the pair they become.
type arrival struct {
	engine *Engine
	client *net.TCPConn
	ctx    context.Context //nolint:containedctx // it is the dial's life
	cancel context.CancelFunc

	mu     sync.Mutex
	pair   Pair   // nil until it is joined
	reason Reason // of a kill before that
}

// Kill ends the dial, or the pair.
func (a *arrival) Kill(why Reason) {
	a.mu.Lock()
	pair := a.pair
	if pair == nil && a.reason == "" {
		a.reason = why
	}
	a.mu.Unlock()
	a.cancel()
	if pair != nil {
		pair.Kill(why)
	}
}

// Stats are those of the pair, once there is one.
func (a *arrival) Stats() Stats {
	a.mu.Lock()
	pair := a.pair
	a.mu.Unlock()
	if pair == nil {
		return Stats{}
	}
	return pair.Stats()
}

// Bytes are those of the pair, once there is one.
func (a *arrival) Bytes() (up, down int64) {
	a.mu.Lock()
	pair := a.pair
	a.mu.Unlock()
	if pair == nil {
		return 0, 0
	}
	return pair.Bytes()
}

func (a *arrival) connect(call *Call) {
	defer a.cancel()
	vm, err := call.dial(a.ctx)
	if err == nil && len(call.Prelude) > 0 {
		_, err = vm.Write(call.Prelude)
	}
	why := a.killed()
	if err == nil && why == "" {
		a.join(vm, call)
		return
	}
	reset(a.client)
	if vm != nil {
		reset(vm)
	}
	if why != "" {
		err = ErrKilled
	}
	if call.OnEnd != nil {
		call.OnEnd(Result{Reason: why, Err: err})
	}
}

func (a *arrival) killed() Reason {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.reason
}

// join tells the owner without a lock of its own held: the owner may ask for
// figures under the lock that Joined takes.
func (a *arrival) join(vm net.Conn, call *Call) {
	if call.Joined != nil {
		call.Joined()
	}
	pair := a.engine.joinCopied(a.client, vm, call.Options)
	a.mu.Lock()
	a.pair = pair
	why := a.reason // of a kill meanwhile
	a.mu.Unlock()
	if why != "" {
		pair.Kill(why)
	}
}

func (c *Call) dial(ctx context.Context) (*net.TCPConn, error) {
	err := errors.New("no address to dial")
	end := time.Now().Add(c.Timeout)
	for i, to := range c.To {
		var share time.Duration
		if c.Timeout > 0 {
			share = max(time.Until(end)/time.Duration(len(c.To)-i), time.Millisecond)
		}
		d := net.Dialer{Timeout: share, KeepAlive: -1, Control: controlOf(c.Setup)}
		d.SetMultipathTCP(false)
		var vm net.Conn
		if vm, err = d.DialContext(ctx, "tcp", to.String()); err == nil {
			return vm.(*net.TCPConn), nil
		}
		if c.Missed != nil {
			c.Missed(to, err)
		}
	}
	return nil, err
}
