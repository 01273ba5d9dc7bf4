package main

import (
	"net/netip"
	"testing"
)

func TestTheDemoIsOnLoopbackAlone(t *testing.T) {
	d := &demo{once: true, dir: t.TempDir(), desktop: "127.0.0.1:5900"}
	store, err := d.database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	local, err := localAddrs()
	if err != nil {
		t.Fatal(err)
	}
	node, err := ownNode(d.settings, netip.Addr{}, local)
	if err != nil {
		t.Fatal(err)
	}
	p := newPlan(d.settings, node)
	for _, a := range p.api.Listen {
		if !a.Addr().IsLoopback() {
			t.Errorf("the API listens on %s, want a loopback address", a)
		}
	}
	for _, a := range p.gateway.Listen {
		if !a.IsLoopback() {
			t.Errorf("tunnels listen on %s, want a loopback address", a)
		}
	}
	if len(p.api.Listen) == 0 || len(p.gateway.Listen) == 0 || len(p.gateway.Targets.Allow) != 1 || !p.gateway.Targets.RequireTicket {
		t.Errorf("got %+v, want API, tunnels and one target by ticket", p)
	}
}
