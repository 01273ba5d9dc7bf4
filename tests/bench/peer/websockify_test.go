package peer

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"vdi-gateway/tests/lab"
)

// TestPeersCarryWebSockets wants bytes there and back, and as many processes as
// there should be before and while a connection lives.
func TestPeersCarryWebSockets(t *testing.T) {
	workers := 1 + runtime.NumCPU()
	for _, tt := range []struct {
		kind          Kind
		scheme        string
		before, while int
	}{
		{Websockify(), "ws", 1, 2},
		{NginxTLS(), "wss", workers, workers},
	} {
		t.Run(tt.kind.Name, func(t *testing.T) {
			for _, program := range []string{"websockify", tt.kind.Name} {
				if _, err := find(program); err != nil {
					t.Skip(err)
				}
			}
			n := lab.New(t)
			r, err := tt.kind.Start(n.Host("relay", "10.99.0.1/24"), target(t, n), t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer r.Stop()
			processes(t, r, tt.before)
			uses(t, r)
			echoed(t, n.Host("client", "10.99.0.10/24"), tt.scheme, r.Addr, func() {
				processes(t, r, tt.while)
				shares(t, r)
			})
		})
	}
}

// processes waits until there are as many.
func processes(t *testing.T, r *Relay, want int) {
	t.Helper()
	var got int
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(pollEvery) {
		if got, _ = r.Processes(); got == want {
			return
		}
	}
	t.Errorf("got %d processes, want %d", got, want)
}

// shares wants the memory that is shared to count once.
func shares(t *testing.T, r *Relay) {
	t.Helper()
	whole, err := r.Memory()
	if err != nil {
		t.Fatal(err)
	}
	if share, err := r.Share(); err != nil || share <= 0 || share >= whole {
		t.Errorf("got a share of %d and %v, want less than all of %d", share, err, whole)
	}
}

func echoed(t *testing.T, client *lab.Host, scheme string, addr netip.AddrPort, meanwhile func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	transport := &http.Transport{DialContext: client.DialContext, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	ws, _, err := websocket.Dial(ctx, scheme+"://"+addr.String()+"/websockify", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, Subprotocols: []string{"binary"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ws.CloseNow() }()
	conn := websocket.NetConn(ctx, ws, websocket.MessageBinary)
	_ = conn.SetDeadline(time.Now().Add(patience))
	words := strings.Repeat("there and back ", 10_000)
	go func() { _, _ = io.WriteString(conn, words) }()
	got := make([]byte, len(words))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != words {
		t.Errorf("got %.20q... and %v, want what was sent", got, err)
	}
	meanwhile()
}
