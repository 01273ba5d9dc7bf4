package agreement

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhoWasAwayCatchesUp(t *testing.T) {
	inFleet(t, 3, func(t *testing.T, f *fleet) {
		f.crash(2)
		for _, document := range []string{"second", "third"} {
			if _, err := f.change(0, document); err != nil {
				t.Fatal(err)
			}
		}
		m := f.start(2)
		time.Sleep(2 * lookEvery)
		if r := m.Current(); r.Number != 3 || string(r.Document) != "third" {
			t.Errorf("got revision %d %q, want 3", r.Number, r.Document)
		}
		if m.Superseded() != "" {
			t.Errorf("it gave up nothing, but says %q", m.Superseded())
		}
	})
}

// divide cuts the first n nodes from the others.
func (f *fleet) divide(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, a := range f.addrs {
		f.side[a] = 0
		if i < n {
			f.side[a] = 1
		}
	}
}

func TestBothHalvesChange(t *testing.T) {
	for name, tt := range map[string]struct {
		ours, theirs int // changes
		want         string
	}{
		"the higher number wins":        {2, 1, "ours 2"},
		"the higher number wins, there": {1, 2, "theirs 2"},
		"as many: the later one wins":   {1, 1, "theirs 1"},
	} {
		t.Run(name, func(t *testing.T) {
			inFleet(t, 4, func(t *testing.T, f *fleet) {
				f.divide(2)
				for i := range tt.ours {
					must(t, f, 0, fmt.Sprintf("ours %d", i+1))
				}
				time.Sleep(time.Second)
				for i := range tt.theirs {
					must(t, f, 3, fmt.Sprintf("theirs %d", i+1))
				}
				quiet()
				highest := max(f.node(0).Current().Number, f.node(3).Current().Number)
				f.divide(0)
				quiet()
				r := f.agreed()
				if string(r.Document) != tt.want || r.Number != highest+1 {
					t.Errorf("got revision %d %q, want %d %q", r.Number, r.Document, highest+1, tt.want)
				}
				f.checkLosers(tt.want)
			})
		})
	}
}

func must(t *testing.T, f *fleet, i int, document string) {
	t.Helper()
	if _, err := f.change(i, document); err != nil {
		t.Fatal(err)
	}
}

// checkLosers checks that those whose settings gave way have noted it, and nobody
// else.
func (f *fleet) checkLosers(winner string) {
	f.t.Helper()
	for i := range f.addrs {
		m := f.node(i)
		lost := (i < 2) != strings.HasPrefix(winner, "ours")
		if lost != (m.Superseded() != "") || lost != (len(m.disk.superseded) == 1) {
			f.t.Errorf("node %d says %q and has noted %v; it lost: %t", i, m.Superseded(), m.disk.superseded, lost)
		}
	}
}

// The same document under two numbers needs one.
func TestTheSameUnderTwoNumbers(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, f *fleet) {
		f.divide(1)
		must(t, f, 0, "both")
		must(t, f, 1, "mine")
		must(t, f, 1, "both")
		f.divide(0)
		quiet()
		if r := f.agreed(); r.Number != 3 {
			t.Errorf("got revision %d, want 3", r.Number)
		}
		if s := f.node(0).Superseded(); s != "" {
			t.Errorf("nothing was given up, but %q", s)
		}
	})
}

// TestFleets lets fleets live through loss, partitions and crashes while their
// settings change. In the end all agree, nobody is bound to a change, and what a
// node was told to have been made was in force on every node that was told of.
func TestFleets(t *testing.T) {
	seeds := 60
	if testing.Short() {
		seeds = 15
	}
	for seed := range seeds {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { live(t, uint64(seed)) })
		})
	}
}

func live(t *testing.T, seed uint64) {
	f := newFleet(t, 2+int(seed%4), seed)
	defer f.end()
	f.loss = 0.05 * float64(seed%3)
	for step := range 60 {
		f.step(step)
		time.Sleep(time.Duration(f.pick(4000)) * time.Millisecond)
	}
	f.divide(0)
	f.mu.Lock()
	f.loss = 0
	f.mu.Unlock()
	for i := range f.addrs {
		if f.node(i) == nil {
			f.start(i)
		}
	}
	time.Sleep(time.Minute)
	f.agreed()
	must(t, f, 0, "the last")
	f.agreed()
}

func (f *fleet) pick(n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rnd.IntN(n)
}

func (f *fleet) step(step int) {
	i := f.pick(len(f.addrs))
	switch what := f.pick(10); {
	case what == 0:
		f.divide(f.pick(len(f.addrs)))
	case what == 1:
		f.divide(0)
	case what == 2 && f.node(i) != nil:
		f.crash(i)
	case f.node(i) == nil:
		f.start(i)
	case what == 3:
		m := f.node(i)
		go func() { // and crashes in the middle
			_, _ = m.Change(context.Background(), Request{Document: fmt.Appendf(nil, "%d", step)})
		}()
		time.Sleep(time.Duration(f.pick(9000)) * time.Microsecond)
		f.crash(i)
	default:
		f.changeAndCheck(i, fmt.Sprint(step))
	}
}

// changeAndCheck makes a change and checks that it is in the history of every node
// that is said to have it.
func (f *fleet) changeAndCheck(i int, document string) {
	out, err := f.change(i, document)
	if err != nil {
		return
	}
	for _, a := range out.Nodes {
		d := f.disks[a]
		f.mu.Lock()
		m := f.nodes[a]
		f.mu.Unlock()
		if m == nil {
			continue
		}
		m.mu.Lock()
		hash := Revision{Document: []byte(document)}.Hash()
		if d.history[out.Number] != hash && !slices.Contains(d.superseded, out.Number) {
			f.t.Errorf("%s does not know revision %d, which it was said to have", a, out.Number)
		}
		m.mu.Unlock()
	}
}
