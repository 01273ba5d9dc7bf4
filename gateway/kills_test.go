package gateway

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"vdi-gateway/gateway/rfb"
)

// comesAndGoes has a viewer enter a desktop while its connection is being ended.
func (r *rig) comesAndGoes(vm *machine, mode Mode, viewOnly bool) {
	g, err := r.ask(home, vm.addr, func(q *OpenRequest) {
		q.Mode, q.Desktop = mode, Desktop{Password: vmPassword, ViewOnly: viewOnly}
	})
	if err != nil {
		return // it is stopping
	}
	var both sync.WaitGroup
	both.Go(func() {
		time.Sleep(rand.N(3 * time.Millisecond))
		_, _, _ = r.Disconnect(r.t.Context(), Selector{IDs: []ConnectionID{g.ID}}, "")
	})
	defer both.Wait()
	if mode == ModePort {
		if c, err := dialFrom(home, netip.AddrPortFrom(r.addr, g.Port), prompt); err == nil {
			_, _, _ = rfb.Connect(r.t.Context(), c, rfb.Config{Password: rfb.Secret(g.Password)})
			_ = c.Close()
		}
		return
	}
	if a, err := r.Attach(r.t.Context(), g.Token, g.Client); err == nil {
		if rand.N(8) == 0 {
			a.Abort()
			return
		}
		v := r.serve(a)
		_, _, _ = rfb.Connect(r.t.Context(), v, rfb.Config{})
		_ = v.Conn.Close()
	}
}

// Whenever a connection is ended, whatever its viewer is doing, nothing is left of it.
func TestKillsAtAnyMoment(t *testing.T) {
	r, vm := newRig(t), newLocked(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for k := range 60 {
				r.comesAndGoes(vm, []Mode{ModePort, ModeWebSocket}[(i+k)%2], k%4 > 1)
			}
		})
	}
	all.Wait()
	eventually(t, "nothing is left", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.pairs == 0 && len(r.reg.grants)+len(r.reg.desks)+len(r.reg.tokens) == 0 && r.engine.Len() == 0
	})
	r.stop() // the audit is complete
	for _, e := range r.audit.events {
		if e.Kind == EventFailed && e.Reason == ReasonVMUnreachable {
			t.Errorf("got %+v of a VM that is there", e)
		}
	}
	if opened, closed := r.audit.count(EventOpen), r.audit.count(EventClose); opened != closed {
		t.Errorf("%d sessions were opened and %d closed", opened, closed)
	}
}

// A gateway that stops while viewers come does not wait for ever, and nothing is left of them.
func TestStopsWhileViewersCome(t *testing.T) {
	for range 5 {
		r, vm := newRig(t), newLocked(t)
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for k := range 8 {
					r.comesAndGoes(vm, []Mode{ModePort, ModeWebSocket}[(i+k)%2], k%4 > 1)
				}
			})
		}
		time.Sleep(rand.N(20 * time.Millisecond))
		r.stop()
		all.Wait()
		eventually(t, "the last one is gone", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.pairs == 0 })
	}
}
