package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"vdi-gateway/gateway"
)

// free finds a port that nobody holds on any address, below those that the
// system gives to outgoing connections.
func free(t *testing.T) uint16 {
	t.Helper()
	for range 100 {
		port := 23000 + rand.N(uint16(9000))
		l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

func on(addr string, port uint16) Config {
	c := config()
	c.Listen = []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr(addr), port)}
	return c
}

// livez asks over a connection of its own.
func livez(addr string) (int, error) {
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport, Timeout: soon}).Get("http://" + addr + "/livez")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return resp.StatusCode, nil
}

func TestMovingThePort(t *testing.T) {
	first, second := free(t), free(t)
	n := newNode(t, func(c *Config, _ *gateway.Config) { *c = on("127.0.0.1", first) })
	grant := n.open(vm(t), `"mode":"websocket"`)
	ws := n.attach("/v3/connect/?token="+grant.Token, nil)
	kept := n.dial()
	reader := bufio.NewReader(kept)
	ask := func() *http.Response {
		fmt.Fprint(kept, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
		resp, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp
	}
	if ask().Close {
		t.Error("the connection is closed before the move")
	}
	if err := n.server.Apply(on("127.0.0.1", second)); err != nil {
		t.Fatal(err)
	}
	if status, err := livez(fmt.Sprintf("127.0.0.1:%d", second)); status != 200 {
		t.Errorf("the new port: got %d %v", status, err)
	}
	if _, err := livez(fmt.Sprintf("127.0.0.1:%d", first)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the old port: got %v, want it refused", err)
	}
	n.echo(ws, "the WebSocket stays")
	if resp := ask(); resp.StatusCode != 200 || !resp.Close {
		t.Errorf("a request on a kept connection: got %d, close %t; want 200 and the connection closed", resp.StatusCode, resp.Close)
	}
}

func TestWideningAndNarrowingTheAddress(t *testing.T) {
	port := free(t)
	n := newNode(t, func(c *Config, _ *gateway.Config) { *c = on("127.0.0.1", port) })
	for _, step := range []string{"::", "127.0.0.1", "0.0.0.0", "::", "::1", "0.0.0.0", "127.0.0.1"} {
		if err := n.server.Apply(on(step, port)); err != nil {
			t.Fatalf("to %s: %v", step, err)
		}
		for host, want := range map[string]bool{
			"127.0.0.1": step != "::1", "127.0.0.2": step == "::" || step == "0.0.0.0", "[::1]": step == "::" || step == "::1",
		} {
			if status, err := livez(fmt.Sprintf("%s:%d", host, port)); (status == 200) != want {
				t.Errorf("on %s, asked at %s: got %d %v, want an answer: %t", step, host, status, err, want)
			}
		}
		if l, err := net.Listen("tcp", n.server.Addrs()[0].String()); err == nil {
			_ = l.Close()
			t.Errorf("on %s: the port is shared with strangers", step)
		}
	}
}

func TestAnAddressThatCannotBeBound(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	n := newNode(t, nil)
	before := n.server.Addrs()
	other := free(t)
	bad := on("127.0.0.1", other)
	bad.Listen = append(bad.Listen, netip.MustParseAddrPort(taken.Addr().String()))
	bad.APIKey = "another-key-of-the-dispatcher"
	if err := n.server.Apply(bad); !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("got %v, want the address in use", err)
	}
	if got := n.server.Addrs(); len(got) != 1 || got[0] != before[0] {
		t.Errorf("got %v, want %v as before", got, before)
	}
	n.api("GET", "/v3/health/", "").into(200, &Health{}) // the key, too
	if status, err := livez(fmt.Sprintf("127.0.0.1:%d", other)); err == nil {
		t.Errorf("the half that could be bound answers %d", status)
	}
}

func TestEqualConfigsChangeNothing(t *testing.T) {
	n := newNode(t, nil)
	before := n.server.Addrs()
	for range 3 {
		if err := n.server.Apply(config()); err != nil { // port 0 again
			t.Fatal(err)
		}
	}
	if got := n.server.Addrs(); len(got) != 1 || got[0] != before[0] {
		t.Errorf("got %v, want %v", got, before)
	}
}

func TestApplyBeforeRunAndAfter(t *testing.T) {
	n := newNode(t, nil)
	s := New(n.server.deps)
	if err := s.Apply(config()); err != nil {
		t.Fatal(err)
	}
	early := make(chan error, 1)
	go func() {
		status, err := livez(s.Addrs()[0].String())
		if status != 200 {
			err = fmt.Errorf("got %d %w", status, err)
		}
		early <- err
	}()
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	if err := <-early; err != nil {
		t.Errorf("a connection made before Run: %v", err)
	}
	cancel()
	if err := <-ran; err != nil {
		t.Errorf("Run: got %v, want nil", err)
	}
	if err := s.Apply(on("127.0.0.1", free(t))); !errors.Is(err, ErrClosed) {
		t.Errorf("Apply after Run: got %v, want %v", err, ErrClosed)
	}
	if err := s.Run(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("a second Run: got %v, want %v", err, ErrClosed)
	}
}

func TestAStopCutsWhatHangs(t *testing.T) {
	n := newNode(t, nil)
	conn := n.dial()
	fmt.Fprint(conn, "POST /v3/drain/ HTTP/1.1\r\nHost: x\r\nX-API-Key: "+apiKey+"\r\nContent-Length: 9\r\n\r\n{")
	n.open(vm(t), `"mode":"websocket"`) // it is served by now
	began := time.Now()
	n.stop()
	if took := time.Since(began); took > 5*stopTime {
		t.Errorf("stopping took %s, want %s", took, stopTime)
	}
}

func TestConnectionsOfOneListenerAreBounded(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := New(Deps{}).newListener(tcp.(*net.TCPListener))
	l.slots = make(chan struct{}, 1)
	defer l.Close()
	accepted := make(chan net.Conn)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	for range 2 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	first := <-accepted
	select {
	case <-accepted:
		t.Error("a second connection was accepted while the first held the slot")
	case <-time.After(50 * time.Millisecond):
	}
	_ = first.Close()
	second := <-accepted
	freeWhenHijacked(second, http.StateHijacked) // frees the slot
	_ = second.Close()                           // and frees it once only
	if len(l.slots) > 1 {
		t.Errorf("got %d slots taken", len(l.slots))
	}
	_ = l.Close()
	<-done
}
