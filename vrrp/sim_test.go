package vrrp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
)

// insideMAC is that of every interface inside.
const insideMAC = "02:00:00:00:01:01"

// simVirtual is the address that simulated nodes compete for.
var simVirtual = netip.MustParsePrefix("10.0.0.100/32")

// simNode is a host in a simulation: the real loop and the real decisions of the guard
// on a network and a kernel that are made up. Times are those of the bubble.
type simNode struct {
	net  *simNet
	cfg  Config
	v    *VRRP
	stop context.CancelFunc
	over chan struct{} // closed when Run has returned

	unready atomic.Bool // nobody says that it is ready

	// preparing is its Prepare, which needs not heed ctx, followed its Followed; nil: it
	// has none.
	preparing func(ctx context.Context)
	followed  func(netip.Addr)

	mu        sync.Mutex
	on        bool          // the process runs
	resume    chan struct{} // nil: it is not stopped
	carrier   bool
	cut       bool // the link of the addresses inside
	mac       string
	blind     bool // its interfaces cannot be listed
	wire      *simWire
	links     chan<- struct{}
	guard     *simGuard
	expires   time.Time // of the address in the kernel; zero: it is not there
	powerOff  bool
	announced []place
	prepared  time.Time // when the newest Prepare began that has returned
}

func (n *simNode) addr() netip.Addr { return n.cfg.Node }

// holds tells whether the kernel has the address.
func (n *simNode) holds() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.powerOff && !n.expires.IsZero() && time.Now().Before(n.expires)
}

// gate returns when the process is not stopped.
func (n *simNode) gate() {
	for {
		n.mu.Lock()
		wait := n.resume
		n.mu.Unlock()
		if wait == nil {
			return
		}
		<-wait
	}
}

func (n *simNode) pause() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.on && n.resume == nil {
		n.resume = make(chan struct{})
	}
}

func (n *simNode) cont() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.resume != nil {
		close(n.resume)
		n.resume = nil
	}
}

// start starts the process, if it does not run.
func (n *simNode) start() {
	n.mu.Lock()
	n.powerOff = false
	if n.on {
		n.mu.Unlock()
		return
	}
	n.on = true
	n.mu.Unlock()
	log := logrus.New()
	log.SetOutput(simLog{n})
	n.v = newVRRP(n.deps(log), system{
		look: n.look, watch: n.watch, open: n.open, guard: n.newGuard, alarm: n.newAlarm, uptime: simUptime,
	})
	if err := n.v.Apply(n.cfg); err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	over := make(chan struct{})
	n.stop, n.over = stop, over
	go func() {
		defer close(over)
		_ = n.v.Run(ctx)
	}()
	go n.beReady(ctx, n.v)
}

// beReady is the rest of the node, which serves.
func (n *simNode) beReady(ctx context.Context, v *VRRP) {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		n.gate()
		if !n.unready.Load() {
			v.SetReady(true, "")
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// end stops the process in order, kill without a word.
func (n *simNode) end() {
	n.cont()
	if n.stop != nil {
		n.stop()
		<-n.over
	}
	n.mu.Lock()
	n.on = false
	n.mu.Unlock()
}

// kill ends the process at once: nothing that its goroutines still do is seen by
// anybody.
func (n *simNode) kill() {
	n.mu.Lock()
	w, g := n.wire, n.guard
	n.wire, n.guard = nil, nil
	n.mu.Unlock()
	if w != nil {
		w.deaf.Store(true)
	}
	if g != nil {
		g.orphan()
	}
	n.cont()
	if n.stop != nil {
		n.stop() // what it does now nobody sees
	}
	n.mu.Lock()
	n.on = false
	n.mu.Unlock()
}

// crash is the end of process and guard with the host.
func (n *simNode) crash() {
	n.mu.Lock()
	n.powerOff, n.expires = true, time.Time{}
	g := n.guard
	n.mu.Unlock()
	if g != nil {
		g.kill()
	}
	n.kill()
}

func (n *simNode) setCarrier(up bool) { n.change(func() { n.carrier = up }) }

// change changes something about the interfaces, and tells.
func (n *simNode) change(how func()) {
	n.mu.Lock()
	how()
	links := n.links
	n.mu.Unlock()
	if links != nil {
		select {
		case links <- struct{}{}:
		default:
		}
	}
}

func (n *simNode) look(c Config, _ link) link {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := link{port: port{name: "eth0", index: 2, mac: n.mac}, source: n.cfg.Node}
	if n.blind {
		return link{failed: "too many open files"}
	}
	if !n.carrier {
		l.why = "interface eth0 has no link"
	}
	for range c.Inside {
		l.inside = append(l.inside, port{name: "eth1", index: 3, mac: insideMAC})
		if n.cut {
			l.lacks = "interface eth1 has no link"
		}
	}
	return l
}

func (n *simNode) watch(ctx context.Context, changed chan<- struct{}) {
	n.mu.Lock()
	n.links = changed
	n.mu.Unlock()
	<-ctx.Done()
}

// simAlarm does not ring while the process is stopped.
type simAlarm struct {
	node  *simNode
	timer *time.Timer
	done  chan struct{}
	c     chan struct{}
}

func (n *simNode) newAlarm() (alarm, error) {
	return &simAlarm{node: n, timer: time.NewTimer(time.Hour), done: make(chan struct{}), c: make(chan struct{}, 1)}, nil
}

func (a *simAlarm) run() {
	for {
		select {
		case <-a.timer.C:
		case <-a.done:
			return
		}
		a.node.gate()
		select {
		case a.c <- struct{}{}:
		default:
		}
	}
}

func (a *simAlarm) set(after time.Duration) { a.timer.Reset(after) }
func (a *simAlarm) rings() <-chan struct{}  { return a.c }
func (a *simAlarm) close()                  { close(a.done) }

// simLog gathers what all nodes log.
type simLog struct{ node *simNode }

func (l simLog) Write(b []byte) (int, error) {
	l.node.net.note("%s: %s", l.node.addr(), strings.TrimSpace(string(b)))
	return len(b), nil
}

var errClosed = errors.New("closed")

var _ io.Writer = simLog{}

// simNet is the network between nodes, with a seed for what goes wrong.
type simNet struct {
	mu    sync.Mutex
	rand  *rand.Rand
	nodes []*simNode
	loss  float64
	delay time.Duration      // the most
	parts map[netip.Addr]int // nodes of different numbers do not hear each other
	begin time.Time
	story []string
	wrong []string // what must not happen, and did
}

func (s *simNet) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.story = append(s.story, fmt.Sprintf("%10s ", time.Since(s.begin).Round(10*time.Microsecond))+fmt.Sprintf(format, args...))
}

// passes decides the fate of one packet.
func (s *simNet) passes(from, to *simNode) (time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delay := time.Duration(s.rand.Int64N(int64(s.delay)))
	return delay, s.parts[from.addr()] == s.parts[to.addr()] && s.rand.Float64() >= s.loss
}
