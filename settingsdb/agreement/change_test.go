package agreement

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// inFleet runs a story with so many nodes in a bubble of its own.
func inFleet(t *testing.T, size int, story func(t *testing.T, f *fleet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, size, 1)
		defer f.end()
		story(t, f)
	})
}

// quiet is long enough for leases to end and for all to have caught up.
func quiet() { time.Sleep(3 * leaseTime) }

func TestChangeReachesAll(t *testing.T) {
	for _, size := range []int{1, 2, 3, 5} {
		inFleet(t, size, func(t *testing.T, f *fleet) {
			out, err := f.change(size-1, "second")
			if err != nil || out.Number != 2 || len(out.Nodes) != size || len(out.WouldEnd) != size {
				t.Fatalf("%d nodes: got %+v, %v", size, out, err)
			}
			if r := f.agreed(); r.Number != 2 || string(r.Document) != "second" { // at once, not only in the end
				t.Errorf("got revision %d %q", r.Number, r.Document)
			}
		})
	}
}

func TestWhoRefusesChangesNothing(t *testing.T) {
	for name, reason := range map[string]func(m *member){
		"in the check":  func(m *member) { m.refuse = "port 8000 is taken" },
		"when it tries": func(m *member) { m.fail = "port 8000 is taken" },
	} {
		t.Run(name, func(t *testing.T) {
			inFleet(t, 3, func(t *testing.T, f *fleet) {
				reason(f.node(1))
				_, err := f.change(2, "second")
				var rejected *Rejected
				if !errors.As(err, &rejected) || rejected.Node != f.addrs[1] || !strings.Contains(rejected.Reason, "8000") {
					t.Fatalf("got %v, want a refusal of %s", err, f.addrs[1])
				}
				if r := f.agreed(); r.Number != 1 {
					t.Errorf("revision %d is in force", r.Number)
				}
				f.node(1).refuse, f.node(1).fail = "", ""
				if _, err := f.change(0, "third"); err != nil {
					t.Errorf("the next change: %v", err)
				}
				f.agreed()
			})
		})
	}
}

func TestTheAskedNodeCannotStore(t *testing.T) {
	inFleet(t, 3, func(t *testing.T, f *fleet) {
		f.node(0).commits = true
		var rejected *Rejected
		if _, err := f.change(0, "second"); !errors.As(err, &rejected) || rejected.Node != f.addrs[0] {
			t.Errorf("got %v, want a refusal of %s", err, f.addrs[0])
		}
		if r := f.agreed(); r.Number != 1 {
			t.Errorf("revision %d is in force", r.Number)
		}
	})
}

// Another node that cannot store is late, and follows when it can.
func TestAnotherNodeCannotStore(t *testing.T) {
	inFleet(t, 3, func(t *testing.T, f *fleet) {
		f.node(1).commits = true
		out, err := f.change(0, "second")
		if err != nil || !slices.Equal(out.Late, f.addrs[1:2]) {
			t.Fatalf("got %+v, %v, want %s late", out, err, f.addrs[1])
		}
		f.node(1).mu.Lock()
		f.node(1).commits = false
		f.node(1).mu.Unlock()
		quiet()
		f.agreed()
	})
}

func TestTwoChangesAtOnce(t *testing.T) {
	for seed := range 20 {
		inFleet(t, 3, func(t *testing.T, f *fleet) {
			var group sync.WaitGroup
			errs := make([]error, 2)
			for i, document := range []string{"mine", "yours"} {
				group.Go(func() {
					time.Sleep(time.Duration(i*seed) * 200 * time.Microsecond)
					_, errs[i] = f.change(i+1, document)
				})
			}
			group.Wait()
			r := f.agreed()
			won := 0
			for i, err := range errs {
				switch {
				case err == nil:
					won++
				case !errors.Is(err, ErrBusy):
					t.Errorf("seed %d, change %d: got %v, want ErrBusy", seed, i, err)
				}
			}
			if won == 0 || r.Number != int64(1+won) {
				t.Errorf("seed %d: %d changes were made, revision %d is in force", seed, won, r.Number)
			}
		})
	}
}

func TestDryRunsBindNobody(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, f *fleet) {
		out, err := f.node(0).Change(context.Background(), Request{Document: []byte("x"), Dry: true})
		if err != nil || len(out.WouldEnd) != 2 || out.Number != 0 {
			t.Errorf("got %+v, %v, want the sessions of both nodes", out, err)
		}
		if f.node(0).Busy() || f.node(1).Busy() {
			t.Error("a dry run holds a lease")
		}
	})
}

// A node that asked and died leaves the others as they were.
func TestTheAskedNodeDies(t *testing.T) {
	for _, after := range []time.Duration{500, 1500, 2500, 3500, 4500, 5500, 6500, 8500} {
		inFleet(t, 3, func(t *testing.T, f *fleet) {
			go func() { _, _ = f.change(1, "second") }()
			time.Sleep(after * time.Microsecond)
			f.crash(1)
			quiet()
			before := f.agreed()
			f.start(1)
			quiet()
			after := f.agreed()
			if after.Number < before.Number {
				t.Errorf("the nodes went from revision %d back to %d", before.Number, after.Number)
			}
			if _, err := f.change(0, "third"); err != nil {
				t.Errorf("the next change: %v", err)
			}
		})
	}
}

func TestConfirmationReachesAll(t *testing.T) {
	inFleet(t, 3, func(t *testing.T, f *fleet) {
		at := time.Now().Add(time.Hour)
		_, err := f.node(0).Change(context.Background(), Request{Document: []byte("second"), RollbackAt: &at})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.change(1, "third"); !errors.Is(err, ErrBusy) {
			t.Errorf("a change before the confirmation: got %v, want ErrBusy", err)
		}
		f.crash(2)
		if n, err := f.node(1).Agreement.Confirm(context.Background()); err != nil || n != 2 {
			t.Errorf("got %d, %v, want 2", n, err)
		}
		f.start(2) // it hears of it when it asks
		quiet()
		for i := range 3 {
			if f.node(i).Current().RollbackAt != nil {
				t.Errorf("node %d still waits", i)
			}
		}
	})
}
