package gateway

import (
	"net/netip"
	"testing"
	"time"
)

// Pings, their answers and those of the client are no use of a desktop.
func TestPingsAreNoActivity(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]Desktop{"bytes as they are": {}, "only watching": {Password: vmPassword, ViewOnly: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, vm := newRig(t, func(c *Config) { c.Timeouts.Idle = 2 * time.Second }), newEcho(t)
			if d.entered() {
				vm = newLocked(t)
			}
			g := r.granted(home, vm.addr, overWebSocket, func(q *OpenRequest) { q.Desktop = d })
			a, err := r.Attach(t.Context(), g.Token, netip.MustParseAddr(home))
			if err != nil {
				t.Fatal(err)
			}
			v := r.serveLeg(a, 50*time.Millisecond)
			if d.entered() {
				_, _ = v.Conn.Write([]byte("\x82\x8e\x00\x00\x00\x00RFB 003.008\n\x01\x01")) // None, and ClientInit
			} else {
				_, _ = v.Write([]byte("hello"))
			}
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				for ; ; time.Sleep(20 * time.Millisecond) {
					if _, err := v.Conn.Write([]byte{0x89, 0x80, 0, 0, 0, 0, 0x8a, 0x80, 0, 0, 0, 0}); err != nil {
						return
					}
				}
			}()
			r.audit.closed(t, g.ID, ReasonIdle)
			<-ended
		})
	}
}
