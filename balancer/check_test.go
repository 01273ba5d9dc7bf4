package balancer

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// ward is a balancer whose checks are answered by the test, in simulated time.
type ward struct {
	b *Balancer

	mu      sync.Mutex
	ill     map[netip.Addr]bool // checks fail
	silent  map[netip.Addr]bool // checks are not answered
	lost    map[netip.Addr]bool // dead by the membership
	probes  map[netip.Addr]int
	clients int
}

// newWard runs a balancer of n nodes 10.0.0.1, 2, ...
func newWard(t *testing.T, n int) *ward {
	w := &ward{
		ill: map[netip.Addr]bool{}, silent: map[netip.Addr]bool{}, lost: map[netip.Addr]bool{},
		probes: map[netip.Addr]int{},
	}
	w.b = New(Deps{
		Listen:  func(netip.AddrPort, Door) (Listener, error) { return nowhere{}, nil },
		Header:  func(netip.AddrPort, netip.AddrPort) []byte { return nil },
		Probe:   w.probe,
		Members: w.members,
	})
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { _ = w.b.Run(ctx) })
	t.Cleanup(func() { cancel(); run.Wait() })
	w.apply(t, n)
	return w
}

func (w *ward) apply(t *testing.T, n int) {
	t.Helper()
	cfg := Config{
		Enabled: true, Node: addr("10.0.0.1"), Virtual: addr("10.0.0.100"), APIPort: 8000,
		Fronts: []Front{{Name: "api", Port: 8002, Backend: 8000}},
	}
	for a := cfg.Node; len(cfg.Nodes) < n; a = a.Next() {
		cfg.Nodes = append(cfg.Nodes, a)
	}
	if err := w.b.Apply(cfg); err != nil {
		t.Fatal(err)
	}
}

func (w *ward) probe(ctx context.Context, api netip.AddrPort) error {
	w.mu.Lock()
	w.probes[api.Addr()]++
	ill, silent := w.ill[api.Addr()], w.silent[api.Addr()]
	w.mu.Unlock()
	if silent {
		<-ctx.Done()
		return ctx.Err()
	}
	if ill {
		return errors.New("ill")
	}
	return nil
}

func (w *ward) members() []Member {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []Member
	for a := addr("10.0.0.1"); len(all) < nodesMax; a = a.Next() {
		all = append(all, Member{Node: a, Alive: !w.lost[a], Ready: true})
	}
	return all
}

// asked is how often a node was checked.
func (w *ward) asked(node string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.probes[addr(node)]
}

func (w *ward) set(of map[netip.Addr]bool, node string, on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	of[addr(node)] = on
}

// state is what Stats say of a node when everything has settled.
func (w *ward) state(node string) State {
	synctest.Wait()
	all := w.b.Stats().Nodes
	return all[slices.IndexFunc(all, func(n NodeStats) bool { return n.Node == addr(node) })].State
}

// visit is a client that came and has not gone yet.
func (w *ward) visit() *Route {
	w.clients++
	return w.b.knock(netip.MustParseAddrPort("10.0.0.100:8002"), netip.AddrPortFrom(addr("192.0.2.1"), uint16(w.clients)), nil, time.Now())
}

func (w *ward) after(t *testing.T, d time.Duration, node string, want State) {
	t.Helper()
	time.Sleep(d)
	if got := w.state(node); got != want {
		t.Errorf("%v later %s is %s, want %s", d, node, got, want)
	}
}

const tick = time.Millisecond

func TestChecksTakeDownAndBringUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t, 2)
		w.after(t, 0, "10.0.0.2", StateUp)
		w.set(w.ill, "10.0.0.2", true)
		w.after(t, fall*checkEvery-tick, "10.0.0.2", StateUp)
		w.after(t, tick, "10.0.0.2", StateDown)
		w.after(t, 0, "10.0.0.1", StateUp)
		w.set(w.ill, "10.0.0.2", false)
		w.after(t, rise*checkEvery-tick, "10.0.0.2", StateDown)
		w.after(t, tick, "10.0.0.2", StateUp)
	})
}

func TestReadyWhenEveryNodeWasHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t, 2)
		synctest.Wait()
		if !w.b.Ready() {
			t.Error("not ready, though both nodes have answered")
		}
		w.set(w.silent, "10.0.0.3", true)
		w.apply(t, 3)
		w.after(t, checkTime-tick, "10.0.0.3", StateUnknown)
		if w.b.Ready() {
			t.Error("ready, though nobody knows of a node")
		}
		w.after(t, tick, "10.0.0.3", StateDown)
		if !w.b.Ready() {
			t.Error("not ready, though a silent node is known to be down")
		}
		w.apply(t, 2)
		seen := w.asked("10.0.0.3")
		w.after(t, time.Minute, "10.0.0.1", StateUp)
		if got := w.asked("10.0.0.3"); got != seen {
			t.Errorf("a node that is none any more was checked %d times", got-seen)
		}
	})
}

func TestLostByTheMembership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t, 2)
		w.after(t, 0, "10.0.0.2", StateUp)
		w.set(w.lost, "10.0.0.2", true)
		if r := w.visit(); len(r.To) != 1 || r.To[0].Addr() != addr("10.0.0.1") {
			t.Errorf("a client at once goes to %v, want the living node alone", r.To)
		}
		w.after(t, 0, "10.0.0.2", StateDown)
		w.after(t, time.Minute, "10.0.0.2", StateDown) // though its checks pass
		w.set(w.lost, "10.0.0.2", false)
		w.after(t, rise*checkEvery-tick, "10.0.0.2", StateDown)
		w.after(t, tick, "10.0.0.2", StateUp)
	})
}

// Clients of a node are cut when it is dead by all that is known, and by no less.
func TestClientsOfTheDeadAreCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t, 2)
		w.after(t, 0, "10.0.0.2", StateUp)
		var mu sync.Mutex
		var cut []string // guarded by mu
		stay := func(name string) *Route {
			w.clients++
			client := netip.AddrPortFrom(addr("192.0.2.1"), uint16(w.clients))
			return w.b.knock(netip.MustParseAddrPort("10.0.0.100:8002"), client, func() {
				mu.Lock()
				defer mu.Unlock()
				cut = append(cut, name)
			}, time.Now())
		}
		reached, gone := stay("reached"), stay("gone")
		stay("being dialled") // leastconn has it where the first one is
		reached.Joined()
		gone.Joined()
		gone.Ended(1, 1)
		victim := reached.To[0].Addr()
		want := func(when string, names ...string) {
			t.Helper()
			synctest.Wait()
			time.Sleep(5 * checkEvery)
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(cut, names) {
				t.Errorf("%s: got %q cut, want %q", when, cut, names)
			}
		}
		w.set(w.lost, victim.String(), true)
		want("lost by the membership, its checks pass")
		w.set(w.lost, victim.String(), false)
		w.set(w.ill, victim.String(), true)
		want("its checks fail")
		w.set(w.lost, victim.String(), true)
		want("both", "reached")
		want("later", "reached")
	})
}

func TestSuspicion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t, 2)
		w.after(t, checkGap, "10.0.0.1", StateUp)
		first := w.visit()
		victim := first.To[0].Addr()
		w.set(w.ill, victim.String(), true)
		first.Missed(first.To[0], errors.New("refused"))
		for range 5 {
			if r := w.visit(); r.To[0].Addr() == victim || len(r.To) != 2 {
				t.Errorf("a client after it goes to %v, want the other node first", r.To)
			}
		}
		w.after(t, 2*checkGap, victim.String(), StateUp) // one check at once, two to go
		w.set(w.ill, victim.String(), false)
		w.after(t, checkEvery, victim.String(), StateUp)
		if r := w.visit(); r.To[0].Addr() != victim {
			t.Errorf("after a check it passed, a client goes to %v, want %s", r.To, victim)
		}
	})
}

// A check that was under way when a client missed the node proves nothing.
func TestEarlierCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t, 1)
		w.after(t, 0, "10.0.0.1", StateUp)
		time.Sleep(tick) // the next check is checkGap after the first
		began := time.Now()
		time.Sleep(tick)
		r := w.visit()
		r.Missed(r.To[0], errors.New("refused"))
		w.b.judge(w.b.nodes[0], nil, began, time.Now())
		if !w.b.Stats().Fronts[0].Nodes[0].Suspect {
			t.Error("the node is trusted again")
		}
		w.after(t, checkGap, "10.0.0.1", StateUp)
		if w.b.Stats().Fronts[0].Nodes[0].Suspect {
			t.Error("the node is suspected after a check it passed")
		}
	})
}

// However many clients miss a node, it is asked no more often than each
// checkGap, and is down after three checks.
func TestManyMisses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t, 1)
		w.after(t, checkEvery-tick, "10.0.0.1", StateUp)
		w.set(w.ill, "10.0.0.1", true)
		before := w.asked("10.0.0.1")
		for range 100 {
			r := w.visit()
			r.Missed(r.To[0], errors.New("refused"))
			r.Ended(0, 0)
			time.Sleep(tick)
		}
		if got := w.asked("10.0.0.1") - before; got < 2 || got > 3 {
			t.Errorf("%d checks in 100 ms of misses, want 2 or 3", got)
		}
		w.after(t, checkGap, "10.0.0.1", StateDown)
		if r := w.visit(); r == nil || len(r.To) != 1 {
			t.Error("a client was refused though the only node may be alive")
		}
		if s := w.b.Stats().Fronts[0]; s.Lost != 100 || s.Nodes[0].Missed != 100 {
			t.Errorf("%d lost and %d missed, want 100 of both", s.Lost, s.Nodes[0].Missed)
		}
	})
}

// nowhere is a listener without a socket.
type nowhere struct{}

func (nowhere) Control(func(int) error) error { return nil }
func (nowhere) Close()                        {}
