//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"net/netip"
	"testing"

	"vdi-gateway/tests/node"
)

// TLS is switched on and off while people work.
func TestTLSSwitchedOnAndOff(t *testing.T) {
	p := newPlace(t, node.Config{})
	v := serve(t, p.vmHost, vmAddr+":7000", echo)
	plain, client := p.node.Dispatcher(), p.node.Client(p.client)
	t.Cleanup(plain.Close)
	t.Cleanup(client.Close)
	all := newChats(t)
	for i := range 50 {
		all.add("WebSocket", carrier{p.client, p.apiAt(), client, nil, v.addr}.dial(t, fmt.Sprint("user", i)))
	}
	for range 20 {
		all.add("tunnel", enter(t, p.client, open(t, client, v.addr)))
	}
	kept := keepAlive(t, p.client, p.apiAt())
	kept.wantStatus(t, http.StatusOK)
	all.goOn(t, "before")

	if _, err := plain.Change(t.Context(), node.Settings{"ssl": true}); err != nil {
		t.Fatal(err)
	}
	all.goOn(t, "after ssl true")
	kept.wantStatus(t, http.StatusTemporaryRedirect) // a connection of before is no way around
	p.redirects(t)
	trust := selfSigned(t, p)
	secure, secureClient := plain.Secure(trust), client.Secure(trust)
	t.Cleanup(secure.Close)
	t.Cleanup(secureClient.Close)
	if h := healthOf(t, secure); h.Status != "ok" {
		t.Errorf("health by TLS: got %s, want ok", h.Status)
	}
	all.add("tunnel opened by TLS", enter(t, p.client, open(t, secureClient, v.addr)))
	all.add("WebSocket by TLS", carrier{p.client, p.apiAt(), secureClient, trust, v.addr}.dial(t, "secure"))
	all.goOn(t, "with TLS")

	if _, err := secure.Change(t.Context(), node.Settings{"ssl": false}); err != nil {
		t.Fatal(err)
	}
	all.goOn(t, "after ssl false")
	if h := healthOf(t, plain); h.Status != "ok" {
		t.Errorf("health without TLS: got %s, want ok", h.Status)
	}
	for _, at := range []netip.AddrPort{p.apiAt(), p.statsAt()} {
		if _, err := shown(p.client, at); err == nil {
			t.Errorf("a handshake at %s without TLS: got one, want it refused", at)
		}
	}
	all.add("WebSocket without TLS again", carrier{p.client, p.apiAt(), client, nil, v.addr}.dial(t, "again"))
	all.goOn(t, "without TLS again")
	all.end()
	all.report(t, "in the end")
}

// A change that locks its author out goes back by itself.
func TestTLSNotConfirmedIsRolledBack(t *testing.T) {
	p := newPlace(t, node.Config{})
	v := serve(t, p.vmHost, vmAddr+":7000", echo)
	plain, client := p.node.Dispatcher(), p.node.Client(p.client)
	t.Cleanup(plain.Close)
	t.Cleanup(client.Close)
	all := newChats(t)
	all.add("WebSocket", carrier{p.client, p.apiAt(), client, nil, v.addr}.dial(t, "user"))
	all.add("tunnel", enter(t, p.client, open(t, client, v.addr)))
	if err := plain.Call(t.Context(), http.MethodPost, "/v3/change_settings/?confirm_s=1", node.Settings{"ssl": true}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := shown(p.client, p.apiAt()); err != nil {
		t.Errorf("before it has to be confirmed: got %v, want TLS", err)
	}
	eventually(t, "the node speaks without TLS again", func() bool {
		_, err := plain.Settings(t.Context())
		return err == nil
	})
	if _, err := shown(p.client, p.apiAt()); err == nil {
		t.Error("after it was not confirmed: got a handshake, want none")
	}
	all.goOn(t, "after the rollback")
}
