package vrrp

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// lateGrace is how late a guard may wake, and how long it then waits for what was said
// meanwhile.
const lateGrace = 3 * time.Millisecond

// RunGuard is the guard's process: it obeys orders from in, reports to out, and
// returns when in has ended and the addresses are gone. Signals are the caller's to
// ignore: a guard ends when its process does.
func RunGuard(in io.Reader, out io.Writer) error {
	sys, err := newAddresses()
	if err != nil {
		return err
	}
	defer sys.close()
	g := &guard{sys: sys, out: json.NewEncoder(out)}
	orders := make(chan order, 16)
	go read(in, orders) // ends with the pipe, as the process does
	for {
		at, held := g.ward.next()
		o, more, timely := await(orders, at, held)
		switch {
		case timely && !more:
			return g.abandon()
		case timely:
			g.obey(o)
		default:
			g.tick()
		}
	}
}

// await waits for an order until it is time to act without one, if it ever is. A guard
// that wakes up late, for it was not let run, reads what was said meanwhile first.
func await(orders <-chan order, until time.Duration, bounded bool) (o order, more, timely bool) {
	if !bounded {
		o, more = <-orders
		return o, more, true
	}
	late := time.NewTimer(until - uptime())
	defer late.Stop()
	select {
	case o, more = <-orders:
		return o, more, true
	case <-late.C:
	}
	if uptime()-until < lateGrace {
		return o, true, false
	}
	late.Reset(lateGrace)
	select {
	case o, more = <-orders:
		return o, more, true
	case <-late.C:
		return o, true, false
	}
}

// read passes orders on. One that is not understood is as good as silence.
func read(in io.Reader, orders chan<- order) {
	defer close(orders)
	d := json.NewDecoder(in)
	for {
		var o order
		if d.Decode(&o) != nil {
			return
		}
		orders <- o
	}
}

// guard acts on what its ward decides.
type guard struct {
	ward ward
	sys  *addresses
	out  *json.Encoder

	// What it says, through sockets that are open before they are needed; nil: there
	// are none, so that others wait for the end of their timers, or the process
	// announces alone.
	ready    order // what they are open for
	wire     *adverts
	announce announcers
}

func (g *guard) obey(o order) {
	was := g.ward
	w, d := was.obey(o, uptime())
	g.ward = w
	r := report{Term: o.Term}
	var err error
	if was.begun && d != nothing && !sameAddrs(was.order, o) {
		_, err = g.sys.remove(was.order.without(o))
	}
	found, more := g.do(d)
	if !was.begun {
		r.Found = found
	}
	if err = errors.Join(err, more); err == nil && d == put && !was.held && g.announce != nil {
		_ = g.announce.announce(o.Places) // sooner than the process can; it does so too
	}
	g.say(r, err)
	g.prepare(o)
}

func (g *guard) tick() {
	w, d := g.ward.tick(uptime())
	g.ward = w
	if d == nothing {
		return
	}
	_, err := g.do(d)
	g.say(report{Term: g.ward.order.Term}, err)
}

// abandon is that the process is gone.
func (g *guard) abandon() error {
	w, d := g.ward.abandoned()
	g.ward = w
	_, err := g.do(d)
	return err
}

// say reports. Addresses that could not be had are not held.
func (g *guard) say(r report, err error) {
	if err != nil {
		r.Error, g.ward.held = err.Error(), false
	}
	r.Held = g.ward.held
	_ = g.out.Encode(r) // a process that does not listen is missed otherwise
}

// do changes the addresses and returns those that it removed.
func (g *guard) do(d deed) ([]netip.Addr, error) {
	o := g.ward.order
	switch d {
	case put:
		err := g.sys.put(o)
		g.ward.dirty = err != nil
		return nil, err
	case remove, giveUp:
		found, err := g.sys.remove(o.addrs())
		g.ward.dirty = err != nil
		if d == giveUp {
			g.farewell()
		}
		return found, err
	}
	return nil, nil
}

// prepare opens what the guard speaks through, when it is another than before.
func (g *guard) prepare(o order) {
	unknown := slices.ContainsFunc(o.Places, func(p place) bool { return p.Index == 0 })
	if len(o.Places) == 0 || unknown || sameVoice(g.ready, o) {
		return
	}
	g.close()
	g.ready = o
	if o.From.IsValid() {
		if g.wire, _ = openAdverts(o.On, o.From); g.wire != nil {
			_ = g.wire.deafen() // its buffer has a bound
		}
	}
	g.announce, _ = openAnnouncers(o.Places)
}

func (g *guard) close() {
	if g.wire != nil {
		g.wire.close()
	}
	g.announce.close()
	g.wire, g.announce = nil, nil
}

func (g *guard) farewell() {
	if g.wire == nil {
		return
	}
	for _, d := range g.ward.order.Farewell {
		_ = g.wire.send(d) // the link may be gone
	}
}

// uptime is the time since the machine was started, sleep included.
func uptime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic(fmt.Sprintf("vrrp: there is no clock: %v", err)) // Linux has had it since 2.6.39
	}
	return time.Duration(t.Nano())
}
