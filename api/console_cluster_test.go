package api

import (
	"net/netip"
	"strings"
	"testing"
)

// own lets the other node know whose a secret is.
func (c *cluster) own(secret string, owner netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owners[secret] = owner
}

// A page comes to any node, and so does its WebSocket.
func TestConsoleOfAnotherNode(t *testing.T) {
	for name, secure := range map[string]bool{"http": false, "https": true} {
		t.Run(name, func(t *testing.T) {
			c := newClusterOver(t, secure)
			a, b := c.a.named(), c.b.named(func(cfg *Config) { cfg.Hosts, cfg.Ports = nil, nil }) // it could not judge for itself
			target := vm(t)
			grant := c.openOn(b, target, `"mode":"websocket"`)
			origin := "Origin: " + name + "://" + gw + gwPort
			got := a.begin(grant.Token, origin)
			p := pageOf(got)
			if p.cookie.Secure != secure || p.cookie.Path != "/v3/connect/" || !p.cookie.HttpOnly || p.cookie.MaxAge != 60 {
				t.Errorf("got cookie %v, want that of this node's client", p.cookie)
			}
			up := a.handshake(p.path(), p.header(), origin, "Sec-WebSocket-Protocol: binary")
			if up.status != 101 || !strings.Contains(up.header.Get("Set-Cookie"), "Max-Age=0") || len(up.header.Values("Set-Cookie")) != 1 ||
				strings.Contains(up.header.Get("Set-Cookie"), "Secure") != secure || up.header.Get("Sec-WebSocket-Protocol") != "binary" {
				t.Errorf("got %d %v, want the tunnel, and the cookie removed", up.status, up.header)
			}
			if b.grants() != 1 || a.grants() != 0 {
				t.Errorf("got %d grants here and %d there, want the one there", a.grants(), b.grants())
			}
			a.handshake(p.path(), p.header(), origin).is(409, "GRANT_USED")
		})
	}
}

// A foreign origin is refused where it comes in: behind that nobody knows how the client
// came.
func TestOriginsAreJudgedByTheFirstNode(t *testing.T) {
	c := newCluster(t)
	a := c.a.named()
	grant := c.openOn(c.b, vm(t), `"mode":"websocket"`)
	for _, origin := range []string{"http://evil.example", "https://" + gw + gwPort, "null", ""} {
		a.handshake("/v3/connect/?token="+grant.Token, "Origin: "+origin).is(403, "FORBIDDEN")
		a.handshake("/v3/nodes/127.0.0.2/connect/?token="+grant.Token, "Origin: "+origin).is(403, "FORBIDDEN")
		a.handshake("/v3/nodes/127.0.0.1/connect/?token="+grant.Token, "Origin: "+origin).is(403, "FORBIDDEN")
		a.begin(grant.Token, "Origin: "+origin).is(403, "FORBIDDEN")
	}
	if text := c.b.log.String(); strings.Contains(text, "path=/v3/connect/") || strings.Contains(text, "path=/console/") {
		t.Error("a foreign origin got as far as the second node")
	}
	if got := a.handshake("/v3/nodes/127.0.0.2/connect/?token="+grant.Token, "Origin: http://"+gw); got.status != 101 {
		t.Errorf("got %d %s, want 101 at a node by its address", got.status, got.body)
	}
}

// A resume token leads to its node; there it is judged.
func TestResumingAtAnotherNode(t *testing.T) {
	c := newCluster(t)
	a := c.a.named()
	c.own("RESUME", addrB)
	a.call("POST", "/console/resume", `{"resume":"RESUME"}`, "Origin: http://"+gw).is(403, "FORBIDDEN")
	if text := c.b.log.String(); !strings.Contains(text, "path=/console/resume") {
		t.Errorf("the owner was not asked: %s", text)
	}
	a.call("POST", "/console/resume", `{"resume":"x"}`).is(403, "FORBIDDEN")
	a.call("POST", "/console/resume", `{}`).is(422, "VALIDATION")
	a.call("POST", "/console/resume", `{"resume":""}`).is(403, "FORBIDDEN")
}
