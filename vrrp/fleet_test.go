package vrrp

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// seedFlag repeats one simulation: go test ./vrrp -run Fleets -seed N
var (
	seedFlag   = flag.Uint64("seed", 0, "the one seed to simulate; 0: as many as -fleets says, from 1 on")
	fleetsFlag = flag.Uint64("fleets", 60, "how many fleets to simulate")
)

const (
	// settleSlack is what may be added to a master-down time until one node is Active.
	settleSlack = 100 * time.Millisecond
	// guardTime is what a killed or frozen guard may take: the kernel's part of it.
	guardTime = 3 * time.Second
	sampled   = time.Millisecond
)

// fleet is a simulation and what was seen in it.
type fleet struct {
	*simNet
	t      *testing.T
	chance *rand.Rand    // of what happens; the network has its own
	none   time.Duration // the longest time without the address, at present
	two    time.Duration // and with two
	slow   time.Duration // how much longer a take-over may take, for Prepare
}

func newFleet(t *testing.T, seed uint64) *fleet {
	r := rand.New(rand.NewPCG(seed, 1))
	f := &fleet{t: t, chance: r, simNet: &simNet{rand: rand.New(rand.NewPCG(seed, 2)), delay: 2 * time.Millisecond, parts: map[netip.Addr]int{}, begin: time.Now()}}
	interval := []time.Duration{10, 50, 100, 1000}[r.IntN(4)] * time.Millisecond
	preempt, equal := r.IntN(2) == 0, r.IntN(4) == 0
	for i := range 2 + r.IntN(4) {
		c := Config{
			Addrs: []netip.Prefix{simVirtual}, Node: netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}),
			Version: 3, VRID: 7, Priority: uint8(254 - 10*i), Interval: interval, Preempt: preempt, Checksum: ChecksumPseudo,
		}
		if equal {
			c.Priority = 100
		}
		f.nodes = append(f.nodes, &simNode{net: f.simNet, cfg: c, carrier: true})
	}
	return f
}

// down is the longest Active_Down_Interval of all nodes.
func (f *fleet) down() time.Duration {
	var longest time.Duration
	for _, n := range f.nodes {
		longest = max(longest, n.cfg.election(n.addr()).down(n.cfg.Interval))
	}
	return longest
}

// watch lets time pass and looks at who has the address.
func (f *fleet) watch(d time.Duration) {
	f.none, f.two = 0, 0
	var none, two time.Duration
	for range d / sampled {
		time.Sleep(sampled)
		switch holders := len(f.holders()); {
		case holders == 0:
			none, two = none+sampled, 0
		case holders > 1:
			none, two = 0, two+sampled
		default:
			none, two = 0, 0
		}
		f.none, f.two = max(f.none, none), max(f.two, two)
	}
	f.mu.Lock()
	wrong := f.wrong
	f.mu.Unlock()
	if wrong != nil {
		f.fail("%s", strings.Join(wrong, "\n"))
	}
}

func (f *fleet) holders() (list []netip.Addr) {
	for _, n := range f.nodes {
		if n.holds() {
			list = append(list, n.addr())
		}
	}
	return list
}

func (f *fleet) active() (list []netip.Addr) {
	for _, n := range f.nodes {
		if n.v != nil && n.v.Status().Role == RoleActive {
			list = append(list, n.addr())
		}
	}
	return list
}

// fail ends the test with the story so far.
func (f *fleet) fail(format string, args ...any) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.t.Fatalf("%s\n%s", fmt.Sprintf(format, args...), strings.Join(f.story, "\n"))
}

// settled checks that one node is Active and has the address, within the time that it
// may take, and that it stays so.
func (f *fleet) settled(extra time.Duration) {
	f.t.Helper()
	most := f.down() + settleSlack + f.slow
	within := most + extra
	f.watch(within)
	if f.none > most {
		f.fail("nobody had the address for %s, want %s at most", f.none, most)
	}
	f.steady(within, 300*time.Millisecond)
}

func (f *fleet) steady(within, d time.Duration) {
	f.t.Helper()
	f.watch(d)
	holders, active := f.holders(), f.active()
	if len(holders) != 1 || len(active) != 1 || holders[0] != active[0] || f.none > 0 || f.two > 0 {
		f.fail("%s after the last event: %v have the address (none for %s, two for %s), active are %v; want one", within, holders, f.none, f.two, active)
	}
}

// overlap is how long two nodes may have the address while none can be cut off from the
// other: packets and guards take their time.
const overlap = 5 * time.Millisecond

// mishap is what befalls a node alone: see event.
func (f *fleet) mishap() (string, func()) {
	n := f.nodes[f.chance.IntN(len(f.nodes))]
	name := n.addr().String()
	switch f.chance.IntN(6) {
	case 0:
		n.crash()
		return name + " loses power", n.start
	case 1:
		n.kill()
		return name + " is killed", n.start
	case 2:
		n.pause()
		return name + " is stopped", n.cont
	case 3:
		n.setCarrier(false)
		return name + " loses its link", func() { n.setCarrier(true) }
	case 4:
		n.handOver()
		return name + " was asked to hand over", func() {}
	default:
		n.end()
		return name + " stopped in order", n.start
	}
}

// event does something to a node or to the network, and returns how to undo it and how
// much longer than usual it may take.
func (f *fleet) event() (name string, undo func(), extra time.Duration) {
	n := f.nodes[f.chance.IntN(len(f.nodes))]
	switch f.chance.IntN(10) {
	case 0:
		f.partition()
		return fmt.Sprintf("the network falls apart: %v", f.parts), f.heal, 0
	case 1:
		f.setLoss(0.3)
		return "packets get lost", func() { f.setLoss(0) }, 0
	case 2:
		n.guard.kill()
		return "the guard of " + n.addr().String() + " is killed", func() {}, guardTime
	case 3:
		n.guard.freeze()
		return "the guard of " + n.addr().String() + " is stopped", func() {}, guardTime
	case 4:
		f.setDelay(20 * time.Millisecond)
		return "packets are late", func() { f.setDelay(2 * time.Millisecond) }, 0
	default:
		name, undo = f.mishap()
		return name, undo, 0
	}
}

func (n *simNode) handOver() {
	n.mu.Lock()
	on := n.on && n.resume == nil
	n.mu.Unlock()
	if on {
		_ = n.v.Yield(context.Background(), "asked") // a backup has nothing to hand over
	}
}

func (s *simNet) partition() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.nodes {
		s.parts[n.addr()] = s.rand.IntN(2)
	}
}

func (s *simNet) heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.parts)
}

func (s *simNet) setLoss(p float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loss = p
}

func (s *simNet) setDelay(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = d
}

// Fleets of two to five nodes go through what a seed has for them. Whenever nothing
// happens for as long as a Backup waits, one of them has the address.
func TestFleets(t *testing.T) {
	first, last := uint64(1), *fleetsFlag
	if *seedFlag != 0 {
		first, last = *seedFlag, *seedFlag
	}
	for seed := first; seed <= last; seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { simulate(t, seed) })
		})
	}
}

func simulate(t *testing.T, seed uint64) {
	f := newFleet(t, seed)
	f.prepare(rand.New(rand.NewPCG(seed, 3)))
	defer f.run()()
	f.settled(0)
	for range 8 {
		var undo []func()
		var extra time.Duration
		for range 1 + f.chance.IntN(3) {
			name, back, more := f.event()
			f.note("- %s", name)
			undo, extra = append(undo, back), max(extra, more)
			time.Sleep(time.Duration(f.chance.Int64N(int64(2 * f.down()))))
		}
		for _, back := range undo {
			back()
		}
		f.note("- all is well again")
		f.settled(extra)
	}
}

// run starts all nodes, and returns what ends them.
func (f *fleet) run() (stop func()) {
	for _, n := range f.nodes {
		n.start()
	}
	return func() {
		for _, n := range f.nodes {
			n.end()
		}
		time.Sleep(3 * leaveMax) // for processes that were killed, and a Prepare that takes long
	}
}

// As long as nodes hear each other, no two have the address: whatever befalls one.
func TestNeverTwoOwners(t *testing.T) {
	for seed := uint64(1); seed <= *fleetsFlag/3; seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, seed)
				f.prepare(rand.New(rand.NewPCG(seed, 3)))
				defer f.run()()
				for range 8 {
					f.settled(0)
					name, undo := f.mishap()
					f.note("- %s", name)
					for _, back := range []func(){func() {}, undo} {
						back()
						if f.watch(2 * f.down()); f.two > overlap {
							f.fail("two nodes had the address for %s, want %s at most", f.two, overlap)
						}
					}
				}
			})
		})
	}
}
