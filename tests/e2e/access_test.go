package e2e

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

// The access list stands before every port that clients use, and changes for new
// connections at once. What runs goes on, and the node itself is never locked out.
func TestAccessList(t *testing.T) {
	p := newPlace(t, node.Config{})
	v := serve(t, p.vmHost, vmAddr+":7000", echo)
	session, tunnel := talk(t, p, v.addr)
	d := p.node.Dispatcher()
	defer d.Close()
	change := func(list map[string]any) {
		t.Helper()
		if err := d.Call(t.Context(), "POST", "/v3/change_settings/", map[string]any{"access": list}, nil); err != nil {
			t.Fatal(err)
		}
	}
	api, stats := netip.AddrPortFrom(p.gate.Addr(), node.APIPort), netip.AddrPortFrom(p.gate.Addr(), 8003)
	allowed := func(host *lab.Host, from netip.Addr, at netip.AddrPort) bool { return answersHTTP(host, from, at) }
	change(map[string]any{"allow_from": secondAddr + ",10.99.0.60-10.99.0.70", "deny_from": "all", "policy": "allow"})
	for _, tt := range []struct {
		name string
		host *lab.Host
		from string
		want bool
	}{
		{"who is listed", p.client, secondAddr, true},
		{"who is in a range", p.stranger, "", true},
		{"who is neither", p.client, clientAddr, false},
		{"the node itself", p.gate, "", true},
	} {
		from := netip.Addr{}
		if tt.from != "" {
			from = addrOf(tt.from)
		}
		for _, at := range []netip.AddrPort{api, stats} {
			if got := allowed(tt.host, from, at); got != tt.want {
				t.Errorf("%s at %s: got in: %t, want %t", tt.name, at, got, tt.want)
			}
		}
	}
	if err := echoes(session); err != nil {
		t.Errorf("the session from before: got %v, want it to go on", err)
	}
	if c, err := p.client.Dial(addrOf(clientAddr), tunnel.Addr(), time.Second); err == nil {
		if echoes(c) == nil {
			t.Error("a new connection to the tunnel: got through, want it refused")
		}
		_ = c.Close()
	}
	eventually(t, "the log tells of the client", func() bool {
		return strings.Contains(p.node.Log(), "denied by the access list") && strings.Contains(p.node.Log(), clientAddr)
	})
	change(map[string]any{})
	if !allowed(p.client, addrOf(clientAddr), api) {
		t.Error("without a list: got no answer, want one")
	}
}

// answersHTTP tells whether a port answers a request from an address.
func answersHTTP(host *lab.Host, from netip.Addr, at netip.AddrPort) bool {
	c, err := host.Dial(from, at, 5*time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Write([]byte("GET / HTTP/1.0\r\n\r\n")); err != nil {
		return false
	}
	n, _ := c.Read(make([]byte, 1))
	return n == 1
}
