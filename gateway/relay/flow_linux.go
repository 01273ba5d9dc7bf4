package relay

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// noSlot is the slot of a flow that is on no loop.
const noSlot = -1

// flow is a pair of two TCP sockets on a loop. It holds two descriptors and no
// goroutine, buffer or pipe while it idles.
type flow struct {
	engine *Engine
	loop   *loop
	opt    Options
	last   atomic.Int64 // unix nanoseconds of the last byte

	// The loop's goroutine owns these.
	slot       int32
	gen        int32
	client, vm socket
	up, down   stream
	framed     *framed   // nil: the client's bytes are the VM's
	greeting   *greeting // nil once its client is known
	dialling   *dialling // nil once it is joined
	queued     bool      // waits for its next turn
	closed     bool
	half       Reason // whose end of stream came first
	moved      int64  // bytes both ways when last looked at, while half-closed
	movedAt    time.Time

	mu   sync.Mutex // guards closing the sockets against Stats
	gone bool
}

func newFlow(e *Engine, l *loop, client, vm int, opt Options) *flow {
	f := &flow{engine: e, loop: l, slot: noSlot, opt: opt}
	f.client = socket{fd: client, writable: true}
	f.vm = socket{fd: vm, writable: true}
	f.up.in, f.up.out = &f.client, &f.vm
	f.down.in, f.down.out = &f.vm, &f.client
	f.last.Store(time.Now().UnixNano())
	return f
}

// wake notes what the kernel told about one of the sockets.
func (s *socket) wake(events uint32) {
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		s.readable = true
	}
	if events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		s.writable = true
	}
	if events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		s.hung = true
	}
}

// serve moves what can be moved both ways. more tells that it could go on.
func (f *flow) serve(l *loop) (more bool) {
	if f.framed != nil && f.framed.parting != "" {
		return f.parted(l)
	}
	before := f.up.count.Load() + f.down.count.Load()
	upMore, bad := f.up.step(l, &f.down)
	if bad != nil {
		f.fail(l, bad, ClientClosed, VMClosed)
		return false
	}
	downMore, bad := f.down.step(l, &f.up)
	if bad != nil {
		f.fail(l, bad, VMClosed, ClientClosed)
		return false
	}
	if f.up.count.Load()+f.down.count.Load() > before {
		f.last.Store(l.now.UnixNano())
	}
	f.noteEnds(l)
	if f.up.done && f.down.done {
		f.end(l, Result{Reason: f.half})
		return false
	}
	return upMore || downMore
}

// noteEnds remembers which side finished first, and from then on watches that
// the other goes on.
func (f *flow) noteEnds(l *loop) {
	if f.half != "" || !f.up.eof && !f.down.eof {
		return
	}
	f.half, f.movedAt = ClientClosed, l.now
	if !f.up.eof {
		f.half = VMClosed
	}
	l.halves[f] = struct{}{}
	if f.framed != nil {
		f.hurry(l)
	}
}

// fail ends the flow after an error of one leg; the other one is closed in
// order, so that it still gets what the kernel holds for it.
func (f *flow) fail(l *loop, bad *fault, in, out Reason) {
	why := in
	if bad.side == outSide {
		why = out
	}
	if bad.errno == unix.ETIMEDOUT || bad.errno == unix.EHOSTUNREACH || bad.errno == unix.ENETUNREACH {
		why = KeepaliveTimeout
	}
	f.end(l, Result{Reason: why})
}

// hangUp looks at an error of a socket that nobody reads any more.
func (f *flow) hangUp(l *loop, s *socket, events uint32) bool {
	reader, why := &f.up, ClientClosed
	if s == &f.vm {
		reader, why = &f.down, VMClosed
	}
	if events&unix.EPOLLERR == 0 || !reader.eof {
		return false
	}
	errno, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil || errno == 0 {
		return false
	}
	f.fail(l, &fault{inSide, unix.Errno(errno)}, why, why)
	return true
}

// end ends the flow. A client that expects a last word gets it first.
func (f *flow) end(l *loop, res Result) {
	if !f.closed && !f.part(l, res.Reason, false) {
		f.close(l, res)
	}
}

// close closes both sockets, takes the flow out of its loop and tells its owner.
func (f *flow) close(l *loop, res Result) {
	f.closed = true
	if f.dialling != nil && res.Err == nil {
		res.Err = ErrKilled
	}
	f.mu.Lock()
	f.gone = true
	_ = unix.Close(f.client.fd) // nothing can be done about a failing close
	if f.vm.fd >= 0 {
		_ = unix.Close(f.vm.fd)
	}
	f.mu.Unlock()
	f.up.drop(l)
	f.down.drop(l)
	l.forget(f)
	res.Up, res.Down = f.up.count.Load(), f.down.count.Load()
	f.engine.left(f, res)
}

// drop lets go what a stream still holds.
func (s *stream) drop(l *loop) {
	if s.pipe != nil {
		l.pipes.give(s.pipe)
	}
	s.pipe, s.rest = nil, nil
}

// silentTooLong decides whether a half-closed flow has moved nothing for
// Options.HalfClose, counting from the last look that saw a byte.
func (f *flow) silentTooLong(now time.Time) bool {
	if f.opt.HalfClose <= 0 {
		return false
	}
	if total := f.up.count.Load() + f.down.count.Load(); total != f.moved {
		f.moved, f.movedAt = total, now
		return false
	}
	return now.Sub(f.movedAt) >= f.opt.HalfClose
}

// Kill ends the flow at once with the given reason: both legs are reset, but that a
// client whose bytes come in frames is told why.
func (f *flow) Kill(why Reason) {
	f.loop.post(func(l *loop) { f.kill(l, why) })
}

func (f *flow) kill(l *loop, why Reason) {
	if f.closed || f.part(l, why, true) {
		return
	}
	abrupt(f.client.fd)
	abrupt(f.vm.fd)
	f.close(l, Result{Reason: why})
}

// Stats reads the live figures.
func (f *flow) Stats() Stats {
	s := Stats{Up: f.up.count.Load(), Down: f.down.count.Load(), LastActivity: time.Unix(0, f.last.Load())}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.gone {
		if info, err := unix.GetsockoptTCPInfo(f.client.fd, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			s.RTT = time.Duration(info.Rtt) * time.Microsecond
		}
	}
	return s
}

// Bytes are those moved so far.
func (f *flow) Bytes() (up, down int64) { return f.up.count.Load(), f.down.count.Load() }

// duplicate makes a descriptor of its own for c's socket. It stays non-blocking.
func duplicate(c net.Conn) (int, error) {
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	var derr error
	if err := raw.Control(func(own uintptr) { fd, derr = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return -1, err
	}
	return fd, derr
}
