package relay

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// dialEvery is how often dials are looked at; it bounds how late a timeout is
// noticed.
const dialEvery = 50 * time.Millisecond

// dialling is what a flow needs until its VM is reached.
type dialling struct {
	call  *Call
	tried int       // index into call.To
	until time.Time // when all addresses have had their time
	share time.Time // when this one has
}

// next gives the address that is tried now its share of the time left.
func (d *dialling) next(now time.Time) {
	d.share = now.Add(max(d.until.Sub(now)/time.Duration(len(d.call.To)-d.tried), time.Millisecond))
}

// dial goes to the call's next address; last is why the one before failed.
// When none is left the client is reset.
func (f *flow) dial(l *loop, last error) {
	d := f.dialling
	for ; d.tried < len(d.call.To); d.tried++ {
		if last = f.dialOne(l, d.call.To[d.tried]); last == nil {
			return
		}
		d.missed(last)
	}
	if last == nil {
		last = errors.New("no address to dial")
	}
	abrupt(f.client.fd)
	f.end(l, Result{Err: last})
}

func (f *flow) dialOne(l *loop, to netip.AddrPort) error {
	fd, err := connectSocket(to, f.dialling.call.Setup)
	if err != nil {
		return err
	}
	f.vm = socket{fd: fd}
	f.dialling.next(l.now)
	l.dials[f] = struct{}{}
	if err := l.watch(f, &f.vm); err != nil {
		f.leaveVM(l)
		return err
	}
	return nil
}

func (d *dialling) missed(err error) {
	if d.call.Missed != nil {
		d.call.Missed(d.call.To[d.tried], err)
	}
}

// leaveVM gives up the dial that is under way.
func (f *flow) leaveVM(l *loop) {
	delete(l.dials, f)
	_ = unix.Close(f.vm.fd) // nothing can be done about a failing close
	f.vm.fd = -1
}

// answered looks at the outcome of a dial.
func (f *flow) answered(l *loop, events uint32) {
	d := f.dialling
	if err := outcome(f.vm.fd, d.call.To[d.tried], events); err != nil {
		f.nextAddress(l, err)
		return
	}
	delete(l.dials, f)
	f.dialling = nil
	f.vm.writable = true
	if d.call.Joined != nil {
		d.call.Joined()
	}
	if err := l.watch(f, &f.client); err != nil {
		f.end(l, Result{Reason: Shutdown})
		return
	}
	l.queue(f)
}

func outcome(fd int, to netip.AddrPort, events uint32) error {
	if events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if err != nil {
			return err
		}
		if errno != 0 {
			return unix.Errno(errno)
		}
	}
	if metItself(fd, to) {
		return unix.ECONNREFUSED
	}
	return nil
}

func (f *flow) nextAddress(l *loop, err error) {
	f.dialling.missed(err)
	f.leaveVM(l)
	f.dialling.tried++
	f.dial(l, err)
}

// sweepDials gives up dials that take too long.
func (l *loop) sweepDials() {
	for f := range l.dials {
		if d := f.dialling; d.call.Timeout > 0 && !l.now.Before(d.share) {
			f.nextAddress(l, fmt.Errorf("connect: %w", os.ErrDeadlineExceeded))
		}
	}
}

func connectSocket(to netip.AddrPort, setup func(int) error) (int, error) {
	fd, err := unix.Socket(family(to.Addr()), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := connect(fd, to, setup); err != nil {
		_ = unix.Close(fd) // it was never used
		return -1, err
	}
	return fd, nil
}

func connect(fd int, to netip.AddrPort, setup func(int) error) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	if setup != nil {
		if err := setup(fd); err != nil {
			return err
		}
	}
	sa, err := sockaddr(to)
	if err != nil {
		return err
	}
	if err := unix.Connect(fd, sa); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return err
	}
	return nil
}

// metItself tells whether a socket was connected to itself: what TCP makes of
// dialling an unused port of this host that happens to be taken as the source.
func metItself(fd int, to netip.AddrPort) bool {
	own, err := unix.Getsockname(fd)
	return err == nil && addrPort(own) == netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
}
