package directory

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
)

// fleet is nodes in one process, on a network that can be told to fail.
type fleet struct {
	t     *testing.T
	peers []netip.Addr

	mu      sync.Mutex // guards what follows
	rnd     *rand.Rand
	nodes   map[netip.Addr]*node
	cut     map[[2]netip.Addr]bool // no message from the first to the second
	loss    float64                // share of messages, and of answers, that get lost
	twice   float64                // share that arrive once more, up to 2 s later
	delay   time.Duration          // one way, at most
	lives   uint64
	crashes map[netip.Addr]int
	hung    map[netip.Addr]bool // alive, but no message comes to them
}

// node is one life of a node.
type node struct {
	*Directory
	fleet *fleet
	own   netip.Addr
	skew  time.Duration
	stop  context.CancelFunc
	ended chan struct{}
}

func newFleet(t *testing.T, size int, seed uint64) *fleet {
	f := &fleet{
		t: t, rnd: rand.New(rand.NewPCG(seed, 1)), nodes: map[netip.Addr]*node{},
		cut: map[[2]netip.Addr]bool{}, crashes: map[netip.Addr]int{}, hung: map[netip.Addr]bool{}, delay: time.Millisecond,
	}
	for i := range size {
		f.peers = append(f.peers, netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}))
	}
	return f
}

// start brings node i up, empty.
func (f *fleet) start(i int, skew time.Duration, deps Deps) *node {
	own := f.peers[i]
	n := &node{fleet: f, own: own, skew: skew, ended: make(chan struct{})}
	deps.Carrier, deps.Log = n, logrus.New()
	deps.Log.(*logrus.Logger).SetLevel(logrus.PanicLevel)
	f.mu.Lock()
	f.lives++
	n.Directory = compose(deps, n, f.lives, func() time.Time { return time.Now().Add(n.skew) })
	f.nodes[own] = n
	f.mu.Unlock()
	if err := n.Directory.Apply(Config{Node: own, Peers: f.peers, Port: 1, Key: "k"}); err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.stop = cancel
	go func() {
		defer close(n.ended)
		_ = n.Directory.Run(ctx)
	}()
	return n
}

// crash ends node i without a word.
func (f *fleet) crash(i int) {
	f.mu.Lock()
	n := f.nodes[f.peers[i]]
	delete(f.nodes, n.own)
	f.crashes[n.own]++
	f.mu.Unlock()
	n.stop()
	<-n.ended
}

func (f *fleet) end() {
	for i := range f.peers {
		if f.node(i) != nil {
			f.crash(i)
		}
	}
	time.Sleep(5 * time.Second) // of the bubble: what is still on its way
}

func (f *fleet) node(i int) *node {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.nodes[f.peers[i]]
}

// partition lets only nodes on the same side reach each other.
func (f *fleet) partition(side func(i int) int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, a := range f.peers {
		for j, b := range f.peers {
			f.cut[[2]netip.Addr{a, b}] = side(i) != side(j)
		}
	}
}

func (f *fleet) heal() {
	f.partition(func(int) int { return 0 })
	f.mu.Lock()
	defer f.mu.Unlock()
	f.loss, f.twice = 0, 0
}

// fate is what the network does to one message.
func (f *fleet) fate(from, to netip.Addr) (arrives, twice bool, delay time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	arrives = !f.cut[[2]netip.Addr{from, to}] && !f.hung[to] && f.rnd.Float64() >= f.loss
	return arrives, f.rnd.Float64() < f.twice, time.Duration(f.rnd.Int64N(int64(f.delay)))
}

// Send is the Carrier.
func (n *node) Send(ctx context.Context, to netip.Addr, m []byte) ([]byte, error) {
	arrives, twice, delay := n.fleet.fate(n.own, to)
	back, _, delayBack := n.fleet.fate(to, n.own)
	if !sleep(ctx, delay) || !arrives {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if twice {
		go func() {
			time.Sleep(50 * delay)
			_, _ = n.deliver(to, m)
		}()
	}
	answer, err := n.deliver(to, m)
	if err != nil || !sleep(ctx, delayBack) || !back {
		<-ctx.Done()
		return nil, errors.Join(err, ctx.Err())
	}
	return answer, nil
}

func (n *node) deliver(to netip.Addr, m []byte) ([]byte, error) {
	n.fleet.mu.Lock()
	target := n.fleet.nodes[to]
	n.fleet.mu.Unlock()
	if target == nil {
		return nil, fmt.Errorf("%s is down", to)
	}
	return target.Receive(context.Background(), n.own, m)
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// The rest makes node a membership that notices within 300 ms who can be reached.

func (n *node) Apply(Config) error { return nil }
func (n *node) SetStatus([]byte)   {}
func (n *node) Refused() uint64    { return 0 }

func (n *node) Run(ctx context.Context, changed func()) error {
	for sleep(ctx, 300*time.Millisecond) {
		changed()
	}
	return nil
}

func (n *node) Alive() map[netip.Addr][]byte {
	n.fleet.mu.Lock()
	defer n.fleet.mu.Unlock()
	alive := map[netip.Addr][]byte{}
	for peer := range n.fleet.nodes {
		if peer != n.own && !n.fleet.cut[[2]netip.Addr{n.own, peer}] && !n.fleet.cut[[2]netip.Addr{peer, n.own}] {
			alive[peer] = nil
		}
	}
	return alive
}
