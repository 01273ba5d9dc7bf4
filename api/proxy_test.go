package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"vdi-gateway/gateway"
)

// proxies of the tests: connections from 127.0.0.5 may say whom they are for.
const (
	proxyAddr    = "127.0.0.5"
	strangerAddr = "127.0.0.6"
)

func trusting(c *Config, _ *gateway.Config) {
	c.Trusted = []netip.Prefix{netip.MustParsePrefix(proxyAddr + "/32")}
}

// say connects from an address and sends what it is given; it returns what
// comes back until the other side closes, or first says nothing for long.
func (n *node) say(from, text string) string {
	n.t.Helper()
	conn := n.dialFrom(from)
	if _, err := io.WriteString(conn, text); err != nil {
		n.t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if isTimeout(err) {
		n.t.Fatalf("the connection stays open after %q", got)
	}
	return string(got)
}

func (n *node) dialFrom(from string) net.Conn {
	n.t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := dialer.Dial("tcp", n.addr)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(6 * soon))
	return conn
}

func headerV2(t *testing.T, client string) string {
	t.Helper()
	source := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(client))
	target := &net.TCPAddr{IP: net.ParseIP("192.0.2.1"), Port: 8002}
	if source.IP.To4() == nil {
		target.IP = net.ParseIP("2001:db8::1")
	}
	text, err := proxyproto.HeaderProxyFromAddrs(2, source, target).Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func asks(method, path, key, body string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-API-Key: %s\r\nContent-Length: %d\r\n\r\n%s",
		method, path, key, len(body), body)
}

func TestProxyHeaders(t *testing.T) {
	n := newNode(t, trusting)
	open := asks("POST", "/v3/open_connection/", cliKey, openText(vm(t), `"probe":false`))
	v1 := "PROXY TCP4 203.0.113.7 192.0.2.1 40000 8002\r\n"
	local, err := (&proxyproto.Header{Version: 2, Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC}).Format()
	if err != nil {
		t.Fatal(err)
	}
	unix, err := proxyproto.HeaderProxyFromAddrs(2, &net.UnixAddr{Net: "unix", Name: "/a"}, &net.UnixAddr{Net: "unix", Name: "/b"}).Format()
	if err != nil {
		t.Fatal(err)
	}
	const closed = ""
	for _, tt := range []struct{ name, from, header, client string }{
		{"version 2", proxyAddr, headerV2(t, "203.0.113.7:40000"), "203.0.113.7"},
		{"version 2, IPv6", proxyAddr, headerV2(t, "[2001:db8::7]:40000"), "2001:db8::7"},
		{"version 1", proxyAddr, v1, "203.0.113.7"},
		{"none", proxyAddr, "", proxyAddr},
		{"for the proxy itself", proxyAddr, string(local), proxyAddr},
		{"version 1, unknown", proxyAddr, "PROXY UNKNOWN\r\n", proxyAddr},
		{"not of TCP", proxyAddr, string(unix), closed},
		{"cut off", proxyAddr, v1[:12] + "\r\n", closed},
		{"twice", proxyAddr, v1 + v1, "400"},
		{"version 2 of a stranger", strangerAddr, headerV2(t, "203.0.113.7:40000"), closed},
		{"version 1 of a stranger", strangerAddr, v1, closed},
		{"a stranger's for itself", strangerAddr, string(local), closed},
		{"none of a stranger", strangerAddr, "", strangerAddr},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := n.say(tt.from, tt.header+open)
			switch tt.client {
			case closed:
				if got != "" {
					t.Errorf("got %q, want nothing", got)
				}
			case "400":
				if !strings.HasPrefix(got, "HTTP/1.1 400") {
					t.Errorf("got %q, want 400", got)
				}
			default:
				if !strings.Contains(got, `"client_addr":"`+tt.client+`"`) {
					t.Errorf("got %q, want a grant for %s", got, tt.client)
				}
			}
		})
	}
}

// TestProxiedClientsAreCounted: limits, and the log, are about the client.
func TestProxiedClientsAreCounted(t *testing.T) {
	n := newNode(t, trusting)
	wrong := asks("GET", "/v3/health/", "no-key", "")
	for range 3 * wrongKeys {
		n.say(proxyAddr, headerV2(t, "203.0.113.7:40000")+wrong)
	}
	if got := n.say(proxyAddr, headerV2(t, "203.0.113.8:40000")+wrong); !strings.HasPrefix(got, "HTTP/1.1 401") {
		t.Errorf("got %.20q for another client of the proxy, want 401", got)
	}
	eventually(t, "the log names the client", func() bool { return strings.Contains(n.log.String(), "client=203.0.113.7 ") })
}

// TestTrustChanges: it holds for connections that come after Apply.
func TestTrustChanges(t *testing.T) {
	n := newNode(t, nil)
	ask := headerV2(t, "203.0.113.7:40000") + asks("GET", "/livez", "", "")
	if got := n.say(proxyAddr, ask); got != "" {
		t.Errorf("got %q before, want nothing", got)
	}
	cfg := config()
	trusting(&cfg, nil)
	if err := n.server.Apply(cfg); err != nil {
		t.Fatal(err)
	}
	if got := n.say(proxyAddr, ask); !strings.HasPrefix(got, "HTTP/1.1 200") {
		t.Errorf("got %q after, want 200", got)
	}
}

// TestSilenceHoldsNoOneUp: who connects and says nothing, trusted or not, keeps
// no one else from being served, and is cut off.
func TestSilenceHoldsNoOneUp(t *testing.T) {
	t.Parallel()
	n := newNode(t, trusting)
	silent := n.dialFrom(proxyAddr)
	_, _ = io.WriteString(silent, "PROX")
	if n.call("GET", "/livez", "").status != 200 {
		t.Error("others wait")
	}
	_ = silent.SetReadDeadline(time.Now().Add(10 * headerTime))
	if _, err := io.Copy(io.Discard, silent); isTimeout(err) {
		t.Error("the silent one stays")
	}
}

// TestInternalIsNotProxied: /internal/ sees the wire, and nothing that came
// through a proxy.
func TestInternalIsNotProxied(t *testing.T) {
	n := newNodeWith(t, func(d *Deps) {
		d.Internal = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/internal/fault" {
				panic("at the worst moment")
			}
			fmt.Fprint(w, r.RemoteAddr)
		})
	}, trusting)
	ask := asks("POST", "/internal/x", "", "")
	if got := n.say(proxyAddr, ask); !strings.Contains(got, proxyAddr+":") {
		t.Errorf("got %q, want the peer's address", got)
	}
	if got := n.say(proxyAddr, headerV2(t, "127.0.0.1:40000")+ask); !strings.HasPrefix(got, "HTTP/1.1 404") || !strings.HasSuffix(got, "\r\n\r\n") {
		t.Errorf("got %q through a proxy, want 404 without a body", got)
	}
	if got := n.say(proxyAddr, asks("POST", "/internal/fault", "", "")); got != "" || !strings.Contains(n.log.String(), "worst moment") {
		t.Errorf("got %q, want a connection that ends, and a line in the log", got)
	}
}

// TestProxiedWebSocket: the carrier works behind a header, bytes sent right
// behind the handshake included.
func TestProxiedWebSocket(t *testing.T) {
	n := newNode(t, trusting)
	grant := n.open(vm(t), `"mode":"websocket"`)
	conn := n.dialFrom(proxyAddr)
	fmt.Fprintf(conn, "%sGET /v3/connect/?token=%s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n%s",
		headerV2(t, "203.0.113.7:40000"), grant.Token, frame(fin|binaryFrame, "hello"))
	expectEcho(t, bufio.NewReader(conn), "hello")
	ended, _, err := n.gateway.Disconnect(context.Background(), gateway.Selector{All: true}, "")
	if err != nil || len(ended) != 1 {
		t.Fatalf("got %v, %v, want one ended", ended, err)
	}
	if _, err := io.ReadAll(conn); isTimeout(err) {
		t.Error("the connection stays after its end")
	}
}

// expectEcho reads the answer to a handshake and one frame.
func expectEcho(t *testing.T, reader *bufio.Reader, text string) {
	t.Helper()
	resp, err := http.ReadResponse(reader, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %v %v, want 101", resp, err)
	}
	got := make([]byte, 2+len(text))
	if _, err := io.ReadFull(reader, got); err != nil || string(got[2:]) != text {
		t.Fatalf("got %q, %v, want %q in a frame", got, err, text)
	}
}
