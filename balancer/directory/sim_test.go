package directory

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// write is something a node was told to keep.
type write struct {
	kind, key string
	stamp     int64
	by        netip.Addr
	crashes   int // of by, before
}

// story drives a fleet by its seed and remembers what was written.
type story struct {
	*fleet
	writes []write
	size   int
	seen   map[mark]*entry // every lasting record that was in a log
}

// TestFleets lets fleets live through loss, delay, duplicates, partitions,
// crashes and clocks that differ. Afterwards all nodes hold the same, and nothing
// is lost that a node was told and that it lived to pass on.
func TestFleets(t *testing.T) {
	seeds := 60
	if testing.Short() {
		seeds = 20
	}
	for seed := range seeds {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { tell(t, uint64(seed)) })
		})
	}
}

func tell(t *testing.T, seed uint64) {
	s := &story{size: 2 + int(seed%4), seen: map[mark]*entry{}}
	s.fleet = newFleet(t, s.size, seed)
	s.loss, s.twice, s.delay = 0.1*float64(seed%3), 0.1, 40*time.Millisecond
	defer s.end()
	for i := range s.size {
		s.start(i, s.pickSkew(), Deps{})
	}
	for range 400 {
		s.step()
		s.sound()
		time.Sleep(time.Duration(s.pick(100)) * time.Millisecond)
	}
	s.heal()
	for i := range s.size {
		if s.node(i) == nil {
			s.start(i, 0, Deps{})
		}
	}
	time.Sleep(6 * time.Second)
	s.check()
}

func (s *story) pick(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rnd.IntN(n)
}

func (s *story) pickSkew() time.Duration { return time.Duration(s.pick(400)-200) * time.Millisecond }

func (s *story) step() {
	i := s.pick(s.size)
	n := s.node(i)
	switch dice := s.pick(100); {
	case n == nil:
		if dice < 20 {
			s.start(i, s.pickSkew(), Deps{})
		}
	case dice < 2:
		s.crash(i)
	case dice < 4:
		cutoff := s.pick(s.size)
		s.partition(func(i int) int { return min(1, i/(cutoff+1)) })
	case dice < 6:
		s.partition(func(int) int { return 0 })
	case dice < 12:
		if kind, key := s.name(); n.deleted(kind, key) {
			s.note(n, kind, key)
		}
	default:
		s.put(n, dice < 30)
	}
}

func (n *node) deleted(kind, key string) bool {
	_, there := n.Get(kind, key)
	n.Delete(kind, key)
	return there
}

func (s *story) name() (kind, key string) {
	return []string{"brief", "lasting"}[s.pick(2)], strconv.Itoa(s.pick(30))
}

func (s *story) put(n *node, shared bool) {
	kind, key := s.name()
	r := Record{Kind: kind, Key: key, Value: fmt.Append(nil, s.pick(1000))}
	if kind == "brief" {
		r.Expires = time.Now().Add(15 * time.Second)
	}
	if !shared {
		n.Put(r)
		s.note(n, kind, key)
		return
	}
	if err := n.Share(context.Background(), r); err != nil {
		s.t.Errorf("a share that nobody refuses fails: %v", err)
	}
	s.note(n, kind, key)
}

// note remembers what n holds under a key now, if it does not expire.
func (s *story) note(n *node, kind, key string) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := n.state.current(kind, key); e != nil && kind == "lasting" {
		s.writes = append(s.writes, write{kind, key, e.stamp, n.own, s.crashes[n.own]})
	}
}

func (s *story) check() {
	first := s.node(0)
	for i := range s.size {
		n := s.node(i)
		if diff := cmp.Diff(first.held(), n.held()); diff != "" {
			s.t.Errorf("nodes %s and %s differ:\n%s", first.own, n.own, diff)
		}
		if got := n.Stats().Peers; len(got) != s.size-1 || got[0].Behind != 0 {
			s.t.Errorf("%s: got peers %+v, want none behind", n.own, got)
		}
		for _, w := range s.writes {
			s.kept(n, w)
		}
	}
}

// sound checks every vector: what it says is known is there, or something newer.
func (s *story) sound() {
	synctest.Wait()
	for i := range s.size {
		if n := s.node(i); n != nil {
			n.collect(s.seen)
		}
	}
	for i := range s.size {
		if n := s.node(i); n != nil {
			n.proves(s.t, s.seen)
		}
	}
}

func (n *node) collect(seen map[mark]*entry) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	for _, e := range n.state.log.entries {
		if e.shelf.kind == "lasting" {
			seen[mark{e.from.originID, e.seq}] = e
		}
	}
}

func (n *node) proves(t *testing.T, seen map[mark]*entry) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	known := map[originID]uint64{}
	for _, m := range n.state.vector() {
		known[m.originID] = m.seq
	}
	for m, e := range seen {
		if cur := n.state.current("lasting", e.key()); m.seq <= known[m.originID] && (cur == nil || e.beats(cur)) {
			t.Fatalf("%s says that it knows %+v, but it holds nothing as new under %s", n.own, m, e.key())
		}
	}
}

// kept reports a write that is lost though its node never crashed.
func (s *story) kept(n *node, w write) {
	if s.crashes[w.by] != w.crashes {
		return
	}
	if e := n.state.current(w.kind, w.key); e == nil || e.stamp < w.stamp {
		s.t.Errorf("%s has lost %s %s that %s wrote", n.own, w.kind, w.key, w.by)
	}
}

// held is every visible record, with what decides which one wins.
func (n *node) held() map[string]string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	held := map[string]string{}
	for kind, sh := range n.state.shelves {
		for key := range maps.Keys(sh.entries) {
			if e := n.state.get(kind, key, time.Now().Add(time.Second)); e != nil { // clocks differ a little
				held[kind+" "+key] = fmt.Sprint(e.stamp, e.from.node, e.value())
			}
		}
	}
	return held
}
