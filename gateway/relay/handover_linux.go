package relay

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Parcel is a pair on its way to another process, which an upgrade in place
// executes instead of this one. It owns both sockets. It can be encoded: what it
// has of the process are the numbers of descriptors.
type Parcel struct {
	Client, VM int       // descriptors; see Inherit
	Tag        string    // Options.Tag
	Up, Down   Half      // client to VM, VM to client
	First      Reason    // whose stream ended first; "": none has
	Last       time.Time // last byte either way
}

// Half is one direction of a parcel.
type Half struct {
	Bytes int64  // moved so far, Held included
	Held  []byte // read and not yet written; at most what a pipe holds
	EOF   bool   // the sender has finished
	Told  bool   // and the receiver knows
}

// Inherit lets the sockets live through an exec, in which a descriptor keeps its
// number.
func (p Parcel) Inherit() error { return errors.Join(Inherit(p.Client), Inherit(p.VM)) }

// Inherit lets a descriptor live through an exec.
func Inherit(fd int) error {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0)
	return err
}

// Handover takes all joined flows out of a running engine, without a byte lost
// and without the end of any being told. What is left are copied pairs, which
// only this process can serve, flows with frames, peers that have not said who their
// client is, and calls whose VM has not answered. Doors have to
// be closed or handed over before: Door.Control gives the descriptor, ListenOn
// takes it.
func (e *Engine) Handover() []Parcel {
	var all []Parcel
	for _, l := range e.loops.open() {
		packed := make(chan []Parcel, 1)
		if l.post(func(l *loop) { packed <- l.pack() }) {
			all = append(all, <-packed...)
		}
	}
	return all
}

// Adopt goes on with a pair that was handed over. opt is what it was joined with,
// as its Tag tells its owner.
func (e *Engine) Adopt(p Parcel, opt Options) (Pair, error) {
	l := e.loops.next()
	if l == nil || e.copying {
		return nil, errors.New("an engine without loops cannot adopt a pair")
	}
	f := newFlow(e, l, p.Client, p.VM, opt)
	f.last.Store(p.Last.UnixNano())
	f.half = p.First
	f.up.unpack(p.Up)
	f.down.unpack(p.Down)
	e.wg.Add(1)
	e.loops.live.Add(1)
	if !l.post(func(l *loop) { l.adopt(f) }) {
		f.kill(l, Shutdown)
	}
	return f, nil
}

// HandoverDoor takes the listening socket out of its door, which is closed then.
// Who waits there is taken in by the next owner. The caller owns the descriptor;
// -1 when the door was closed already, or is none of the loops.
func (e *Engine) HandoverDoor(from Door) int {
	d, ok := from.(*door)
	if !ok {
		return -1
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fd < 0 {
		return -1
	}
	for _, l := range d.loops { // a socket that lives on stays watched
		_ = unix.EpollCtl(l.ep, unix.EPOLL_CTL_DEL, d.fd, nil) // paused: it is not watched
	}
	e.loops.removeDoor(d.id)
	fd := d.fd
	d.fd = -1
	return fd
}

// ListenOn is Listen with a socket that listens already.
func (e *Engine) ListenOn(fd int, opt DoorOptions) (Door, error) {
	all := e.loops.open()
	if len(all) == 0 || e.copying {
		return nil, errors.New("an engine without loops cannot take a socket over")
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("take descriptor %d over: %w", fd, err)
	}
	unix.CloseOnExec(fd)
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return nil, fmt.Errorf("take descriptor %d over: %w", fd, err)
	}
	return e.openDoor(fd, addrPort(sa), opt)
}

// pack takes the flows out of the loop that have reached their VM.
func (l *loop) pack() (all []Parcel) {
	for _, f := range l.flows {
		if f != nil && f.greeting == nil && f.dialling == nil && f.framed == nil {
			all = append(all, f.pack(l))
		}
	}
	return all
}

func (f *flow) pack(l *loop) Parcel {
	p := Parcel{
		Client: f.client.fd, VM: f.vm.fd, Tag: f.opt.Tag, First: f.half, Last: time.Unix(0, f.last.Load()),
		Up: f.up.pack(), Down: f.down.pack(),
	}
	for _, fd := range []int{p.Client, p.VM} {
		_ = unix.EpollCtl(l.ep, unix.EPOLL_CTL_DEL, fd, nil) // it is watched
	}
	f.closed = true
	f.mu.Lock()
	f.gone = true
	f.mu.Unlock()
	f.up.drop(l)
	f.down.drop(l)
	l.forget(f)
	f.engine.loops.live.Add(-1)
	f.engine.wg.Done()
	return p
}

// pack empties the stream.
func (s *stream) pack() Half {
	h := Half{Bytes: s.count.Load(), Held: s.rest, EOF: s.eof, Told: s.done}
	if s.pipe == nil {
		return h
	}
	for buf := make([]byte, s.pipe.held); s.pipe.held > 0; {
		n, errno := read(s.pipe.r, buf)
		if errno != 0 && errno != unix.EINTR || n == 0 {
			break // impossible: the bytes are there
		}
		h.Held = append(h.Held, buf[:n]...)
		s.pipe.held -= n
	}
	return h
}

func (s *stream) unpack(h Half) {
	s.count.Store(h.Bytes)
	s.eof, s.done = h.EOF, h.Told
	if len(h.Held) > 0 {
		s.rest = h.Held
	}
}
