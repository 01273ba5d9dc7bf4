package vrrp

import (
	"errors"
	"net"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
)

const (
	// goneTime is how long an address stays where the process has died or hangs.
	goneTime = 350 * time.Millisecond
	// kernelTime is how long it stays where the guard has died or hangs as well.
	kernelTime = 3 * time.Second
)

// trouble is something that happens to a node.
type trouble struct {
	name  string
	does  func(*machine) (undo func())
	lasts time.Duration
	// gone is how long an owner may have the address; 0: it keeps it.
	gone time.Duration
	// parted nodes cannot hear each other: both have the address until that is undone.
	parted bool
	guard  bool // has died or hangs
	quick6 bool // in the quick selection over IPv6 as well
}

func troubles() []trouble {
	return []trouble{
		{name: "the process is killed", does: killMain, lasts: time.Second, gone: goneTime},
		{name: "the guard is killed", does: killGuard, lasts: kernelTime, guard: true},
		{name: "process and guard are killed", does: killBoth, lasts: kernelTime, gone: kernelTime, guard: true},
		{name: "the process stands still", does: freezeMain, lasts: freezeTime, gone: goneTime},
		{name: "the guard stands still", does: freezeGuard, lasts: freezeTime, guard: true},
		{name: "process and guard stand still", does: freezeBoth, lasts: freezeTime, gone: kernelTime, guard: true},
		{name: "the link is cut", does: cutLink, lasts: time.Second, gone: goneTime},
		{name: "the interface is taken out", does: removeLink, lasts: time.Second, gone: goneTime, quick6: true},
		{name: "the switch loses every frame", does: unplug, lasts: time.Second, parted: true},
		{name: "the switch loses VRRP alone", does: mute, lasts: time.Second, parted: true, quick6: true},
	}
}

func TestOneOwnerAfterTrouble(t *testing.T) {
	t.Parallel()
	lab.Need(t, "nft")
	for _, tr := range troubles() {
		for _, virtual := range []string{four, six} {
			if virtual == six && !full && !tr.quick6 {
				continue
			}
			t.Run(tr.name+", "+virtual, func(t *testing.T) {
				t.Parallel()
				steady(t, func(t testing.TB) { tr.run(newCluster(t, virtual, 2, nil)) })
			})
		}
	}
}

// A backup that dies, hangs or comes back does no harm.
func TestTroubleOfABackupChangesNothing(t *testing.T) {
	t.Parallel()
	for _, tr := range troubles() {
		if tr.parted || !full && !(tr.guard && tr.gone > 0) {
			continue
		}
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			steady(t, func(t testing.TB) { tr.ofBackup(newCluster(t, four, 2, nil)) })
		})
	}
}

func (tr trouble) ofBackup(r *rig) {
	r.t.Helper()
	owner := r.machineOf(r.settled())
	backup := r.better(owner)
	at := time.Now()
	undo := tr.does(backup)
	until(at.Add(tr.lasts))
	undo()
	backup.competes()
	r.keeps(owner.host, at, time.Since(at)+2*masterDown())
}

func (tr trouble) run(r *rig) {
	r.t.Helper()
	victim := r.machineOf(r.settled())
	p := r.ping()
	p.reach(victim.host)
	switch {
	case tr.parted:
		tr.part(p, victim)
	case tr.gone == 0:
		tr.survive(r, victim)
	default:
		tr.move(p, victim)
	}
}

// move wants the other node to have the address, and the victim not to take it back.
func (tr trouble) move(p *pings, victim *machine) {
	r := p.r
	r.t.Helper()
	successor := r.better(victim)
	at := time.Now()
	undo := tr.does(victim)
	r.takes(successor.host, at, masterDown())
	r.gone(victim.host, at, tr.gone)
	p.reach(successor.host)
	alone := time.Now()
	until(at.Add(tr.lasts))
	undo()
	victim.competes()
	r.keeps(successor.host, alone, time.Since(alone)+2*masterDown())
	r.gap(at, masterDown())
}

// survive wants nothing to happen.
func (tr trouble) survive(r *rig, victim *machine) {
	r.t.Helper()
	at := time.Now()
	undo := tr.does(victim)
	until(at.Add(tr.lasts))
	undo()
	r.keeps(victim.host, at, tr.lasts+2*masterDown())
}

// part wants both nodes to have the address while they cannot hear each other, and the
// one with the higher priority afterwards.
func (tr trouble) part(p *pings, victim *machine) {
	r := p.r
	r.t.Helper()
	at := time.Now()
	undo := tr.does(victim)
	r.takes(r.better(victim).host, at, masterDown())
	until(at.Add(tr.lasts))
	if len(r.owners.Now()) != 2 {
		r.t.Errorf("got %s as owners, want both parts to have one", names(r.owners.Now()))
	}
	at = time.Now()
	undo()
	winner := r.better(nil)
	r.only(winner.host, at, interval+slack)
	p.reach(winner.host)
	r.keeps(winner.host, time.Now(), 2*masterDown())
}

// better is the node with the highest priority beside one.
func (r *rig) better(but *machine) *machine {
	for _, m := range r.nodes {
		if m != but {
			return m
		}
	}
	return nil
}

func isClosed(err error) bool { return errors.Is(err, net.ErrClosed) }
