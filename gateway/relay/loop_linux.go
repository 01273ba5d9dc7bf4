package relay

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// eventsMax is how many events one wait takes.
	eventsMax = 256
	// keenMillis is how long a loop that has just been busy waits for more
	// before it sleeps. A stop of the world interrupts it by a signal.
	keenMillis = 2
	// wakeSlot stands for a loop's own event descriptor in place of a slot,
	// doorSlot for a door, whose id is beside it.
	wakeSlot = -1
	doorSlot = -2
)

// loop is one epoll instance and the goroutine that serves it. All that belongs
// to its flows is touched by that goroutine alone; others post commands.
type loop struct {
	all       *loops
	ep, event int // descriptors
	buf       []byte
	pipes     pipePool
	spliced   atomic.Uint64 // bytes; may be read by all
	now       time.Time     // read once a wake-up
	flows     []*flow       // by slot; nil is free
	free      []int32
	gens      []int32
	ready     []*flow            // have more to move
	halves    map[*flow]struct{} // one side has finished sending
	dials     map[*flow]struct{} // the VM has not answered yet
	greetings map[*flow]struct{} // the peer has not said who the client is
	pinged    map[*flow]struct{} // their clients are asked for signs of life
	pingedAt  time.Time          // when those were last looked at
	farewells map[*flow]struct{} // their clients have some time to end in
	paused    []*door
	pausedAt  time.Time
	stopping  bool

	mu       sync.Mutex
	commands []func(*loop)
	poked    bool // an event is on its way
	closed   bool
}

func newLoop(all *loops) (*loop, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	event, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		_ = unix.Close(ep) // it was never used
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	l := &loop{all: all, ep: ep, event: event, buf: make([]byte, readSize), halves: map[*flow]struct{}{}, dials: map[*flow]struct{}{}, greetings: map[*flow]struct{}{}, pinged: map[*flow]struct{}{}, farewells: map[*flow]struct{}{}, now: time.Now()}
	wake := unix.EpollEvent{Events: unix.EPOLLIN, Fd: wakeSlot}
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, event, &wake); err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return l, nil
}

// post has do run on the loop's goroutine; false when the loop has ended.
func (l *loop) post(do func(*loop)) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.commands = append(l.commands, do)
	if !l.poked {
		l.poked = true
		var one [8]byte
		binary.NativeEndian.PutUint64(one[:], 1)
		_, _ = unix.Write(l.event, one[:]) // it only fails when it is full, which wakes as well
	}
	return true
}

// run serves until ctx is done and the last flow has ended.
func (l *loop) run(ctx context.Context) {
	events := make([]unix.EpollEvent, eventsMax)
	swept := time.Now()
	for {
		n := l.wait(events)
		l.now = time.Now()
		for _, e := range events[:n] {
			l.dispatch(e)
		}
		l.obey()
		l.takeTurns()
		if l.now.Sub(swept) >= dialEvery {
			swept = l.now
			l.sweep()
		}
		if ctx.Err() != nil && l.finished() {
			return
		}
	}
}

// wait blocks until something happens, or not at all while flows have more to
// move. Where time matters it wakes up to look at the clock.
func (l *loop) wait(events []unix.EpollEvent) int {
	if len(l.ready) > 0 {
		n, _ := epollWait(l.ep, events, 0)
		return max(n, 0)
	}
	// What comes soon is met without the scheduler's help; without any guest
	// for a moment the loop gives its processor away and sleeps.
	if n, errno := epollWait(l.ep, events, keenMillis); n > 0 || errno != 0 {
		return max(n, 0)
	}
	n, err := unix.EpollWait(l.ep, events, l.alarm())
	if err != nil {
		return 0 // EINTR; all else is a bug that shows at once
	}
	return n
}

// alarm is after how many milliseconds the clock has to be looked at; -1:
// never.
func (l *loop) alarm() int {
	switch {
	case len(l.dials)+len(l.greetings)+len(l.paused)+len(l.farewells) > 0:
		return int(dialEvery.Milliseconds())
	case len(l.halves) > 0:
		return int(sweepEvery.Milliseconds())
	case len(l.pinged) > 0:
		return int(pingEvery.Milliseconds())
	default:
		return -1
	}
}

func (l *loop) dispatch(e unix.EpollEvent) {
	switch e.Fd {
	case wakeSlot:
		var b [8]byte
		_, _ = unix.Read(l.event, b[:]) // resets it; obey does the work
	case doorSlot:
		if d := l.all.door(e.Pad); d != nil {
			l.accept(d)
		}
	default:
		if f := l.flows[e.Fd>>1]; f != nil && f.gen == e.Pad { // else it ended in this round
			l.rouse(f, e)
		}
	}
}

// rouse has a flow look at one of its sockets.
func (l *loop) rouse(f *flow, e unix.EpollEvent) {
	s := &f.client
	if e.Fd&1 == 1 {
		s = &f.vm
	}
	s.wake(e.Events)
	switch {
	case f.greeting != nil:
		f.hear(l)
	case f.dialling != nil:
		f.answered(l, e.Events)
	case !f.hangUp(l, s, e.Events):
		l.queue(f)
	}
}

func (l *loop) queue(f *flow) {
	if !f.queued {
		f.queued = true
		l.ready = append(l.ready, f)
	}
}

// takeTurns gives every flow that is ready one turn.
func (l *loop) takeTurns() {
	ready := l.ready
	l.ready = nil
	for _, f := range ready {
		f.queued = false
		if !f.closed && f.serve(l) {
			l.queue(f)
		}
	}
	if l.ready == nil {
		l.ready = ready[:0]
	}
}

func (l *loop) obey() {
	l.mu.Lock()
	commands := l.commands
	l.commands, l.poked = nil, false
	l.mu.Unlock()
	for _, do := range commands {
		do(l)
	}
}

// adopt starts serving a flow whose sockets are both connected.
func (l *loop) adopt(f *flow) {
	l.enter(f)
	if l.stopping || l.watch(f, &f.client) != nil || l.watch(f, &f.vm) != nil {
		f.kill(l, Shutdown)
		return
	}
	if f.framed != nil && f.opt.Ping > 0 {
		f.framed.vigil = newVigil(f.opt, l.now)
		l.pinged[f] = struct{}{}
	}
	if f.half != "" { // handed over half-closed
		f.movedAt = l.now
		l.halves[f] = struct{}{}
	}
	l.queue(f)
}

// watch has the kernel tell of every change of a flow's socket.
func (l *loop) watch(f *flow, s *socket) error {
	e := unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET,
		Fd:     f.slot << 1, Pad: f.gen,
	}
	if s == &f.vm {
		e.Fd |= 1
	}
	return unix.EpollCtl(l.ep, unix.EPOLL_CTL_ADD, s.fd, &e)
}

func (l *loop) enter(f *flow) {
	if n := len(l.free); n > 0 {
		f.slot = l.free[n-1]
		l.free = l.free[:n-1]
	} else {
		f.slot = int32(len(l.flows))
		l.flows, l.gens = append(l.flows, nil), append(l.gens, 0)
	}
	l.gens[f.slot]++
	f.gen = l.gens[f.slot]
	l.flows[f.slot] = f
}

func (l *loop) forget(f *flow) {
	if f.slot == noSlot {
		return
	}
	l.flows[f.slot] = nil
	l.free = append(l.free, f.slot)
	delete(l.halves, f)
	delete(l.dials, f)
	delete(l.greetings, f)
	delete(l.pinged, f)
	delete(l.farewells, f)
}

// sweep does what the clock asks for.
func (l *loop) sweep() {
	l.sweepGreetings()
	l.sweepDials()
	l.resumeDoors()
	l.sweepFarewells()
	l.sweepPings()
	for f := range l.halves {
		if f.silentTooLong(l.now) {
			f.end(l, Result{Reason: f.half})
		}
	}
}

// finished tells whether nothing is left to serve, and shuts the loop then.
func (l *loop) finished() bool {
	if len(l.free) < len(l.flows) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.commands) > 0 {
		return false
	}
	l.closed = true
	l.pipes.close()
	_ = unix.Close(l.ep) // nothing can be done about a failing close
	_ = unix.Close(l.event)
	return true
}
