package balancer

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"sync"
	"sync/atomic"
	"time"
)

// starvedEvery is how often a lack of descriptors is logged at most.
const starvedEvery = time.Minute

var errStopped = errors.New("balancer: stopped")

// Balancer is one node's. Its methods may be called from many goroutines.
type Balancer struct {
	deps    Deps
	changed chan struct{} // capacity 1: the nodes are others

	applying sync.Mutex // one Apply at a time, taken before mu

	mu      sync.Mutex
	cfg     Config
	stopped bool
	doors   map[netip.AddrPort]Listener
	fronts  map[netip.AddrPort]*front // by where they listen
	nodes   []*node                   // in the order of cfg.Nodes
	sources sources
	turn    int
	open    int // connections of all fronts

	starved atomic.Int64 // when it was last logged, in ns since 1970
}

// New returns a balancer without fronts, which starts nothing.
func New(deps Deps) *Balancer {
	return &Balancer{
		deps: deps.filled(), changed: make(chan struct{}, 1),
		doors: map[netip.AddrPort]Listener{}, fronts: map[netip.AddrPort]*front{},
		sources: sources{written: map[netip.Prefix]note{}},
	}
}

// Apply makes cfg the state. Fronts listen when it returns, also before Run, but
// choose nodes by their checks only while it runs. New listeners are bound before
// old ones close, connections stay. An error means that nothing changed.
func (b *Balancer) Apply(cfg Config) error {
	b.applying.Lock()
	defer b.applying.Unlock()
	cfg = cfg.filled()
	if err := cfg.check(); err != nil {
		return err
	}
	if same, err := b.same(cfg); same || err != nil {
		return err
	}
	fresh, err := b.bind(cfg)
	if err != nil {
		return err
	}
	old, err := b.commit(cfg, fresh)
	for _, d := range old {
		d.Close()
	}
	return err
}

func (b *Balancer) same(cfg Config) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return false, errStopped
	}
	return reflect.DeepEqual(b.cfg, cfg), nil
}

// bind opens the doors that cfg needs and the balancer lacks. They refuse
// everybody until commit.
func (b *Balancer) bind(cfg Config) (map[netip.AddrPort]Listener, error) {
	fresh := map[netip.AddrPort]Listener{}
	for _, f := range cfg.Fronts {
		addr := cfg.listen(f)
		if b.listens(addr) {
			continue
		}
		d, err := b.deps.Listen(addr, b.door(addr, cfg))
		if err != nil {
			for _, d := range fresh {
				d.Close()
			}
			return nil, fmt.Errorf("front %s: %w", f.Name, err)
		}
		fresh[addr] = d
	}
	return fresh, nil
}

func (b *Balancer) listens(addr netip.AddrPort) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.doors[addr] != nil
}

func (b *Balancer) door(addr netip.AddrPort, cfg Config) Door {
	return Door{
		Setup:   func(fd int) error { return listening(fd, addr.Addr(), cfg.Freebind, cfg.Timeouts) },
		Knock:   func(client netip.AddrPort, cut func()) *Route { return b.knock(addr, client, cut, time.Now()) },
		Starved: b.starving,
	}
}

// commit makes cfg the state and returns the doors to close.
func (b *Balancer) commit(cfg Config, fresh map[netip.AddrPort]Listener) ([]Listener, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped { // meanwhile
		return doors(fresh), errStopped
	}
	for _, d := range b.doors {
		_ = d.Control(func(fd int) error { return tune(fd, cfg.Timeouts) }) // only fails when closed
	}
	b.cfg = cfg
	b.nodes = keepNodes(b.nodes, cfg)
	b.fronts = keepFronts(b.fronts, cfg, b.nodes)
	var old []Listener
	for addr, d := range b.doors {
		if b.fronts[addr] != nil {
			fresh[addr] = d
			continue
		}
		old = append(old, d)
	}
	b.doors = fresh
	wake(b.changed)
	return old, nil
}

// wake has whoever reads the channel, of capacity 1, do its work soon.
func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// keepNodes makes the nodes of cfg; known ones keep their state.
func keepNodes(was []*node, cfg Config) []*node {
	known := map[netip.Addr]*node{}
	for _, n := range was {
		known[n.addr] = n
	}
	var now []*node
	for _, a := range cfg.Nodes {
		n := known[a]
		if n == nil {
			n = newNode(a)
		}
		now = append(now, n)
	}
	return now
}

// Ready tells whether every front listens and every node's state is known, so
// that clients may come.
func (b *Balancer) Ready() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, n := range b.nodes {
		if !n.health.known {
			return false
		}
	}
	return !b.stopped
}

// Run checks the nodes until ctx is done, then stops listening. Connections are
// the relay's to end.
func (b *Balancer) Run(ctx context.Context) error {
	var checks sync.WaitGroup
	running := map[*node]context.CancelFunc{}
	for ctx.Err() == nil {
		b.watchAll(ctx, &checks, running)
		select {
		case <-ctx.Done():
		case <-b.changed:
		}
	}
	for _, cancel := range running {
		cancel()
	}
	checks.Wait()
	b.stop()
	return nil
}

func (b *Balancer) stop() {
	b.mu.Lock()
	b.stopped = true
	old := doors(b.doors)
	b.doors, b.fronts = nil, nil
	b.mu.Unlock()
	for _, d := range old {
		d.Close()
	}
}

func doors(of map[netip.AddrPort]Listener) []Listener {
	var all []Listener
	for _, d := range of {
		all = append(all, d)
	}
	return all
}

// starving logs that no descriptors are left, now and then.
func (b *Balancer) starving(err error) {
	now := time.Now().UnixNano()
	if was := b.starved.Load(); now-was < int64(starvedEvery) || !b.starved.CompareAndSwap(was, now) {
		return
	}
	go b.deps.Log.WithError(err). // off the loop: a log may block
					Error("the balancer cannot accept connections; raise the descriptor limit (LimitNOFILE=) if it says too many open files")
}
