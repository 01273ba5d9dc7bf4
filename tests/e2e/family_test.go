package e2e

import (
	"net/netip"
	"testing"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

func TestAddressFamilies(t *testing.T) {
	for _, tt := range []struct {
		name       string
		start      func(*testing.T, node.Config) *place
		vm         string
		clientAddr string
	}{
		{"all on IPv6", newPlace6, vmAddr6, "fd99::10"},
		{"an IPv4 client to an IPv6 VM", newPlace, vmAddr6, clientAddr},
		{"an IPv6 client to an IPv4 VM", newPlace6, vmAddr, "fd99::10"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !lab.IPv6() {
				t.Skip("this kernel has no IPv6")
			}
			t.Parallel()
			p := tt.start(t, node.Config{})
			v := serve(t, p.vmHost, netipPort(tt.vm, 7000).String(), echo)
			_, tunnel := talk(t, p, v.addr)
			if tunnel.ClientAddr != tt.clientAddr || tunnel.Address != p.gate.Addr().String() {
				t.Errorf("tunnel: got %s for %s, want %s for %s", tunnel.Address, tunnel.ClientAddr, p.gate.Addr(), tt.clientAddr)
			}
			accepted := v.accepted.Load()
			if open := scan(p.stranger, netip.Addr{}, p.gate.Addr()); len(open) > 0 || v.accepted.Load() != accepted {
				t.Errorf("a stranger: got ports %v open, want none", open)
			}
		})
	}
}
