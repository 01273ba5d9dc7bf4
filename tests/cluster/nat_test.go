package cluster

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

// The world outside: a router with the public address, which it translates to the
// virtual one, and a client that knows nothing else.
const (
	publicAddr = "198.51.100.1"
	inside     = "10.99.0.254"
	outside    = "198.51.100.50"
)

// onHost runs a script of sh on a host.
func onHost(t *testing.T, h *lab.Host, script string) {
	t.Helper()
	out, err := h.Run(soon(t), exec.CommandContext(t.Context(), "sh", "-ec", script)) //nolint:gosec // our own
	if err != nil {
		t.Fatalf("%s: %v\n%s", h.Name(), err, out)
	}
}

// route makes h the router. sources tells whose addresses it translates, too.
func (r *rig) route(t *testing.T, h *lab.Host, sources string) {
	t.Helper()
	onHost(t, h, fmt.Sprintf(`echo 1 >/proc/sys/net/ipv4/ip_forward
echo 0 >/proc/sys/net/ipv4/conf/all/send_redirects
echo 0 >/proc/sys/net/ipv4/conf/eth0/send_redirects
nft -f - <<END
flush ruleset
table ip nat {
	chain in { type nat hook prerouting priority dstnat; ip daddr %s dnat to %s; }
	chain out { type nat hook postrouting priority srcnat; ip saddr %s ip daddr %s masquerade; }
}
END`, publicAddr, r.virtual, sources, r.virtual))
}

func TestBehindARouterThatTranslates(t *testing.T) {
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("there is no nft: a router needs it")
	}
	r := newRig(t, 3, node.Settings{"public_addr": publicAddr})
	router := r.network.Host("router", inside+"/24", publicAddr+"/24")
	world := r.network.Host("world", outside+"/24")
	for _, h := range append([]*lab.Host{r.client}, r.hosts...) {
		onHost(t, h, "ip route add 198.51.100.0/24 via "+inside)
	}
	for name, tt := range map[string]struct{ sources, seen string }{
		// Who is inside needs the way back through the router in any case.
		"the destination":         {"10.99.0.0/24", outside},
		"the source as well":      {"0.0.0.0/0", inside},
		"the destination, anew":   {"10.99.0.0/24", outside},
		"the source once more":    {"0.0.0.0/0", inside},
		"the destination, lastly": {"10.99.0.0/24", outside},
	} {
		t.Run(name, func(t *testing.T) {
			r.route(t, router, tt.sources)
			r.usePublic(t, world, netip.MustParseAddr(outside), tt.seen)
			r.usePublic(t, r.client, r.client.Addr(), inside)
		})
	}
}

// usePublic does all that a client does, by the public address alone.
func (r *rig) usePublic(t *testing.T, h *lab.Host, from netip.Addr, seen string) {
	t.Helper()
	api := netip.AddrPortFrom(netip.MustParseAddr(publicAddr), frontAPI)
	c := node.ClientAt(api, h, from)
	t.Cleanup(c.Close)
	tunnel, err := c.Open(soon(t), r.request())
	if err != nil {
		t.Fatal(err)
	}
	if tunnel.Address != publicAddr || tunnel.ClientAddr != seen {
		t.Errorf("got %s for %s, want %s for %s", tunnel.Address, tunnel.ClientAddr, publicAddr, seen)
	}
	conn, err := h.Dial(from, tunnel.Addr(), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := echoes(conn); err != nil {
		t.Error(err)
	}
	request := r.request()
	request.Mode = "websocket"
	web, err := c.Open(soon(t), request)
	if err != nil {
		t.Fatal(err)
	}
	ws, err := attach(soon(t), h, api, web)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	if err := echoes(ws); err != nil {
		t.Error(err)
	}
}

// attach opens a tunnel over a WebSocket.
func attach(ctx context.Context, h *lab.Host, api netip.AddrPort, tunnel node.Tunnel) (net.Conn, error) {
	client := &http.Client{Transport: &http.Transport{DialContext: h.DialContext, DisableKeepAlives: true}}
	ws, resp, err := websocket.Dial(ctx, "ws://"+api.String()+"/v3/connect/", &websocket.DialOptions{
		HTTPClient: client, Subprotocols: []string{"binary", "vdi.token." + tunnel.Token},
	})
	if err != nil {
		if resp != nil {
			err = fmt.Errorf("%s: %w", strings.TrimSpace(resp.Status), err)
		}
		return nil, err
	}
	return websocket.NetConn(context.WithoutCancel(ctx), ws, websocket.MessageBinary), nil
}

// A tunnel by token is bound to no address, and to no node.
func TestAWebSocketFromAnywhere(t *testing.T) {
	r := newRig(t, 3, nil)
	request := r.request()
	request.Mode = "websocket"
	tunnel, err := r.front(t, r.client.Addrs()[0]).Open(soon(t), request)
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range r.nodes {
		if r.hosts[i].Addr().String() == tunnel.Node {
			continue
		}
		ws, err := attach(soon(t), r.network.Host("elsewhere", "10.99.0.160/24"), netip.AddrPortFrom(n.Host.Addr(), node.APIPort), tunnel)
		if err != nil {
			t.Fatal(err)
		}
		defer ws.Close()
		if err := echoes(ws); err != nil {
			t.Error(err)
		}
		break
	}
	if _, err := attach(soon(t), r.client, netip.AddrPortFrom(r.virtual, frontAPI), tunnel); err == nil || !strings.Contains(err.Error(), "409") {
		t.Errorf("a second attach: got %v, want 409", err)
	}
}
