package gateway

import (
	"context"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// listen binds a TCP listener on exactly addr, open to clients alone from the
// first packet on.
func listen(addr netip.AddrPort, clients []netip.Addr) (*net.TCPListener, error) {
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return onSocket(raw, func(fd int) error { return attachFilter(fd, addr.Addr(), clients, nil) })
	}}
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), "tcp", addr.String())
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

// bindTo has a socket that is about to connect come from addr.
func bindTo(fd int, addr netip.Addr) error {
	if addr.Is4() {
		return unix.Bind(fd, &unix.SockaddrInet4{Addr: addr.As4()})
	}
	return unix.Bind(fd, &unix.SockaddrInet6{Addr: addr.As16()})
}

// dialling prepares a socket from own to another node. The port is chosen when it
// connects, so that every pair of nodes has all ports.
func dialling(fd int, own, node netip.Addr, t Timeouts) error {
	if err := tune(fd, t); err != nil || own.Is4() != node.Is4() {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return err
	}
	return bindTo(fd, own)
}

// setFreebind lets a socket bind an address that is not on this host yet. Several
// nodes on one loopback all hold the virtual address, so they share its ports.
func setFreebind(fd int, addr netip.Addr, on bool) error {
	switch {
	case !on:
		return nil
	case addr.IsLoopback():
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	case addr.Is4():
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_FREEBIND, 1)
	default:
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, 1)
	}
}

// keepaliveProbes is how many probes may go unanswered.
const keepaliveProbes = 3

// tune makes the socket fd notice a dead peer as the timeouts say. On a
// listener it holds for what is accepted from then on.
func tune(fd int, t Timeouts) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(t.UserTimeout.Milliseconds())); err != nil {
		return err
	}
	if t.Keepalive <= 0 {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 0)
	}
	idle := seconds(t.Keepalive)
	for _, o := range []struct{ level, name, value int }{
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, idle},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, max(idle/keepaliveProbes, 1)},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepaliveProbes},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return err
		}
	}
	return nil
}

// seconds rounds up to the whole seconds TCP counts in.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// tuneConn is tune for a connection of package net.
func tuneConn(c *net.TCPConn, t Timeouts) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	return onSocket(raw, func(fd int) error { return tune(fd, t) })
}

func onSocket(raw syscall.RawConn, do func(fd int) error) error {
	var err error
	if cerr := raw.Control(func(fd uintptr) { err = do(int(fd)) }); cerr != nil {
		return cerr
	}
	return err
}
