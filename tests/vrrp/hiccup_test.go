package vrrp

import (
	"fmt"
	"testing"
	"time"
)

// A process that stands still for a moment has lost the address or has not: whichever
// it is, guard and process and the other node agree about it when it goes on. Around
// 150 ms, when the guard gives up, they decide at the same time.
func TestHiccups(t *testing.T) {
	t.Parallel()
	for _, who := range []struct {
		name   string
		freeze func(*machine) func()
	}{{"of the process", freezeMain}, {"of process and guard", freezeBoth}} {
		t.Run(who.name, func(t *testing.T) {
			t.Parallel()
			steady(t, func(t testing.TB) {
				r := newCluster(t, four, 2, nil)
				for _, length := range hiccups() {
					r.hiccup(who.freeze, length)
				}
			})
		})
	}
}

func hiccups() (list []time.Duration) {
	step := 30 * time.Millisecond
	if full {
		step = 5 * time.Millisecond
	}
	for length := 60 * time.Millisecond; length <= 420*time.Millisecond; length += step {
		list = append(list, length)
	}
	return list
}

// hiccup freezes the owner for a while, and wants one owner soon afterwards.
func (r *rig) hiccup(freeze func(*machine) func(), length time.Duration) {
	r.t.Helper()
	owner := r.machineOf(r.settled())
	at := time.Now()
	undo := freeze(owner)
	until(at.Add(length))
	undo()
	thawed := time.Now()
	eventually(r.t, fmt.Sprintf("one owner after %s", length), func() bool { return len(r.owners.Now()) == 1 })
	if took := r.lastChange().Sub(thawed); took > masterDown() {
		r.t.Errorf("one owner after %s without the process: got it after %s, want it within %s", length, took, masterDown())
	}
	until(thawed.Add(masterDown()))
	r.keeps(r.settled(), time.Now(), slack)
	r.gap(at, masterDown())
	r.overlap(at, length+slack)
}

// A guard that is not let run for a moment has missed nothing: its orders wait for it.
func TestAGuardThatIsLateCostsNothing(t *testing.T) {
	t.Parallel()
	steady(t, func(t testing.TB) {
		r := newCluster(t, four, 2, nil)
		owner := r.settled()
		for length := 100 * time.Millisecond; length <= 260*time.Millisecond; length += 40 * time.Millisecond {
			at := time.Now()
			undo := freezeGuard(r.machineOf(owner))
			until(at.Add(length))
			undo()
			r.keeps(owner, at, length+masterDown())
		}
	})
}
