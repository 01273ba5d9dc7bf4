package api

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// setShared sets SO_REUSEPORT, which Linux asks of both sockets before it binds
// an address and the wildcard above it to one port.
func setShared(raw syscall.RawConn, on bool) error {
	flag := 0
	if on {
		flag = 1
	}
	var err error
	cerr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, flag) })
	if cerr != nil {
		return cerr
	}
	return err
}

func (l *listener) share(on bool) error {
	raw, err := l.SyscallConn()
	if err != nil {
		return err
	}
	return setShared(raw, on)
}

// backlog tells how far a connection's sending side is: bytes its peer has
// acknowledged in all, and whether some still wait to be sent. ok is false when
// the connection is closed.
func backlog(c *net.TCPConn) (acked uint64, waiting, ok bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, false, false
	}
	var info *unix.TCPInfo
	cerr := raw.Control(func(fd uintptr) {
		info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	})
	if cerr != nil || err != nil {
		return 0, false, false
	}
	return info.Bytes_acked, info.Notsent_bytes > 0, true
}

// boundSilence lets the kernel give a connection up whose peer acknowledges
// nothing for this long; it may be closed already.
func boundSilence(c *net.TCPConn, d time.Duration) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
	})
}
