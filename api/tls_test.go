package api

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/sirupsen/logrus"

	"vdi-gateway/api/certificate"
)

// overTLS tells whether the nodes of a test speak TLS.
func overTLS(t *testing.T) bool { return strings.HasPrefix(t.Name(), "TestNodesOverTLS/") }

func newKeeper(t *testing.T) *certificate.Keeper {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	k := certificate.New(certificate.Deps{Dir: t.TempDir()}, log)
	if err := k.Apply(certificate.Config{Enabled: true, Names: []string{"127.0.0.1"}, Secrets: []string{"shared"}}); err != nil {
		t.Fatal(err)
	}
	return k
}

// What nodes do for each other they do over TLS as well.
func TestNodesOverTLS(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"grants":                TestGrantsOfAnotherNode,
		"WebSockets":            TestWebSocketOfAnotherNode,
		"early frames":          TestEarlyFramesAreForwarded,
		"ends":                  TestEndsOfForwardedWebSockets,
		"two minds":             TestNodesOfTwoMinds,
		"no answer":             TestOwnerDoesNotAnswer,
		"a node by its address": TestRequestsForANode,
		"a stream by address":   TestWebSocketAtANamedNode,
	} {
		t.Run(name, test)
	}
}

// A node tells the other who the client is, and then everything else in secret.
func TestNodesSpeakInSecret(t *testing.T) {
	c := newClusterOver(t, true)
	said := c.record(t)
	c.a.api("GET", "/v3/nodes/127.0.0.2/health/", "").into(200, &struct{}{})
	wire := said()
	const header = 28 // PROXY protocol version 2 with two IPv4 addresses
	if len(wire) < header+2 || !bytes.HasPrefix(wire, []byte("\r\n\r\n\x00\r\nQUIT\n")) || !bytes.HasPrefix(wire[header:], []byte{22, 3}) {
		t.Errorf("got %q, want a PROXY header and a handshake of TLS", wire[:min(len(wire), 40)])
	}
	if bytes.Contains(wire, []byte(apiKey)) || bytes.Contains(wire, []byte("health")) {
		t.Error("the request can be read on the wire")
	}
}

// record has what nodes say to each other pass where it can be read.
func (c *cluster) record(t *testing.T) (said func() []byte) {
	t.Helper()
	var heard bytes.Buffer
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to := make(chan netip.AddrPort, 1)
	c.between = func(node netip.AddrPort) netip.AddrPort {
		to <- node
		return netip.MustParseAddrPort(l.Addr().String())
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		in, err := l.Accept()
		if err != nil {
			return
		}
		defer in.Close()
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}} // a node
		out, err := dialer.Dial("tcp", (<-to).String())
		if err != nil {
			t.Error(err)
			return
		}
		defer out.Close()
		var up sync.WaitGroup
		up.Go(func() { _, _ = io.Copy(io.MultiWriter(&heard, out), in); _ = out.(*net.TCPConn).CloseWrite() })
		_, _ = io.Copy(in, out)
		_ = in.Close()
		up.Wait() // it writes what is read when all is done
	}()
	t.Cleanup(func() { _ = l.Close() })
	return func() []byte { <-done; return heard.Bytes() }
}

// A cluster does not change at one instant: a node may be ahead of the other.
func TestOneNodeIsAheadWithTLS(t *testing.T) {
	c := newClusterOver(t, true)
	plain := certificate.Config{Secrets: []string{"shared"}}
	for name, behind := range map[string]*node{"the asking": c.a, "the asked": c.b} {
		if err := behind.server.deps.TLS.Apply(plain); err != nil {
			t.Fatal(err)
		}
		base := c.a.base
		if behind == c.a {
			c.a.base = "http://" + c.a.addr
		}
		var h Health
		c.a.api("GET", "/v3/nodes/127.0.0.2/health/", "").into(200, &h)
		c.a.base = base
		if h.Status != "ok" {
			t.Errorf("%s node is still without TLS: got %+v", name, h)
		}
		if err := behind.server.deps.TLS.Apply(certificate.Config{Enabled: true, Names: []string{"127.0.0.1"}, Secrets: plain.Secrets}); err != nil {
			t.Fatal(err)
		}
	}
}

// Only other nodes may go on without TLS.
func TestPlainRequestsOfOthersAreRedirected(t *testing.T) {
	c := newClusterOver(t, true)
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, path := range []string{"/readyz", "/livez", "/internal/directory", "/v3/health/", "/swagger/", "/nothing"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+c.a.addr+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(hopHeader, "1")
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if want := "https://" + c.a.addr + path; resp.StatusCode != http.StatusTemporaryRedirect || resp.Header.Get("Location") != want {
			t.Errorf("%s: got %s to %q, want a redirect to %s", path, resp.Status, resp.Header.Get("Location"), want)
		}
	}
}
