package api

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"vdi-gateway/gateway"
)

// pongTime is what the relay gives a peer to answer a ping in.
const pongTime = 10 * time.Second

// attach opens a WebSocket that must succeed.
func (n *node) attach(path string, protocols []string) *websocket.Conn {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), soon)
	defer cancel()
	ws, resp, err := websocket.Dial(ctx, strings.Replace(n.base, "http", "ws", 1)+path, &websocket.DialOptions{Subprotocols: protocols})
	if err != nil {
		n.t.Fatal(err)
	}
	if resp.Header.Get("Sec-WebSocket-Extensions") != "" || resp.Header.Get("Content-Encoding") != "" {
		n.t.Errorf("the tunnel is compressed: %v", resp.Header)
	}
	n.t.Cleanup(func() { _ = ws.CloseNow() })
	return ws
}

func TestCarrierBothWays(t *testing.T) {
	n := newNode(t, func(c *Config, _ *gateway.Config) { c.PingInterval = 20 * time.Millisecond })
	grant := n.open(vm(t), `"mode":"websocket"`)
	ws := n.attach("/v3/connect/?token="+grant.Token, []string{"binary"})
	if ws.Subprotocol() != "binary" {
		t.Errorf("got subprotocol %q, want binary", ws.Subprotocol())
	}
	stream := websocket.NetConn(t.Context(), ws, websocket.MessageBinary)
	data := make([]byte, 8<<20)
	_, _ = rand.Read(data)
	sent := make(chan error, 1)
	go func() {
		for _, size := range []int{1, 125, 126, 65535, 65536, 1 << 20, len(data)} {
			part := data[:min(size, len(data))]
			data := part
			if _, err := stream.Write(data); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	want, got := sha256.New(), sha256.New()
	total := int64(0)
	for _, size := range []int{1, 125, 126, 65535, 65536, 1 << 20, len(data)} {
		want.Write(data[:size])
		total += int64(size)
	}
	if _, err := io.CopyN(got, stream, total); err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if string(got.Sum(nil)) != string(want.Sum(nil)) {
		t.Error("what came back is not what was sent")
	}
	var page connectionsAnswer
	n.api("GET", "/v3/get_connections/?state=active", "").into(200, &page)
	if page.Total != 1 || page.Connections[0].BytesUp != total || page.Connections[0].Channels != 1 || page.Connections[0].RTTMS == nil {
		t.Errorf("got %+v, want one active connection with %d bytes", page, total)
	}
	if err := ws.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("the goodbye is not answered: %v", err)
	}
	eventually(t, "the session ends with its WebSocket", func() bool { return n.active() == 0 })
}

// active counts the connections in use.
func (n *node) active() int {
	_, total := n.gateway.Connections(gateway.Filter{State: gateway.StateActive})
	return total
}

func TestTicketsAttach(t *testing.T) {
	n := newNode(t, nil)
	var ticket ticketAnswer
	n.api("POST", "/v3/tickets/", openText(vm(t))).into(201, &ticket)
	ws := n.attach("/v3/connect/", []string{"binary", "vdi.token." + ticket.Ticket})
	n.echo(ws, "hello")
	n.handshake("/v3/connect/?token="+ticket.Ticket).is(409, "GRANT_USED")
}

// echo sends text and waits for it to come back.
func (n *node) echo(ws *websocket.Conn, text string) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), soon)
	defer cancel()
	if err := ws.Write(ctx, websocket.MessageBinary, []byte(text)); err != nil {
		n.t.Fatal(err)
	}
	kind, got, err := ws.Read(ctx)
	if err != nil || kind != websocket.MessageBinary || string(got) != text {
		n.t.Fatalf("got %v %q %v, want %q in a binary frame", kind, got, err, text)
	}
}

func TestDisconnectClosesTheWebSocket(t *testing.T) {
	n := newNode(t, nil)
	ended := make(chan time.Time, 1)
	target := vmDoing(t, func(c net.Conn) {
		_, _ = io.Copy(io.Discard, c)
		ended <- time.Now()
	})
	grant := n.open(target, `"mode":"websocket"`, `"probe":false`)
	ws := n.attach("/v3/connect/?token="+grant.Token, nil)
	eventually(t, "the session is active", func() bool { return n.active() == 1 })
	began := time.Now()
	n.api("POST", "/v3/disconnect/", `{"connection_id":"`+grant.ConnectionID+`"}`).into(200, &disconnectAnswer{})
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	var told websocket.CloseError
	if _, _, err := ws.Read(ctx); !errors.As(err, &told) || told.Code != websocket.StatusInternalError || told.Reason != "admin" {
		t.Errorf("got %v, want close code 1011, admin", err)
	}
	if took := time.Since(began); took > 5*500*time.Millisecond {
		t.Errorf("the WebSocket closed after %s, want 0.5 s", took)
	}
	if took := (<-ended).Sub(began); took > 5*500*time.Millisecond {
		t.Errorf("the VM's side closed after %s, want 0.5 s", took)
	}
}

func TestTheVMCloses(t *testing.T) {
	n := newNode(t, nil)
	target := vmDoing(t, func(c net.Conn) { _, _ = io.WriteString(c, "goodbye") })
	grant := n.open(target, `"mode":"websocket"`, `"probe":false`)
	ws := n.attach("/v3/connect/?token="+grant.Token, nil)
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	if _, got, err := ws.Read(ctx); err != nil || string(got) != "goodbye" {
		t.Fatalf("got %q %v, want goodbye", got, err)
	}
	if _, _, err := ws.Read(ctx); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Errorf("got %v, want a normal closure", err)
	}
}

func TestTextFramesAreRefused(t *testing.T) {
	n := newNode(t, nil)
	grant := n.open(vm(t), `"mode":"websocket"`)
	ws := n.attach("/v3/connect/?token="+grant.Token, nil)
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	if err := ws.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ws.Read(ctx); websocket.CloseStatus(err) != websocket.StatusUnsupportedData {
		t.Errorf("got %v, want close code 1003", err)
	}
	eventually(t, "the session ends", func() bool { return n.active() == 0 })
}

func TestPings(t *testing.T) {
	n := newNode(t, func(c *Config, _ *gateway.Config) { c.PingInterval = 20 * time.Millisecond })
	grant := n.open(vm(t), `"mode":"websocket"`)
	pings := make(chan struct{}, 100)
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "ws://"+n.addr+"/v3/connect/?token="+grant.Token, &websocket.DialOptions{
		OnPingReceived: func(context.Context, []byte) bool {
			select {
			case pings <- struct{}{}:
			default:
			}
			return true
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	_ = ws.CloseRead(ctx) // answers pings
	for range 3 {
		select {
		case <-pings:
		case <-ctx.Done():
			t.Fatal("no ping came")
		}
	}
	if n.active() != 1 {
		t.Error("a peer that answers was dropped")
	}
}

func TestADeadPeerIsDropped(t *testing.T) {
	t.Parallel()
	n := newNode(t, func(c *Config, _ *gateway.Config) { c.PingInterval = 50 * time.Millisecond })
	grant := n.open(vm(t), `"mode":"websocket"`)
	ctx, cancel := context.WithTimeout(t.Context(), 6*pongTime)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "ws://"+n.addr+"/v3/connect/?token="+grant.Token, &websocket.DialOptions{
		OnPingReceived: func(context.Context, []byte) bool { return false },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	began := time.Now()
	_, _, err = ws.Read(ctx)
	if took := time.Since(began); err == nil || errors.Is(err, context.DeadlineExceeded) || took < pongTime/2 {
		t.Errorf("got %v after %s, want to be dropped after %s", err, took, pongTime)
	}
	eventually(t, "the log tells why", func() bool { return strings.Contains(n.log.String(), "reason=keepalive_timeout") })
}

func TestAVanishedClientEndsItsSession(t *testing.T) {
	n := newNode(t, nil)
	grant := n.open(vm(t), `"mode":"websocket"`)
	ws := n.attach("/v3/connect/?token="+grant.Token, nil)
	n.echo(ws, "hello")
	_ = ws.CloseNow()
	eventually(t, "the session ends", func() bool { return n.active() == 0 })
}

func TestAStopEndsWebSockets(t *testing.T) {
	n := newNode(t, nil)
	grant := n.open(vm(t), `"mode":"websocket"`)
	ws := n.attach("/v3/connect/?token="+grant.Token, nil)
	n.echo(ws, "hello")
	ended := make(chan error, 1)
	go func() { _, _, err := ws.Read(t.Context()); ended <- err }()
	began := time.Now()
	n.stop()
	if took := time.Since(began); took > soon {
		t.Errorf("stopping took %s", took)
	}
	if err := <-ended; websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("got %v, want close code 1001", err)
	}
}

// Behind its handshake a WebSocket costs the API nothing: neither the goroutine of its
// connection, with what that holds, nor a slot.
func TestNothingOfTheAPIIsLeftOfAWebSocket(t *testing.T) {
	n := newNode(t, nil)
	target := vm(t)
	serving := func() int {
		all := make([]byte, 4<<20)
		return strings.Count(string(all[:runtime.Stack(all, true)]), "net/http.(*conn).serve(")
	}
	n.open(target, `"mode":"websocket"`) // by the connection that is kept for what follows
	before := serving()
	for range 20 {
		conn, reader := n.rawAttach(n.open(target, `"mode":"websocket"`).Token)
		if _, err := io.WriteString(conn, frame(fin|binaryFrame, "hello")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(reader, make([]byte, len("\x82\x05hello"))); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "no goroutine of the server's is left", func() bool { return serving() <= before })
	if n.active() != 20 {
		t.Errorf("got %d active, want 20", n.active())
	}
}

// What was sent with the handshake is the beginning of the stream.
func TestFramesRightBehindTheHandshake(t *testing.T) {
	n := newNode(t, nil)
	grant := n.open(vm(t), `"mode":"websocket"`)
	conn := n.dial()
	fmt.Fprintf(conn, "GET /v3/connect/?token=%s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n%s", grant.Token, n.addr, frame(fin|binaryFrame, strings.Repeat("x", 20000)))
	reader := bufio.NewReader(conn)
	if resp, err := http.ReadResponse(reader, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %v %v, want 101", resp, err)
	}
	var got bytes.Buffer
	for bytes.Count(got.Bytes(), []byte("x")) < 20000 { // headers have none
		b, err := reader.ReadByte()
		if err != nil {
			t.Fatalf("%v after %d bytes", err, got.Len())
		}
		got.WriteByte(b)
	}
}
