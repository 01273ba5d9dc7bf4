package vrrp

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
)

// seedVariable repeats the events of a run, though not their moments.
const seedVariable = "VDI_GATEWAY_SEED"

// Whatever happens to three nodes, one after the other or at once, each part of the
// network has one owner soon after.
func TestRandomTroubles(t *testing.T) {
	t.Parallel()
	lab.Need(t, "nft")
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv(seedVariable); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	for _, virtual := range families() {
		t.Run(virtual, func(t *testing.T) {
			t.Parallel()
			steady(t, func(t testing.TB) { randomly(t, virtual, seed) })
		})
	}
}

func randomly(t testing.TB, virtual string, seed uint64) {
	t.Helper()
	t.Logf("%s=%d", seedVariable, seed)
	f := &fate{rig: newCluster(t, virtual, 3, nil), dice: rand.New(rand.NewPCG(seed, 0)), ill: map[*machine]illness{}} //nolint:gosec // dice
	for range eventCount {
		f.event()
		if f.dice.IntN(2) == 0 {
			f.settle()
		} else { // the next one comes in the middle
			time.Sleep(time.Duration(f.dice.Int64N(int64(masterDown()))))
		}
	}
	for len(f.ill) > 0 {
		f.heal(f.any(true))
	}
	f.settle()
	f.gaps()
}

// fate is what happens to a cluster.
type fate struct {
	*rig
	dice    *rand.Rand
	ill     map[*machine]illness
	events  []time.Time
	guarded time.Time // until when a guard's death or sleep may count
}

// illness is a trouble that is not undone yet.
type illness struct {
	trouble
	undo func()
}

// event breaks a node or heals one. One at least is fine all the time.
func (f *fate) event() {
	if fine := len(f.nodes) - len(f.ill); fine > 1 && f.dice.IntN(len(f.nodes)) < fine {
		f.harm(f.any(false))
	} else {
		f.heal(f.any(true))
	}
}

// any is a node that is ill, or one that is not.
func (f *fate) any(ill bool) *machine {
	list := slices.DeleteFunc(slices.Clone(f.nodes), func(m *machine) bool {
		_, is := f.ill[m]
		return is != ill
	})
	return list[f.dice.IntN(len(list))]
}

func (f *fate) harm(m *machine) {
	all := troubles()
	tr := all[f.dice.IntN(len(all))]
	f.note(tr, m.host.Name()+": "+tr.name)
	f.ill[m] = illness{tr, tr.does(m)}
}

// heal undoes what happened to a node, which then is the last thing that did.
func (f *fate) heal(m *machine) {
	i := f.ill[m]
	f.note(i.trouble, m.host.Name()+" is well again")
	i.undo()
	m.competes()
	delete(f.ill, m)
	f.note(i.trouble, m.host.Name()+" competes")
}

func (f *fate) note(tr trouble, what string) {
	now := time.Now()
	f.t.Logf("%s %s", now.UTC().Format("15:04:05.000"), what)
	f.events = append(f.events, now)
	if tr.guard {
		f.guarded = now.Add(kernelTime)
	}
}

// settle waits until every part of the network has one owner, which has to be soon
// after the last event, and stays so.
func (f *fate) settle() {
	f.t.Helper()
	last := f.events[len(f.events)-1]
	limit := max(masterDown(), f.guarded.Sub(last))
	eventually(f.t, "each part of the network has one owner: "+names(f.owners.Now()), func() bool { return f.wrong(f.owners.Now()) == "" })
	if took := f.lastChange().Sub(last); took > limit {
		f.t.Errorf("each part has one owner: got that after %s, want it within %s", took, limit)
	}
	until(last.Add(limit + slack))
	if wrong := f.wrong(f.owners.Now()); wrong != "" {
		f.t.Errorf("the owners are %s %s after the last event: %s", names(f.owners.Now()), time.Since(last), wrong)
	}
}

// wrong says why these owners are not the right ones: each node that cannot hear the
// others has the address, and one of the others, if there is any that can.
func (f *fate) wrong(owners []*lab.Host) string {
	var wrong []string
	others, have := 0, 0
	for _, m := range f.nodes {
		i, ill := f.ill[m]
		has := slices.Contains(owners, m.host)
		switch {
		case ill && i.parted && !has:
			wrong = append(wrong, m.host.Name()+" is alone and has no address")
		case ill && i.parted:
		case ill && i.gone > 0 && has:
			wrong = append(wrong, m.host.Name()+" has the address")
		case ill && i.gone > 0:
		default:
			others++
			if has {
				have++
			}
		}
	}
	if others > 0 && have != 1 {
		wrong = append(wrong, fmt.Sprintf("%d of %d nodes that hear each other have the address", have, others))
	}
	return strings.Join(wrong, ", ")
}

// gaps wants no time without an owner that is longer than a take-over needs since the
// event before.
func (f *fate) gaps() {
	f.t.Helper()
	for _, s := range f.owners.Spans(f.events[0]) {
		if len(s.Owners) > 0 {
			continue
		}
		from := s.From
		for _, e := range f.events {
			if e.After(from) && e.Before(s.To) {
				from = e
			}
		}
		if s.To.Sub(from) > masterDown() {
			f.t.Errorf("nobody has the address: got that for %s from %s on, want %s at most", s.To.Sub(from), from.UTC().Format("15:04:05.000"), masterDown())
		}
	}
}
