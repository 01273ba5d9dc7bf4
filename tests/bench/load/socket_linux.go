package load

import (
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds what a generator waits for beside the measured time.
const patience = 10 * time.Second

// bindLate leaves the choice of a port to connect, which knows the other end.
const bindLate = unix.IP_BIND_ADDRESS_NO_PORT

// socket makes a TCP socket of the family of addr.
func socket(addr netip.Addr, flags int) (int, error) {
	family := unix.AF_INET6
	if addr.Is4() {
		family = unix.AF_INET
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|flags, 0)
	if err != nil {
		return -1, fmt.Errorf("make a socket: %w", err)
	}
	return fd, nil
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
}

// connect starts to connect connection i of a job; a blocking socket is
// connected on return, another one soon.
func connect(job Job, i, flags int) (int, error) {
	fd, err := socket(job.Addr.Addr(), flags)
	if err != nil {
		return -1, err
	}
	if from := job.from(i); from.IsValid() {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, bindLate, 1) // a port less to have, else
		err = unix.Bind(fd, sockaddr(netip.AddrPortFrom(from, 0)))
	}
	if err == nil {
		err = unix.Connect(fd, sockaddr(job.Addr))
	}
	if err != nil && err != unix.EINPROGRESS { //nolint:errorlint // an Errno as it is
		_ = unix.Close(fd)
		return -1, fmt.Errorf("connect to %s: %w", job.Addr, err)
	}
	return fd, nil
}

// blocking connects connection i; a peer that is silent for too long is an
// error of its reads and writes.
func blocking(job Job, i int) (int, error) {
	fd, err := connect(job, i, 0)
	if err != nil {
		return -1, err
	}
	limit := unix.NsecToTimeval(int64(patience))
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit) // it would wait for ever, else
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit)
	return fd, unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
}

// exchange sends a message and reads as many bytes.
func exchange(fd int, message, answer []byte) error {
	if _, err := again(func() (int, error) { return unix.Write(fd, message) }); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	for got := 0; got < len(message); {
		n, err := again(func() (int, error) { return unix.Read(fd, answer[got:len(message)]) })
		if err != nil || n == 0 {
			return fmt.Errorf("receive: got %d bytes and %w, want %d", got, err, len(message))
		}
		got += n
	}
	return nil
}

// again repeats a call that a signal interrupted; Go's runtime sends some.
func again(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR { //nolint:errorlint // an Errno as it is
			return n, err
		}
	}
}

// poll is an epoll instance and what it told last.
type poll struct {
	fd     int
	events []unix.EpollEvent
}

func newPoll() (*poll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	return &poll{fd: fd, events: make([]unix.EpollEvent, 256)}, err
}

func (p *poll) add(fd int, what uint32) error {
	return unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: what, Fd: int32(fd)})
}

// wait returns what is ready; none after patience.
func (p *poll) wait(patience time.Duration) ([]unix.EpollEvent, error) {
	n, err := again(func() (int, error) { return unix.EpollWait(p.fd, p.events, int(patience.Milliseconds())) })
	return p.events[:max(n, 0)], err
}
