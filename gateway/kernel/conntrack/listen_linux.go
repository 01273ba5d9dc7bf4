package conntrack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

const (
	// eventBuffer holds a burst of some ten thousand events while this process does not
	// run.
	eventBuffer = 32 << 20
	// eventLeast is the least that an event takes of the buffer.
	eventLeast = 256
)

// ListenConfig is what a listener hears.
type ListenConfig struct {
	Kinds  Kind // New, Update, Destroy together; 0 is all three
	Filter Filter
	Buffer int // bytes; 0 is 32 MiB
}

// Listener hears what happens to flows, from Listen on.
type Listener struct {
	filter Filter
	file   *os.File
	buffer int
	inside bool // the kernel filters
}

// Listen begins to hear: what happens from now on is kept until Run takes it, as far as
// the buffer goes. Listen first and dump then, and nothing is missed. The caller closes
// it.
func Listen(c ListenConfig) (*Listener, error) {
	fd, _, err := openSocket(unix.SOCK_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	l := &Listener{filter: c.Filter}
	if c.Buffer == 0 {
		c.Buffer = eventBuffer
	}
	l.buffer = setBuffer(fd, c.Buffer)
	l.inside = attach(fd, c.Filter.program()) == nil
	if err := join(fd, c.Kinds); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("hear events of conntrack: %w", err)
	}
	l.file = os.NewFile(uintptr(fd), "conntrack events")
	return l, nil
}

func join(fd int, kinds Kind) error {
	for kind, group := range map[Kind]int{
		New: unix.NFNLGRP_CONNTRACK_NEW, Update: unix.NFNLGRP_CONNTRACK_UPDATE, Destroy: unix.NFNLGRP_CONNTRACK_DESTROY,
	} {
		if kinds != 0 && kinds&kind == 0 {
			continue
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, group); err != nil {
			return err
		}
	}
	return nil
}

func attach(fd int, prog []bpf.Instruction) error {
	raw, err := bpf.Assemble(prog)
	if err != nil {
		return err
	}
	code := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		code[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]})
}

// Buffer is how many bytes of events the kernel keeps: less than asked for where this
// process may not have more than net.core.rmem_max.
func (l *Listener) Buffer() int { return l.buffer }

// Filtered tells whether the kernel filters. Else Run does, and is woken for every flow.
func (l *Listener) Filtered() bool { return l.inside }

// Close gives the socket up; a Run that is under way ends.
func (l *Listener) Close() error { return l.file.Close() }

// Run calls handle for every event, one after the other, until ctx ends (nil) or the
// socket fails. While handle runs events wait in the buffer. Run once only.
func (l *Listener) Run(ctx context.Context, handle func(Event)) error {
	raw, err := l.file.SyscallConn()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = l.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	r := reader{filter: l.filter, handle: handle, buf: make([]byte, readSize), overdue: l.buffer / eventLeast}
	waited := raw.Read(func(fd uintptr) bool { return r.drain(ctx, int(fd)) })
	if ctx.Err() != nil {
		return nil
	}
	return errors.Join(r.err, waited)
}

// reader takes what a listener's socket holds.
type reader struct {
	filter  Filter
	handle  func(Event)
	buf     []byte
	overdue int // reads after which all is new that had been queued at an overrun
	lost    int // reads left until an overrun is told; 0 is none
	err     error
}

// drain reads all there is; it is done when it is to end.
func (r *reader) drain(ctx context.Context, fd int) (done bool) {
	for ctx.Err() == nil {
		n, err := unix.Read(fd, r.buf)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			r.told(r.lost)
			return false
		case errors.Is(err, unix.ENOBUFS):
			// What is queued is older than what was lost, so it comes first. The kernel
			// takes no more until all of it has been read.
			r.told(r.lost)
			r.lost = r.overdue
		case err != nil:
			r.err = fmt.Errorf("hear from conntrack: %w", err)
			return true
		default:
			r.take(r.buf[:n])
			r.told(1)
		}
	}
	return true
}

// told counts reads since an overrun, and tells of it when it is due.
func (r *reader) told(reads int) {
	if r.lost == 0 {
		return
	}
	if r.lost -= reads; r.lost <= 0 {
		r.lost = 0
		r.handle(Event{Kind: Overrun})
	}
}

// take hands out the events of a datagram. One that cannot be read counts as lost.
func (r *reader) take(b []byte) {
	for {
		m, rest, ok, err := nextMessage(b)
		if !ok && err == nil {
			return
		}
		var e Event
		if err == nil {
			e, ok, err = parseEvent(m)
		}
		if err != nil {
			r.handle(Event{Kind: Overrun})
			return
		}
		if ok && r.filter.fits(e.Flow) {
			r.handle(e)
		}
		b = rest
	}
}
