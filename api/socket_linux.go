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
