package directory

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// inFleet runs f with three nodes that have met, without loss.
func inFleet(t *testing.T, deps func(i int) Deps, f func(t *testing.T, nodes []*node)) {
	synctest.Test(t, func(t *testing.T) {
		fleet := newFleet(t, 3, 1)
		defer fleet.end()
		var nodes []*node
		for i := range 3 {
			nodes = append(nodes, fleet.start(i, 0, deps(i)))
		}
		time.Sleep(2 * time.Second)
		f(t, nodes)
	})
}

func plain(int) Deps { return Deps{} }

// value is what a node holds as grant g, or "".
func value(n *node) string {
	r, _ := n.Get("grant", "g")
	return string(r.Value)
}

func grant(value string) Record { return Record{Kind: "grant", Key: "g", Value: []byte(value)} }

func TestShareIsEverywhereWhenItReturns(t *testing.T) {
	inFleet(t, plain, func(t *testing.T, nodes []*node) {
		start := time.Now()
		if err := nodes[0].Share(context.Background(), grant("one")); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 10*time.Millisecond {
			t.Errorf("got %v, want the time of one round trip", took)
		}
		nodes[0].fleet.crash(0)
		for _, n := range nodes[1:] {
			if got := value(n); got != "one" {
				t.Errorf("%s: got %q, want one", n.own, got)
			}
		}
	})
}

func TestRefusedShareLeavesNothing(t *testing.T) {
	picky := func(i int) Deps {
		return Deps{Accept: func(r Record) error {
			if i == 2 && string(r.Value) == "bad" {
				return errors.New("the port is taken")
			}
			return nil
		}}
	}
	for _, former := range []string{"", "former"} {
		inFleet(t, picky, func(t *testing.T, nodes []*node) {
			if former != "" {
				nodes[0].Put(grant(former))
				time.Sleep(time.Second)
			}
			err := nodes[0].Share(context.Background(), grant("bad"))
			var refused *Refused
			if !errors.As(err, &refused) || refused.Node != nodes[2].own || refused.Reason != "the port is taken" {
				t.Fatalf("got %v, want the refusal of the third node", err)
			}
			time.Sleep(3 * time.Second)
			for _, n := range nodes {
				if got := value(n); got != former {
					t.Errorf("%s: got %q, want %q", n.own, got, former)
				}
			}
		})
	}
}

func TestSilentPeerIsWaitedForOnce(t *testing.T) {
	inFleet(t, plain, func(t *testing.T, nodes []*node) {
		f := nodes[0].fleet
		nodes[2].hang(true)
		for i, want := range []time.Duration{shareTime, 10 * time.Millisecond} {
			start := time.Now()
			if err := nodes[0].Share(context.Background(), grant("one")); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took > want {
				t.Errorf("share %d: got %v, want %v at most", i, took, want)
			}
		}
		nodes[2].hang(false)
		time.Sleep(5 * time.Second)
		if got := value(f.node(2)); got != "one" {
			t.Errorf("got %q afterwards, want one", got)
		}
		for _, p := range nodes[0].Stats().Peers {
			if !p.Waited || p.Behind != 0 {
				t.Errorf("got %+v, want a peer that is waited for again", p)
			}
		}
	})
}

func TestShareEndsWithItsContext(t *testing.T) {
	inFleet(t, plain, func(t *testing.T, nodes []*node) {
		nodes[2].hang(true)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		if err := nodes[0].Share(ctx, grant("one")); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v, want that the context ended", err)
		}
		nodes[2].hang(false)
		time.Sleep(5 * time.Second)
		for _, n := range nodes {
			if got := value(n); got != "" {
				t.Errorf("%s: got %q, want nothing", n.own, got)
			}
		}
	})
}

// TestShareOfWhatIsHereIsAsked has the record come by another way first.
func TestShareOfWhatIsHereIsAsked(t *testing.T) {
	asked := 0
	counting := func(i int) Deps {
		return Deps{Accept: func(Record) error { asked += i / 2; return nil }}
	}
	inFleet(t, counting, func(t *testing.T, nodes []*node) {
		nodes[0].Put(grant("one"))
		time.Sleep(time.Second)
		nodes[0].mu.RLock()
		m := message{what: share, from: 1, items: []item{{"grant", nodes[0].state.current("grant", "g")}}}.encode()
		nodes[0].mu.RUnlock()
		if _, err := nodes[2].Receive(context.Background(), nodes[0].own, m); err != nil || asked != 2 {
			t.Errorf("got %v and asked %d times, want 2", err, asked)
		}
	})
}

// TestShareThatComesBack has a peer bring the record back before Share ends; it
// must reach the other nodes all the same.
func TestShareThatComesBack(t *testing.T) {
	inFleet(t, plain, func(t *testing.T, nodes []*node) {
		a, d := nodes[0], nodes[0].Directory
		d.mu.Lock()
		i := item{"grant", d.state.compose(grant("one"), false, d.now())}
		d.state.pending[i.seq] = struct{}{}
		back := *i.entry
		d.mu.Unlock()
		a.Put(Record{Kind: "other", Key: "k"})
		time.Sleep(2 * time.Second)
		back.via = 99
		d.learn(item{"grant", &back})
		if err := d.settle(i, 0, nil, nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		for _, n := range nodes {
			if got := value(n); got != "one" {
				t.Errorf("%s: got %q, want one", n.own, got)
			}
		}
	})
}

// hang lets a node that is alive answer nothing.
func (n *node) hang(hangs bool) {
	n.fleet.mu.Lock()
	defer n.fleet.mu.Unlock()
	n.fleet.hung[n.own] = hangs
}

// What was replaced meanwhile is offered to nobody: a message that comes late must
// not undo what came after it.
func TestShareThatComesLate(t *testing.T) {
	var accepted []string
	d := New(Deps{Accept: func(r Record) error {
		accepted = append(accepted, string(r.Value))
		return nil
	}})
	other, now := newState(7), time.Now()
	expires := now.Add(time.Minute)
	first := item{"grant", other.compose(Record{Kind: "grant", Key: "k", Value: []byte("first"), Expires: expires}, false, now)}
	second := item{"grant", other.compose(Record{Kind: "grant", Key: "k", Value: []byte("second"), Expires: expires}, false, now.Add(time.Millisecond))}
	for _, i := range []item{second, first, second} {
		if _, err := d.takeOne(i, true); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"second", "second"}; !slices.Equal(accepted, want) {
		t.Errorf("asked about %q, want %q", accepted, want)
	}
}
