package relay

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// backlog is asked for; net.core.somaxconn may allow less.
	backlog = 4096
	// acceptsMax is how many clients one wake-up takes, so that a flood does
	// not stop the flows that are there.
	acceptsMax = 64
	// starvedPause is how long a door is left alone when descriptors run out.
	starvedPause = 100 * time.Millisecond
)

// door is a listening socket that all loops accept from.
type door struct {
	engine *Engine
	loops  []*loop
	id     int32
	opt    DoorOptions
	addr   netip.AddrPort

	mu sync.Mutex
	fd int // -1: closed
}

// listenLoops opens a door that the loops accept from; nil when there are none.
func (e *Engine) listenLoops(addr netip.AddrPort, opt DoorOptions) (Door, error) {
	if len(e.loops.open()) == 0 {
		return nil, nil
	}
	fd, err := listenSocket(addr, opt.Setup)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return e.openDoor(fd, boundAddr(fd, addr), opt)
}

// openDoor has all loops accept from a listening socket, which the door owns.
func (e *Engine) openDoor(fd int, addr netip.AddrPort, opt DoorOptions) (Door, error) {
	d := &door{engine: e, loops: e.loops.open(), opt: opt, fd: fd, addr: addr}
	e.loops.addDoor(d)
	for _, l := range d.loops {
		if err := d.watch(l); err != nil {
			d.Close()
			return nil, fmt.Errorf("listen on %s: %w", addr, err)
		}
	}
	return d, nil
}

// watch has a loop told of clients; one loop at a time is woken for them.
func (d *door) watch(l *loop) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLEXCLUSIVE, Fd: doorSlot, Pad: d.id}
	return unix.EpollCtl(l.ep, unix.EPOLL_CTL_ADD, d.fd, &e)
}

func listenSocket(addr netip.AddrPort, setup func(int) error) (int, error) {
	fd, err := unix.Socket(family(addr.Addr()), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := prepareListener(fd, addr, setup); err != nil {
		_ = unix.Close(fd) // it was never used
		return -1, err
	}
	return fd, nil
}

func prepareListener(fd int, addr netip.AddrPort, setup func(int) error) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil { // accepted sockets inherit it
		return err
	}
	if addr.Addr().Is6() {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return err
		}
	}
	if setup != nil {
		if err := setup(fd); err != nil {
			return err
		}
	}
	sa, err := sockaddr(addr)
	if err != nil {
		return err
	}
	if err := unix.Bind(fd, sa); err != nil {
		return err
	}
	return unix.Listen(fd, backlog)
}

// Addr is the address it listens on.
func (d *door) Addr() netip.AddrPort { return d.addr }

// Control calls do with the socket.
func (d *door) Control(do func(fd int) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fd < 0 {
		return net.ErrClosed
	}
	return do(d.fd)
}

// Close stops listening. No loop is in the middle of an accept then, since
// that holds the lock as well.
func (d *door) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fd < 0 {
		return
	}
	d.engine.loops.removeDoor(d.id)
	_ = unix.Close(d.fd) // that takes it out of every epoll instance, too
	d.fd = -1
}

// accept takes in who waits.
func (l *loop) accept(d *door) {
	for range acceptsMax {
		fd, client, err := d.take()
		switch {
		case err == nil:
			l.receive(d, fd, client)
		case errors.Is(err, unix.ECONNABORTED), errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.ENOMEM):
			l.pauseDoor(d, err)
			return
		default: // EAGAIN: another loop was faster; or the door was closed
			return
		}
	}
}

func (d *door) take() (int, netip.AddrPort, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fd < 0 {
		return -1, netip.AddrPort{}, net.ErrClosed
	}
	fd, sa, err := unix.Accept4(d.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err != nil {
		return -1, netip.AddrPort{}, err
	}
	return fd, addrPort(sa), nil
}

// pauseDoor leaves a door alone for a while: level-triggered, it would wake the
// loop again and again for clients nobody can take in.
func (l *loop) pauseDoor(d *door, err error) {
	_ = d.Control(func(fd int) error { return unix.EpollCtl(l.ep, unix.EPOLL_CTL_DEL, fd, nil) }) // closed: just as well
	l.paused = append(l.paused, d)
	l.pausedAt = l.now
	if d.opt.Starved != nil {
		d.opt.Starved(err)
	}
}

func (l *loop) resumeDoors() {
	if len(l.paused) == 0 || l.now.Sub(l.pausedAt) < starvedPause {
		return
	}
	for _, d := range l.paused {
		_ = d.Control(func(int) error { return d.watch(l) }) // closed: just as well
	}
	l.paused = nil
}

// receive asks where the client wants to go and starts dialling.
func (l *loop) receive(d *door, fd int, client netip.AddrPort) {
	f := newFlow(d.engine, l, fd, -1, Options{})
	if peer := client.Addr().Unmap(); d.opt.Proxied != nil && d.opt.Proxied(peer) {
		l.greet(d, f, peer)
		return
	}
	call := d.engine.knock(d.opt, Visitor{Client: client}, f)
	if call == nil {
		resetSocket(fd)
		return
	}
	if call.Take != nil {
		d.give(fd, call)
		_ = unix.Close(fd) // the connection lives on in a duplicate
		return
	}
	f.enrol(l)
	f.start(l, d, call)
}

// give hands a duplicate of the client to who takes it.
func (d *door) give(fd int, call *Call) {
	if d.opt.Accepted != nil {
		d.opt.Accepted(fd)
	}
	conn, err := connOf(fd)
	if err != nil {
		abrupt(fd) // who closes it resets it
	}
	d.engine.wg.Go(func() { call.Take(conn) })
}

// connOf is a connection of package net on a duplicate of the descriptor; nil with an
// error.
func connOf(fd int) (*net.TCPConn, error) {
	twin, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0) //nolint:gosec // descriptors are small
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(twin), "client") //nolint:gosec // descriptors are small
	defer func() { _ = file.Close() }()         // FileConn makes a duplicate of its own
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// enrol makes the flow one of its loop's and engine's.
func (f *flow) enrol(l *loop) {
	f.engine.wg.Add(1)
	f.engine.loops.live.Add(1)
	l.enter(f)
}

// start goes where the call says.
func (f *flow) start(l *loop, d *door, call *Call) {
	if d.opt.Accepted != nil {
		d.opt.Accepted(f.client.fd)
	}
	f.opt, f.dialling, f.up.rest = call.Options, &dialling{call: call, until: l.now.Add(call.Timeout)}, call.Prelude
	if l.stopping {
		f.kill(l, Shutdown)
		return
	}
	f.dial(l, nil)
}

func resetSocket(fd int) {
	abrupt(fd)
	_ = unix.Close(fd) // nothing can be done about a failing close
}

// abrupt makes a later close of the socket a reset.
func abrupt(fd int) {
	linger := unix.Linger{Onoff: 1}
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &linger) // without it the close is only less abrupt
}
