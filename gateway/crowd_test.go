package gateway

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"
)

// crowd is the i-th of many clients, all different.
func crowd(i int) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 10<<24|uint32(i))
	return netip.AddrFrom4(b)
}

// Ports are the client's own, so all clients of a node meet on the lowest.
func TestManyClientsOnOnePort(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	for i := range 1500 {
		if g := r.granted(crowd(i).String(), vm.addr); g.Port != r.cfg.PortStart {
			t.Fatalf("got port %d for client %d, want the lowest, %d", g.Port, i, r.cfg.PortStart)
		}
	}
	g := r.granted("127.0.0.5", vm.addr)
	says(t, r.enter(g), "through the crowd")
	r.keepsOut(t, "127.0.0.6", g.Port)
	if got := vm.accepted.Load(); got != 1 {
		t.Errorf("got %d connections at the VM, want the one that was granted", got)
	}
	begin := time.Now()
	ended, _, err := r.Disconnect(t.Context(), Selector{All: true}, "")
	if took := time.Since(begin); len(ended) != 1501 || err != nil || took > prompt {
		t.Errorf("got %d ended (%v) within %s, want 1501 within %s", len(ended), err, took, prompt)
	}
	if open := r.openPorts(); len(open) != 0 {
		t.Errorf("got ports %v still open", open)
	}
}

// keepsOut checks that a stranger gets no byte out of a port: silence, a
// refusal or a reset.
func (r *rig) keepsOut(t testing.TB, stranger string, port uint16) {
	t.Helper()
	c, err := dialFrom(stranger, netip.AddrPortFrom(r.addr, port), 200*time.Millisecond)
	if err != nil {
		return
	}
	defer c.Close()
	if err := said(c, "let me in"); err == nil {
		t.Errorf("a stranger got through port %d", port)
	}
}

// A filter that changes for each of a thousand clients is shared by those who
// wait for it.
func BenchmarkOpenInACrowd(b *testing.B) {
	r, vm := newRig(b), newEcho(b)
	for i := range 1000 {
		r.granted(crowd(i).String(), vm.addr)
	}
	var n atomic.Int32
	b.SetParallelism(25)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			g, err := r.ask(crowd(2000+int(n.Add(1))).String(), vm.addr)
			if err != nil {
				b.Error(err)
				return
			}
			_ = r.GiveBack(b.Context(), g.ID, g.Token, g.Client)
		}
	})
}
