// Package freebind opens sockets on an address that may not be on this host: the
// virtual address is on one node at a time, and the others are ready before it
// comes to them.
package freebind

import (
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// Control lets a socket bind addr before it is on this host; it is for a
// net.ListenConfig. Several nodes on one loopback all hold the virtual address, so
// they share the port. When on is false the socket is as any other.
func Control(addr netip.Addr, on bool) func(string, string, syscall.RawConn) error {
	level, option := unix.IPPROTO_IPV6, unix.IPV6_FREEBIND
	switch {
	case addr.IsLoopback():
		level, option = unix.SOL_SOCKET, unix.SO_REUSEPORT
	case addr.Is4():
		level, option = unix.IPPROTO_IP, unix.IP_FREEBIND
	}
	return func(_, _ string, raw syscall.RawConn) error {
		var err error
		if !on {
			return nil
		}
		failed := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), level, option, 1) })
		if failed != nil {
			return failed
		}
		return err
	}
}
