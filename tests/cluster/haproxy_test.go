package cluster

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vdi-gateway/tests/node"
)

const haproxyAddr = "10.99.0.50"

// haproxyConfig is what the original generates: the client API and the range of
// ports, each client kept with one node by a table of sources.
const haproxyConfig = `global
	maxconn 4000
defaults
	mode tcp
	timeout connect 5s
	timeout client 1m
	timeout server 1m
frontend api
	bind %[1]s:8002
	default_backend api
backend api
	balance leastconn
	stick-table type ip size 20k expire 8h
	stick on src
	server n1 10.99.0.1:8000 check send-proxy-v2
	server n2 10.99.0.2:8000 check send-proxy-v2
	server n3 10.99.0.3:8000 check send-proxy-v2
frontend tunnels
	bind %[1]s:5900-5999
	default_backend tunnels
backend tunnels
	balance leastconn
	stick on src table api
	server n1 10.99.0.1 send-proxy-v2
	server n2 10.99.0.2 send-proxy-v2
	server n3 10.99.0.3 send-proxy-v2
`

// A HAProxy as the original has it, in front of three nodes.
func TestBehindHAProxy(t *testing.T) {
	if _, err := exec.LookPath("haproxy"); err != nil {
		t.Skip("there is no haproxy")
	}
	r := newRig(t, 3, node.Settings{"public_addr": haproxyAddr, "trusted_proxies": []string{haproxyAddr}})
	host := r.network.Host("haproxy", haproxyAddr+"/24")
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, fmt.Appendf(nil, haproxyConfig, haproxyAddr), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := host.Start(exec.CommandContext(t.Context(), "haproxy", "-db", "-f", file)); err != nil {
		t.Fatal(err)
	}
	front := netip.MustParseAddrPort(haproxyAddr + ":8002")
	eventually(t, "HAProxy listens", func() bool {
		c, err := r.client.Dial(netip.Addr{}, front, time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	if node.Kernel() {
		r.usePart(t, front)
	} else {
		r.useAll(t, front)
	}
	r.strangers(t, front)
}

// useAll opens and uses tunnels from every address.
func (r *rig) useAll(t *testing.T, front netip.AddrPort) {
	t.Helper()
	for _, from := range r.client.Addrs() {
		c := node.ClientAt(front, r.client, from)
		t.Cleanup(c.Close)
		for range 20 {
			if _, err := r.openAndUse(t, c, from); err != nil {
				t.Errorf("from %s: %v", from, err)
			}
		}
	}
}

// usePart wants what is left behind a proxy where the kernel moves the bytes: the API and
// WebSockets. A PROXY header ends at a socket, and the ports of the range have none; the
// settings warn of it.
func (r *rig) usePart(t *testing.T, front netip.AddrPort) {
	t.Helper()
	from := r.client.Addrs()[0]
	c := node.ClientAt(front, r.client, from)
	t.Cleanup(c.Close)
	tunnel, err := c.Open(soon(t), r.request())
	if err != nil || tunnel.ClientAddr != from.String() {
		t.Fatalf("got a tunnel for %q and %v, want one for %s", tunnel.ClientAddr, err, from)
	}
	if err := r.use(from, tunnel); err == nil {
		t.Errorf("from %s: got through by a port of the range, want it closed", from)
	}
	request := r.request()
	request.Mode = "websocket"
	web, err := c.Open(soon(t), request)
	if err != nil {
		t.Fatal(err)
	}
	ws, err := attach(soon(t), r.client, front, web)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	if err := echoes(ws); err != nil {
		t.Error(err)
	}
	if log := r.nodes[0].Log(); !strings.Contains(log, "clients behind trusted_proxies reach the API and consoles, but no tunnels") {
		t.Errorf("got %s, want a warning", log)
	}
}

// strangers checks that a PROXY header of somebody who is not trusted opens
// nothing, wherever it is sent.
func (r *rig) strangers(t *testing.T, front netip.AddrPort) {
	t.Helper()
	from := r.client.Addrs()[0]
	c := node.ClientAt(front, r.client, from)
	t.Cleanup(c.Close)
	tunnel, err := c.Open(soon(t), r.request())
	if err != nil {
		t.Fatal(err)
	}
	other := r.client.Addrs()[1]
	forged := "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + string(from.AsSlice()) + string(r.virtual.AsSlice()) + "\x9c\x40\x17\x0c"
	to := []netip.AddrPort{tunnel.Addr()}
	for _, h := range r.hosts {
		to = append(to, netip.AddrPortFrom(h.Addr(), tunnel.Addr().Port()), netip.AddrPortFrom(h.Addr(), node.APIPort))
	}
	for _, addr := range to {
		conn, err := r.client.Dial(other, addr, 300*time.Millisecond)
		if err != nil {
			continue // silence: just as well
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(conn, forged+"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n") // it may be closed
		if got, _ := io.ReadAll(conn); len(got) > 0 && string(got[:12]) != "HTTP/1.1 400" {
			t.Errorf("a forged header at %s is answered: %q", addr, got)
		}
		_ = conn.Close()
	}
}
