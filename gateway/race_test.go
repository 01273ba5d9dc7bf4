package gateway

import (
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"
)

// A client that asks twice at once has one connection, and may connect as soon
// as it has either answer.
func TestAskingTwiceAtOnce(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	for range 200 {
		answers := make([]Grant, 8)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() {
				g, err := r.ask("127.0.0.5", vm.addr, as("ada"), channels(64))
				if err != nil {
					t.Errorf("open: %v", err)
					return
				}
				answers[i] = g
				c, err := dialFrom("127.0.0.5", netip.AddrPortFrom(r.addr, g.Port), patience)
				if err != nil {
					t.Errorf("connect: %v", err)
					return
				}
				c.Close()
			})
		}
		all.Wait()
		if t.Failed() {
			return
		}
		ids := map[ConnectionID]int{}
		for _, g := range answers {
			ids[g.ID]++
		}
		if len(ids) != 1 {
			t.Fatalf("got connections %v, want one", ids)
		}
		if ended, _, err := r.Disconnect(t.Context(), Selector{All: true}, ""); len(ended) != 1 || err != nil {
			t.Fatalf("got %v (%v) ended, want one", ended, err)
		}
	}
}

// What is disconnected while it is being opened must not keep its port.
func TestDisconnectDuringOpenLeavesNoPort(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	stop := make(chan struct{})
	var killer, openers sync.WaitGroup
	killer.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_, _, _ = r.Disconnect(t.Context(), Selector{All: true}, "")
			}
		}
	})
	for i := range 4 {
		openers.Go(func() {
			client := netip.AddrFrom4([4]byte{127, 0, 0, byte(5 + i)})
			for range 300 {
				if _, err := r.ask(client.String(), vm.addr); err != nil && !errors.Is(err, ErrNoFreePort) {
					t.Errorf("open: %v", err)
					return
				}
			}
		})
	}
	openers.Wait()
	close(stop)
	killer.Wait()
	_, _, _ = r.Disconnect(t.Context(), Selector{All: true}, "")
	if open := r.openPorts(); len(open) != 0 {
		t.Errorf("got ports %v open without any grant, want none", open)
	}
}

func (r *rig) openPorts() []uint16 {
	r.ports.mu.Lock()
	defer r.ports.mu.Unlock()
	var list []uint16
	for n := range r.ports.open {
		list = append(list, n)
	}
	slices.Sort(list)
	return list
}

// A change of the targets holds for what is being opened while it is made.
func TestChangeDuringOpenLeavesNothingForbidden(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	strict := func(c *Config) { c.Targets.Allow = nil }
	loose := func(c *Config) { c.Targets.Allow = []Target{{Prefix: netip.MustParsePrefix("127.0.0.1/32")}} }
	stop := make(chan struct{})
	var openers sync.WaitGroup
	for range 2 {
		openers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if g, err := r.ask("127.0.0.5", vm.addr); err == nil {
						_ = r.GiveBack(t.Context(), g.ID, g.Token, g.Client)
					}
				}
			}
		})
	}
	for range 40 {
		if err := r.change(strict); err != nil {
			t.Fatal(err)
		}
		if list, _ := r.Connections(Filter{}); len(list) != 0 {
			t.Errorf("got %d connections to a VM that is not allowed any more, want none", len(list))
			break
		}
		if err := r.change(loose); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond) // let the openers at it
	}
	close(stop)
	openers.Wait()
}
