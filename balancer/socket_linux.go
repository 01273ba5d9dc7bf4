package balancer

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// keepaliveProbes is how many probes may go unanswered.
const keepaliveProbes = 3

// listening prepares a socket that is about to be bound to addr. Several nodes
// on one loopback all hold the virtual address, so they share its ports.
func listening(fd int, addr netip.Addr, freebind bool, t Timeouts) error {
	if err := tune(fd, t); err != nil || !freebind {
		return err
	}
	if addr.IsLoopback() {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	if addr.Is4() {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_FREEBIND, 1)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, 1)
}

// dialling prepares a socket that is about to connect to a node. It comes from
// this node's own address, by which the other one knows who brings a client;
// left to itself the kernel may take another. The port is chosen when it
// connects, so that every pair of nodes has all ports.
func dialling(fd int, node netip.Addr, t Timeouts) error {
	if err := tune(fd, t); err != nil {
		return err
	}
	family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil || (family == unix.AF_INET) != node.Is4() {
		return err // a node of the other family: nothing to come from
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return err
	}
	if node.Is4() {
		return unix.Bind(fd, &unix.SockaddrInet4{Addr: node.As4()})
	}
	return unix.Bind(fd, &unix.SockaddrInet6{Addr: node.As16()})
}

// tune makes a socket notice a dead peer as the timeouts say. On a listener it
// holds for what is accepted from then on.
func tune(fd int, t Timeouts) error {
	idle := int((t.Keepalive + time.Second - 1) / time.Second)
	options := []struct{ level, name, value int }{
		{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(t.User.Milliseconds())},
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, min(idle, 1)},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, idle},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, max(idle/keepaliveProbes, 1)},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepaliveProbes},
	}
	if idle == 0 {
		options = options[:2]
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return err
		}
	}
	return nil
}
