package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"vdi-gateway/tests/node"
)

// What leaks once a round exceeds leakSlack, which covers what happens to run
// at the moment: a request, a self-check.
const leakRounds, leakSlack = 20, 8

// TestNothingIsLeft ends sessions in every way a client can and wants the
// node's sockets and goroutines back to what they were. Go's collector, which
// would close what was forgotten, is switched off.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	p := newPlace(t, node.Config{Env: []string{"GOGC=off"}})
	v := serve(t, p.vmHost, vmAddr+":7000", echo)
	client, d := p.node.Client(p.client), p.node.Dispatcher()
	base, err := p.node.Sockets()
	if err != nil {
		t.Fatal(err)
	}
	for range leakRounds {
		endings(t, p, client, d, v)
		if err := d.Call(t.Context(), http.MethodPost, "/v3/disconnect/", map[string]any{"all": true}, nil); err != nil {
			t.Fatal(err)
		}
	}
	client.Close()
	d.Close()
	now := 0
	eventually(t, fmt.Sprintf("as few sockets as in the beginning: %d", base), func() bool {
		now, err = p.node.Sockets()
		return err == nil && now <= base+leakSlack
	})

	fresh := newPlace(t, node.Config{})
	want, err := fresh.node.Goroutines()
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.node.Goroutines()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d sockets, %d in the beginning; %d goroutines, a fresh node has %d", now, base, len(got), len(want))
	if len(got) > len(want)+leakSlack {
		t.Errorf("got %d goroutines, want %d as in a fresh node:\n%s", len(got), len(want), strings.Join(got, "\n\n"))
	}
}

// endings opens tunnels and leaves each in another way; the last ones stay for
// the dispatcher to end.
func endings(t *testing.T, p *place, client *node.Client, d *node.Client, v *vm) {
	t.Helper()
	for name, end := range map[string]func(node.Tunnel) error{
		"never used, given back": func(tunnel node.Tunnel) error { return client.GiveBack(t.Context(), tunnel) },
		"used, given back": func(tunnel node.Tunnel) error {
			c := enter(t, p.client, tunnel)
			defer func() { _ = c.Close() }()
			if err := echoes(c); err != nil {
				return err
			}
			return client.GiveBack(t.Context(), tunnel)
		},
		"closed by the client": func(tunnel node.Tunnel) error {
			c := enter(t, p.client, tunnel)
			return errors.Join(echoes(c), c.Close())
		},
		"half-closed by the client": func(tunnel node.Tunnel) error {
			c := enter(t, p.client, tunnel)
			defer func() { _ = c.Close() }()
			return errors.Join(echoes(c), c.CloseWrite(), wantEnd(c))
		},
		"reset by the client": func(tunnel node.Tunnel) error {
			c := enter(t, p.client, tunnel)
			defer func() { _ = c.Close() }()
			return c.SetLinger(0)
		},
		"ended by the dispatcher": func(tunnel node.Tunnel) error {
			c := enter(t, p.client, tunnel)
			defer func() { _ = c.Close() }()
			return d.Call(t.Context(), http.MethodPost, "/v3/disconnect/", map[string]any{"connection_id": tunnel.ID}, nil)
		},
		"left in use": func(tunnel node.Tunnel) error { return echoes(enter(t, p.client, tunnel)) },
		"never used":  func(node.Tunnel) error { return nil },
	} {
		if err := end(open(t, client, v.addr)); err != nil {
			t.Fatalf("%s: got %v, want nil", name, err)
		}
	}
}
