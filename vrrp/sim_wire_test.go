package vrrp

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// simWire is a node's interface in a simulation.
type simWire struct {
	node   *simNode
	queue  chan Packet
	done   chan struct{}
	deaf   atomic.Bool // its process was killed
	closed sync.Once
}

func (n *simNode) open(Config, link) (wire, error) {
	w := &simWire{node: n, queue: make(chan Packet, 1000), done: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.wire = w
	return w, nil
}

func (w *simWire) send(d datagram) error {
	if !w.deaf.Load() {
		w.node.net.deliver(w.node, d)
	}
	return nil
}

// deliver brings a packet to all that can hear it, each after a while of its own.
func (s *simNet) deliver(from *simNode, d datagram) {
	from.mu.Lock()
	up := from.carrier && !from.powerOff
	from.mu.Unlock()
	for _, to := range s.nodes {
		delay, passes := s.passes(from, to)
		if to == from || !up || !passes {
			continue
		}
		time.AfterFunc(delay, func() { to.take(Packet{From: d.From, To: d.To, Hops: 255, Data: d.Data}) })
	}
}

func (n *simNode) take(p Packet) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.wire == nil || !n.carrier || n.powerOff {
		return
	}
	select {
	case n.wire.queue <- p:
	default:
	}
}

func (w *simWire) receive() (Packet, error) {
	select {
	case p := <-w.queue:
		w.node.gate()
		return p, nil
	case <-w.done:
		return Packet{}, errClosed
	}
}

func (w *simWire) announce(list []place) error {
	w.node.mu.Lock()
	defer w.node.mu.Unlock()
	w.node.announced = list
	return nil
}

func (w *simWire) close() { w.closed.Do(func() { close(w.done) }) }

// simGuard is a guard and what the kernel does: the decisions are the real ones.
type simGuard struct {
	node *simNode
	out  chan report

	mu      sync.Mutex
	ward    ward
	dead    bool
	stopped bool
	orphans bool // its process was killed
	answer  deadline
	pipe    []report
	began   time.Time // when it was started
	newest  uint64    // the newest term it was told of
	decided time.Time // when
}

func (n *simNode) newGuard() keeper {
	g := &simGuard{node: n, out: make(chan report, 64)}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.guard = g
	return g
}

// simUptime is the clock that guards and processes share.
func simUptime() time.Duration { return time.Since(time.Unix(0, 0)) }

func (g *simGuard) run(ctx context.Context) {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			g.orphan()
			return
		case <-tick.C:
			g.tick()
		}
	}
}

func (g *simGuard) tick() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dead || g.stopped {
		return
	}
	w, d := g.ward.tick(simUptime())
	g.ward = w
	if d != nothing {
		g.do(d)
		g.say(report{Term: w.order.Term, Held: w.held})
	}
}

func (g *simGuard) order(o order) {
	g.mu.Lock()
	defer g.mu.Unlock()
	o.At = simUptime()
	if o.Term != g.newest {
		g.newest, g.decided = o.Term, time.Now()
	}
	switch {
	case g.dead || g.orphans:
	case g.stopped:
		g.answer = g.answer.asked(o, time.Now())
		time.AfterFunc(time.Until(g.answer.at), g.replace)
	default:
		g.obey(o)
	}
}

func (g *simGuard) obey(o order) {
	w, d := g.ward.obey(o, simUptime())
	g.ward = w
	g.do(d)
	g.say(report{Term: o.Term, Held: w.held})
}

// say reports, in the order of what it says, as a pipe does.
func (g *simGuard) say(r report) {
	g.pipe = append(g.pipe, r)
	time.AfterFunc(200*time.Microsecond, func() {
		g.node.gate()
		g.mu.Lock()
		defer g.mu.Unlock()
		r := g.pipe[0]
		g.pipe = g.pipe[1:]
		select {
		case g.out <- r:
		default:
		}
	})
}

func (g *simGuard) do(d deed) {
	n := g.node
	if d == put {
		g.checkPrepared()
	}
	n.mu.Lock()
	switch {
	case n.powerOff:
	case d == put:
		n.expires = time.Now().Add(2 * time.Second)
	case d != nothing:
		n.expires = time.Time{}
	}
	n.mu.Unlock()
	if d == giveUp {
		for _, o := range g.ward.order.Farewell {
			n.net.deliver(n, o)
		}
	}
}

func (g *simGuard) reports() <-chan report { return g.out }

// orphan is the end of its process.
func (g *simGuard) orphan() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.orphans = true
	if g.dead || g.stopped {
		return
	}
	w, d := g.ward.abandoned()
	g.ward = w
	g.do(d)
	g.dead = true
}

// kill ends the guard alone. Its keeper starts another: at once, when it is not the
// second in a short time.
func (g *simGuard) kill() {
	if g == nil { // its process does not run
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dead || g.orphans {
		return
	}
	g.dead = true
	g.say(report{Died: "killed"})
	const start = 15 * time.Millisecond
	time.AfterFunc(max(0, time.Until(g.began.Add(100*time.Millisecond)))+start, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if !g.orphans {
			g.dead, g.stopped, g.ward, g.answer, g.began = false, false, ward{}, deadline{}, time.Now()
			g.say(report{Started: true})
		}
	})
}

// freeze stops the guard for good.
func (g *simGuard) freeze() {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopped, g.answer = true, deadline{held: g.ward.held}
}

// replace is the keeper's, when the guard does not answer in time.
func (g *simGuard) replace() {
	g.mu.Lock()
	late := g.stopped && !g.dead && g.answer.passed(time.Now().Add(1))
	g.mu.Unlock()
	if late {
		g.kill()
	}
}
