package gateway

import (
	"context"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// listen binds a TCP listener on exactly addr whose filter is in place before
// the first packet can arrive. clients nil means everybody.
func listen(addr netip.AddrPort, freebind bool, clients []netip.Addr) (*net.TCPListener, error) {
	lc := net.ListenConfig{
		KeepAliveConfig: net.KeepAliveConfig{Enable: false}, // tune sets it per connection
		Control: func(_, _ string, raw syscall.RawConn) error {
			return onSocket(raw, func(fd int) error {
				if clients != nil {
					if err := attachFilter(fd, addr.Addr(), clients); err != nil {
						return err
					}
				}
				return setFreebind(fd, addr.Addr(), freebind)
			})
		},
	}
	lc.SetMultipathTCP(false) // splice needs plain TCP
	l, err := lc.Listen(context.Background(), "tcp", addr.String())
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

func setFreebind(fd int, addr netip.Addr, on bool) error {
	switch {
	case !on:
		return nil
	case addr.Is4():
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_FREEBIND, 1)
	default:
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, 1)
	}
}

func filterListener(l *net.TCPListener, local netip.Addr, clients []netip.Addr) error {
	raw, err := l.SyscallConn()
	if err != nil {
		return err
	}
	return onSocket(raw, func(fd int) error { return attachFilter(fd, local, clients) })
}

// keepaliveProbes is how many probes may go unanswered.
const keepaliveProbes = 3

// tune makes c notice a dead peer as the timeouts say.
func tune(c *net.TCPConn, t Timeouts) error {
	ka := net.KeepAliveConfig{Enable: t.Keepalive > 0, Count: keepaliveProbes}
	if ka.Enable {
		ka.Idle = t.Keepalive
		ka.Interval = max(t.Keepalive/keepaliveProbes, time.Second)
	}
	if err := c.SetKeepAliveConfig(ka); err != nil {
		return err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	return onSocket(raw, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(t.UserTimeout.Milliseconds()))
	})
}

func onSocket(raw syscall.RawConn, do func(fd int) error) error {
	var err error
	if cerr := raw.Control(func(fd uintptr) { err = do(int(fd)) }); cerr != nil {
		return cerr
	}
	return err
}
