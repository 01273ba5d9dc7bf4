package gateway

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"

	"vdi-gateway/gateway/relay"
)

func TestShutdownEndsEverything(t *testing.T) {
	vm, dispatcher := newEcho(t), newDispatcher(t, "a")
	r := newRig(t, func(c *Config) { servingAt(c.Node, dispatcher.addr.String())(c) })
	g := r.granted("127.0.0.5", vm.addr)
	w := r.granted("127.0.0.6", vm.addr, overWebSocket)
	unused := r.granted("127.0.0.7", vm.addr)
	dialling := r.granted("127.0.0.8", deaf(t))
	c, v := r.enter(g), r.attach(w.Token, "127.0.0.6")
	d := r.enter(dialling)
	s, _ := r.dispatched("127.0.0.7")
	says(t, c, "hello")
	says(t, v, "hello")
	says(t, s, "hello")
	r.stop()
	for name, conn := range map[string]net.Conn{"client": c, "dialling": d, "service": s} {
		if err := endsWithin(t, conn, prompt); !isReset(err) {
			t.Errorf("got %v for the %s, want a reset", err, name)
		}
	}
	for _, id := range []ConnectionID{g.ID, w.ID} { // told when Run returned
		events := r.audit.of(id)
		if len(events) != 2 || events[1].Kind != EventClose || events[1].Reason != relay.Shutdown {
			t.Errorf("got %+v, want one open and one close with reason shutdown", events)
		}
	}
	v.told(t, 1001, relay.Shutdown)
	if got := r.audit.of(dialling.ID); len(got) != 0 {
		t.Errorf("got events %+v of a dial that the shutdown ended, want none: the VM is not to blame", got)
	}
	for _, p := range []uint16{g.Port, unused.Port, r.cfg.Service.Listen.Port()} {
		if !bindable(netip.AddrPortFrom(r.addr, p)) {
			t.Errorf("port %d is still bound", p)
		}
	}
}

// After the end nothing can be had, and nothing hangs.
func TestAfterShutdown(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	w := r.granted("127.0.0.6", vm.addr, overWebSocket)
	a, err := r.Attach(t.Context(), w.Token, w.Client)
	if err != nil {
		t.Fatal(err)
	}
	next := r.granted("127.0.0.6", vm.addr, overWebSocket)
	r.stop()
	r.serve(a).told(t, 1001, relay.Shutdown)
	_, err = r.ask("127.0.0.5", vm.addr)
	refusedWith(t, err, ErrDraining)
	_, err = r.ask("127.0.0.5", vm.addr, overWebSocket)
	refusedWith(t, err, ErrDraining)
	if a, err := r.Attach(t.Context(), next.Token, next.Client); err == nil {
		a.Abort()
		t.Error("got an attachment from a gateway that has stopped")
	}
	err = r.change(func(c *Config) { c.PortStart++; servingAt(r.addr, vm.addr.String())(c) })
	if err == nil {
		t.Error("got a change applied to a gateway that has stopped")
	}
	if !bindable(netip.AddrPortFrom(r.addr, 23000)) {
		t.Error("a service port is bound after the end")
	}
}

// descriptors counts what the process has open.
func descriptors(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc: ", err)
	}
	return len(list)
}

func TestNothingIsLeftOver(t *testing.T) {
	goroutines, fds := runtime.NumGoroutine(), descriptors(t)
	t.Run("a life", busyLife)
	eventually(t, fmt.Sprintf("%d goroutines and %d descriptors as before", goroutines, fds), func() bool {
		runtime.GC() // drops the pipes that the runtime keeps for splicing
		return runtime.NumGoroutine() <= goroutines && descriptors(t) <= fds
	})
}

func busyLife(t *testing.T) {
	vm, dispatcher := newEcho(t), newDispatcher(t, "a")
	r := newRig(t, func(c *Config) { servingAt(c.Node, dispatcher.addr.String())(c) })
	for i := range 60 {
		client := fmt.Sprintf("127.0.5.%d", 1+i%7)
		g := r.granted(client, vm.addr, probing)
		c := r.enter(g)
		says(t, c, "hello")
		s, _ := r.dispatched(client)
		w := r.granted(client, vm.addr, overWebSocket)
		switch i % 6 {
		case 0:
			c.Close()
		case 1:
			says(t, r.attach(w.Token, client), "hello")
		case 2:
			_ = r.GiveBack(t.Context(), g.ID, g.Token, g.Client)
		case 3:
			_, _, _ = r.Disconnect(t.Context(), Selector{Client: g.Client}, "")
		case 4:
			if a, err := r.Attach(t.Context(), w.Token, w.Client); err == nil {
				a.Abort()
			}
		default:
			relay.Reset(s)
		}
	}
	r.keepsOut(t, "127.0.0.9", r.cfg.PortStart)
	_ = r.Check(t.Context())
	_, _, _ = r.Disconnect(t.Context(), Selector{All: true}, "")
	eventually(t, "nothing left in the registry", func() bool { return r.empty() })
}

// empty tells whether every map of the gateway is.
func (r *rig) empty() bool {
	r.mu.Lock()
	reg := r.reg
	kept := len(reg.grants) + len(reg.tokens) + len(reg.slots) + len(reg.byKey) + len(reg.clients) + len(reg.inUse) +
		len(reg.resumes) + len(reg.desks)
	r.mu.Unlock()
	return kept == 0 && len(r.openPorts()) == 0
}
