package gateway

import (
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/net/bpf"
)

func TestStrangersFindNothingOpen(t *testing.T) {
	r, vm := newRig(t, func(c *Config) { c.PortStop = c.PortStart + 999 }), newEcho(t)
	var granted []Grant
	for range 3 {
		granted = append(granted, r.granted("127.0.0.5", vm.addr))
	}
	session := r.enter(granted[0])
	says(t, session, "hello")
	var all sync.WaitGroup
	for part := range uint16(50) {
		all.Go(func() {
			for p := part; p < 1000; p += 50 {
				r.keepsOut(t, "127.0.0.6", r.cfg.PortStart+p)
			}
		})
	}
	all.Wait()
	if got := vm.accepted.Load(); got != 1 {
		t.Errorf("got %d connections at the VM, want the client's one", got)
	}
	says(t, session, "undisturbed")
	if got := r.audit.count(EventFailed) + r.audit.count(EventClose); got != 0 {
		t.Errorf("got %d events after a port scan, want none", got)
	}
}

func TestPortsWithoutGrantAreClosedToTheClientToo(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	g := r.granted("127.0.0.5", vm.addr)
	shut(t, "127.0.0.5", netip.AddrPortFrom(r.addr, g.Port+1))
	shut(t, "127.0.0.1", netip.AddrPortFrom(r.addr, g.Port))
	if err := r.GiveBack(t.Context(), g.ID, g.Token, g.Client); err != nil {
		t.Fatal(err)
	}
	shut(t, "127.0.0.5", netip.AddrPortFrom(r.addr, g.Port))
	if got := vm.accepted.Load(); got != 0 {
		t.Errorf("got %d connections at the VM, want none", got)
	}
}

// The filter is the first of two doors: who passes it is asked again.
func TestStrangersWhoPassTheFilterAreReset(t *testing.T) {
	needFilters(t)
	r, vm := newRig(t), newEcho(t)
	g := r.granted("127.0.0.5", vm.addr)
	r.ports.mu.Lock()
	door := r.ports.open[g.Port].doors[r.addr]
	r.ports.mu.Unlock()
	all := []bpf.Instruction{bpf.RetConstant{Val: acceptAll}}
	if err := door.Control(func(fd int) error { return setFilter(fd, all) }); err != nil {
		t.Fatal(err)
	}
	c, err := dialFrom("127.0.0.6", netip.AddrPortFrom(r.addr, g.Port), patience)
	if err == nil {
		defer c.Close()
		err = endsWithin(t, c, prompt)
	}
	if !isReset(err) {
		t.Errorf("got %v, want a reset", err)
	}
	says(t, r.enter(g), "hello")
	if got := vm.accepted.Load(); got != 1 {
		t.Errorf("got %d connections at the VM, want the client's one", got)
	}
}
