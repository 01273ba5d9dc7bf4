package viewers

import (
	"context"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"

	"vdi-gateway/gateway/rfb"
	"vdi-gateway/tests/node"
)

// crowd has many clients come to a tunnel at once, and returns how many were let in to
// the session itself. All have gone then.
func (r *rig) crowd(t *testing.T, tunnel node.Tunnel, passwords []string) (in int) {
	t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	var conns []net.Conn
	begin := make(chan struct{})
	for _, password := range passwords {
		conn, err := r.client.Dial(netip.Addr{}, tunnel.Addr(), patience)
		if err != nil {
			continue // there is room for so many
		}
		conns = append(conns, conn)
		all.Go(func() {
			<-begin
			stream, _, err := rfb.Connect(t.Context(), conn, rfb.Config{Password: rfb.Secret(password), Limit: patience})
			if err != nil {
				return
			}
			// Security alone is no session: the VM's own first words are.
			_, err = stream.Write([]byte{1})
			if _, readErr := io.ReadFull(stream, make([]byte, 24)); err == nil && readErr == nil {
				mu.Lock()
				defer mu.Unlock()
				in++
			}
		})
	}
	close(begin)
	all.Wait()
	for _, conn := range conns {
		_ = conn.Close()
	}
	if in > 0 {
		r.journal(t, tunnel.ID, "session closed") // until then nobody else is let in
	}
	return in
}

func TestOneOfACrowdIsLetIn(t *testing.T) {
	r := newRig(t, false)
	// Xtigervnc takes five connections at a time, and is offended by many from one address.
	vm := r.actor(t, func(conn net.Conn) {
		stream, _, err := rfb.Accept(context.Background(), conn, rfb.Terms{Type: rfb.VncAuth, Password: rfb.Secret(vmPassword[:8])})
		if err == nil {
			_, _ = stream.Write(make([]byte, 24))
			_, _ = io.Copy(io.Discard, stream)
		}
	})
	crowded := map[string]any{"vm_password": vmPassword, "channels": 20}
	crowdOf := func(wrong, right int, password string) (list []string) {
		for i := range wrong + right {
			if list = append(list, password); i < wrong {
				list[i] = "guessing"
			}
		}
		return list
	}
	for round := range 5 {
		tunnel := r.open(t, vm, crowded)
		if in := r.crowd(t, tunnel, crowdOf(2, 18, tunnel.Password)); in != 1 {
			t.Errorf("round %d: %d of 18 who knew the password were let in, want 1", round, in)
		}
		tunnel = r.open(t, vm, crowded)
		if in := r.crowd(t, tunnel, crowdOf(10, 10, tunnel.Password)); in > 1 {
			t.Errorf("round %d: %d of a mixed crowd were let in, want 1 at most", round, in)
		}
		if err := r.handshake(t, tunnel, tunnel.Password); err == nil {
			t.Errorf("round %d: the password was good once more", round)
		}
		tunnel = r.open(t, vm, entered()) // for one channel
		if in := r.crowd(t, tunnel, crowdOf(0, 20, tunnel.Password)); in != 1 {
			t.Errorf("round %d, one channel: %d were let in, want 1", round, in)
		}
	}
}
