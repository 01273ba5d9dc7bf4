package gateway

import (
	"io"
	"net/netip"
	"testing"

	"vdi-gateway/gateway/rfb"
)

// onlooker is a viewer over a WebSocket that may only watch.
func (r *rig) onlooker(vm *machine) (Grant, *viewer) {
	r.t.Helper()
	g := r.granted(home, vm.addr, overWebSocket, entering, func(q *OpenRequest) { q.Desktop.ViewOnly = true })
	v := r.attach(g.Token, home)
	conn, _, err := rfb.Connect(r.t.Context(), v, rfb.Config{})
	if err != nil {
		r.t.Fatal(err)
	}
	const key, ask = "\x04\x01\x00\x00\x00\x00\x00\x61", "\x03\x01\x00\x00\x00\x00\x00\x10\x00\x10"
	if _, err := io.WriteString(conn, "\x00"+key+ask); err != nil {
		r.t.Fatal(err)
	}
	got := make([]byte, 1+len(ask))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "\x01"+ask {
		r.t.Errorf("the VM heard %q, %v: want the wish to share and no key", got, err)
	}
	return g, v
}

// Whoever only watches in a browser is told why it ends, as anybody else.
func TestOnlookerIsToldTheEnd(t *testing.T) {
	r, vm := newRig(t), newLocked(t)
	g, v := r.onlooker(vm)
	eventually(t, "the round trip of one channel is known", func() bool {
		now, _ := r.the(g.ID)
		return now.RTT > 0 && now.Channels == 1
	})
	if _, _, err := r.Disconnect(t.Context(), Selector{IDs: []ConnectionID{g.ID}}, ""); err != nil {
		t.Fatal(err)
	}
	v.told(t, 1011, ReasonAdmin)
	r.audit.closed(t, g.ID, ReasonAdmin)
}

// An onlooker that leaves leaves nothing behind.
func TestOnlookerLeaves(t *testing.T) {
	r, vm := newRig(t), newLocked(t)
	g, v := r.onlooker(vm)
	_ = v.Conn.Close()
	r.audit.closed(t, g.ID, "client_closed")
	_, err := r.Attach(t.Context(), g.Token, netip.MustParseAddr(home))
	refusedWith(t, err, ErrUsed)
}
