package vrrp

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

const (
	// retryAfter is the pause after something of the host failed: sockets, the guard.
	retryAfter = 2 * time.Second
	// sendTries is how many advertisements in a row may fail to be sent.
	sendTries = 3
	// endTime bounds how long Run waits for the guard when it ends.
	endTime = 500 * time.Millisecond
)

// loop is the one goroutine that acts. Only it uses the fields; logs and what others
// see are passed on.
type loop struct {
	v       *VRRP
	alarm   alarm
	keeper  keeper
	links   chan struct{}
	looked  chan view // capacity 1: one look at a time
	packets chan arrival
	journal chan func()
	workers sync.WaitGroup
	done    <-chan struct{} // closed when the workers are to end

	cfg      Config
	inside   []Placed // that cfg shall have when it is known where they are
	m        machine
	link     link
	wire     wire          // nil: there is none
	now      time.Time     // of this turn
	wake     time.Duration // when the alarm goes off, by the uptime
	stopping bool
	looking  bool
	status   Status
	logged   map[string]time.Time

	term    uint64    // how often it became Active
	told    order     // the guard's last one
	beat    time.Time // when that was said
	holding bool      // by the guard's last report
	orphan  time.Time // since when there is no guard; zero: there is one
	blocked string    // why it does not compete, until
	until   time.Time
	backoff time.Duration // how long it does not compete after the next failure
	failed  int           // advertisements in a row that were not sent
	yield   *yield

	hooks     *hooks
	preparing *preparation // of this term, until Prepare has returned; nil: there is none
	begun     uint64       // the newest term in which the guard was told to hold them
	follows   netip.Addr   // who is Active as Followed was told; invalid: nobody, or this node
}

// view is what was seen of the interface of a config.
type view struct {
	cfg  Config
	link link
}

// arrival is a packet of a wire, or the wire's end.
type arrival struct {
	from   wire
	packet Packet
	err    error
}

func newLoop(v *VRRP, a alarm) *loop {
	return &loop{
		v: v, alarm: a, keeper: v.sys.guard(), links: make(chan struct{}, 1), looked: make(chan view, 1), packets: make(chan arrival, 64),
		journal: make(chan func(), 64), hooks: newHooks(v.deps), logged: map[string]time.Time{}, backoff: retryAfter,
		status: Status{Role: RoleNone, Counters: Counters{Became: map[Role]uint64{}, Discarded: map[Discard]uint64{}}},
	}
}

func (l *loop) run(ctx context.Context) error {
	workers, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l.done = workers.Done()
	l.workers.Go(func() { l.v.sys.watch(workers, l.links) })
	l.workers.Go(func() { l.keeper.run(workers) })
	l.workers.Go(l.alarm.run)
	written := make(chan struct{})
	go l.write(written)
	go l.hooks.run(l.done)
	l.now = time.Now()
	l.m, l.orphan = newMachine(election{}, "", l.now), l.now
	l.turn(l.adopt)
	for !l.over() {
		l.wait(ctx)
	}
	l.closeWire()
	l.alarm.close()
	close(l.journal)
	l.hooks.end()
	cancel()
	l.workers.Wait()
	enough, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTime)
	defer cancel()
	for _, over := range []<-chan struct{}{written, l.hooks.over} { // what is stuck does not keep it
		select {
		case <-over:
		case <-enough.Done():
			l.hooks.drop()
		}
	}
	return nil
}

// over tells whether it was asked to stop and the addresses are gone, or the guard
// takes too long for that.
func (l *loop) over() bool {
	return l.stopping && l.m.role == RoleFault && (!l.holding || l.now.Sub(l.m.since) > endTime)
}

// wait waits for something to happen, and does what it asks for.
func (l *loop) wait(ctx context.Context) {
	l.setAlarm()
	done := ctx.Done()
	if l.stopping {
		done = nil
	}
	select {
	case <-done:
		l.turn(func(time.Time) { l.stopping = true })
	case <-l.alarm.rings():
		l.turn(l.drain)
	case p := <-l.packets:
		l.turn(func(now time.Time) { l.arrived(p, now) })
	case r := <-l.keeper.reports():
		l.turn(func(now time.Time) { l.reported(r, now) })
	case <-l.links:
		l.look()
	case term := <-l.hooks.prepared:
		l.turn(func(time.Time) { l.prepared(term) })
	case v := <-l.looked:
		l.turn(func(now time.Time) { l.seen(v, now) })
	case <-l.v.changed:
		l.turn(l.adopt)
	case <-l.v.pings:
	case y := <-l.v.yields:
		l.turn(func(now time.Time) { l.handOver(y, now) })
	}
}

// turn does what happened, and then what is due. A process that stood still finds out
// before anything else.
func (l *loop) turn(happened func(now time.Time)) {
	now := time.Now()
	was := l.m
	l.now = now
	if late := l.v.sys.uptime() - l.wake; late > l.patience() {
		m, out := l.m.paused(late, now)
		l.do(m, out, now)
	}
	happened(now)
	l.compete(now)
	if l.m.role != RoleFault {
		m, out := l.m.expire(now)
		l.do(m, out, now)
	}
	l.keepWaiting(now)
	l.command(now)
	l.notice(was)
	l.publish()
}

// patience is how late the loop may wake and go on as if it had not. An Active router
// later than that has been given up by its guard; what a Backup has not heard may be
// waiting to be read.
func (l *loop) patience() time.Duration {
	if l.m.role == RoleActive {
		return silence(l.cfg.Interval) - beat(l.cfg.Interval)
	}
	return answerGap
}

// drain reads what has arrived: it may be what a timer has waited for.
func (l *loop) drain(now time.Time) {
	for range len(l.packets) { // only this goroutine takes them
		l.arrived(<-l.packets, now)
	}
}

// do makes a transition the state and carries out what it asks for.
func (l *loop) do(m machine, out output, now time.Time) {
	taken := m.role == RoleActive && l.m.role != RoleActive
	l.m = m
	if taken {
		l.term++
		l.status.Took = -1 // it takes until the first announcement
		l.prepare(now)
		l.command(now) // the guard begins while the others are told
	}
	for _, priority := range out.adverts {
		l.send(priority, now)
	}
	if out.announce && l.wire != nil {
		l.announce(now)
	}
}

// setAlarm has the loop wake when something is due.
func (l *loop) setAlarm() {
	next := l.beat.Add(l.beatEvery())
	for _, t := range []time.Time{l.m.next(), l.until, l.expiry(), l.preparing.until()} {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	up := l.v.sys.uptime() // first: what goes by from here on counts as late
	after := time.Until(next)
	l.wake = up + after
	l.alarm.set(after)
}

// publish lets others see how it does.
func (l *loop) publish() {
	s := &l.status
	s.Role, s.Since, s.Why = l.m.role, l.m.since, l.m.why
	if !l.cfg.enabled() {
		s.Role = RoleNone
	}
	s.Held, s.Interface, s.Active = l.holding && l.m.role == RoleActive, l.link.name, l.m.heardOf
	l.v.mu.Lock()
	defer l.v.mu.Unlock()
	l.v.status = s.clone()
}
