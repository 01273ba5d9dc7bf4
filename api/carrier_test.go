package api

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"vdi-gateway/gateway"
)

// handshake has a valid key; more headers are "Name: value".
func (n *node) handshake(path string, headers ...string) answer {
	n.t.Helper()
	conn := n.dial()
	lines := append([]string{
		"GET " + path + " HTTP/1.1", "Connection: keep-alive, Upgrade", "Upgrade: WebSocket",
	}, headers...)
	text := strings.Join(lines, "\r\n") + "\r\n"
	for name, value := range map[string]string{
		"Host": n.addr, "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
	} {
		if !strings.Contains(text, "\n"+name+":") {
			text += name + ": " + value + "\r\n"
		}
	}
	if _, err := io.WriteString(conn, text+"\r\n"); err != nil {
		n.t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		n.t.Fatal(err)
	}
	defer resp.Body.Close()
	got := answer{t: n.t, status: resp.StatusCode, header: resp.Header}
	if got.status != http.StatusSwitchingProtocols {
		got.body, _ = io.ReadAll(resp.Body)
	}
	return got
}

// attach opens a WebSocket that must succeed.
func (n *node) attach(path string, protocols []string) *websocket.Conn {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), soon)
	defer cancel()
	ws, resp, err := websocket.Dial(ctx, "ws://"+n.addr+path, &websocket.DialOptions{Subprotocols: protocols})
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

func TestTokenCarriages(t *testing.T) {
	n := newNode(t, nil)
	target := vm(t)
	for _, tt := range []struct {
		name    string
		path    string // TOKEN stands for the token
		headers []string
		answers string // the subprotocol
		status  int
	}{
		{"in the query", "/v3/connect/?token=TOKEN", nil, "", 101},
		{"without the slash", "/v3/connect?token=TOKEN", nil, "", 101},
		{"the last of the query", "/v3/connect/?token=x&token=TOKEN", nil, "", 101},
		{"not the last of the query", "/v3/connect/?token=TOKEN&token=x", nil, "", 401},
		{"subprotocol", "/v3/connect/", []string{"Sec-WebSocket-Protocol: binary, vdi.token.TOKEN"}, "binary", 101},
		{"subprotocol first, no blank", "/v3/connect/", []string{"Sec-WebSocket-Protocol: vdi.token.TOKEN,binary"}, "binary", 101},
		{"subprotocol alone", "/v3/connect/", []string{"Sec-WebSocket-Protocol: vdi.token.TOKEN"}, "", 101},
		{"many blanks", "/v3/connect/", []string{"Sec-WebSocket-Protocol: base64 ,   binary,  vdi.token.TOKEN  "}, "binary", 101},
		{"two headers", "/v3/connect/", []string{"Sec-WebSocket-Protocol: binary", "Sec-WebSocket-Protocol: vdi.token.TOKEN"}, "binary", 101},
		{"subprotocol wins", "/v3/connect/?token=x", []string{"Sec-WebSocket-Protocol: vdi.token.TOKEN"}, "", 101},
		{"subprotocol wins, wrong", "/v3/connect/?token=TOKEN", []string{"Sec-WebSocket-Protocol: vdi.token.x"}, "", 401},
		{"an empty subprotocol token", "/v3/connect/?token=TOKEN", []string{"Sec-WebSocket-Protocol: vdi.token."}, "", 101},
		{"base64, binary", "/v3/connect/?token=TOKEN", []string{"Sec-WebSocket-Protocol: base64, binary"}, "binary", 101},
		{"base64 alone", "/v3/connect/?token=TOKEN", []string{"Sec-WebSocket-Protocol: base64"}, "", 101},
		{"a malformed cookie", "/v3/connect/?token=TOKEN", []string{"Cookie: ?=!; token=x"}, "", 101},
		{"none", "/v3/connect/", nil, "", 401},
		{"none, but a key", "/v3/connect/", []string{"X-API-Key: " + cliKey}, "", 401},
		{"empty", "/v3/connect/?token=", nil, "", 401},
		{"unknown", "/v3/connect/?token=unknown", nil, "", 401},
		{"a key is no token", "/v3/connect/?token=" + cliKey, nil, "", 401},
		{"a novel", "/v3/connect/?token=" + strings.Repeat("x", 5000), nil, "", 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			grant := n.open(target, `"mode":"websocket"`)
			for i, h := range tt.headers {
				tt.headers[i] = strings.ReplaceAll(h, "TOKEN", grant.Token)
			}
			got := n.handshake(strings.ReplaceAll(tt.path, "TOKEN", grant.Token), tt.headers...)
			if got.status != tt.status {
				t.Fatalf("got %d %s, want %d", got.status, got.body, tt.status)
			}
			if answered := got.header.Get("Sec-WebSocket-Protocol"); answered != tt.answers {
				t.Errorf("got subprotocol %q, want %q", answered, tt.answers)
			}
			if tt.status == 401 {
				got.is(401, "UNAUTHORIZED")
			}
		})
	}
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

func TestAttachRefusals(t *testing.T) {
	n := newNode(t, nil)
	target := vm(t)
	grant := n.open(target, `"mode":"websocket"`)
	ws := n.attach("/v3/connect/?token="+grant.Token, nil)
	n.handshake("/v3/connect/?token="+grant.Token).is(409, "GRANT_USED")
	n.echo(ws, "the first stays")

	port := n.open(target) // of this address, so it may attach as well
	n.echo(n.attach("/v3/connect/?token="+port.Token, nil), "hello")

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var gone grantAnswer
	n.cli("POST", "/v3/open_connection/", fmt.Sprintf(`{"vm_address":"127.0.0.1","vm_port":%d,"mode":"websocket"}`,
		l.Addr().(*net.TCPAddr).Port)).into(201, &gone)
	_ = l.Close()
	for range 2 { // given back each time
		n.handshake("/v3/connect/?token="+gone.Token).is(502, "VM_UNREACHABLE")
	}
}

func TestWithoutAnUpgrade(t *testing.T) {
	n := newNode(t, nil)
	grant := n.open(vm(t), `"mode":"websocket"`)
	for _, path := range []string{"/v3/connect/", "/v3/connect", "/v3/connect/?token=" + grant.Token} {
		n.call("GET", path, "").is(401, "UNAUTHORIZED")
		n.call("GET", path, "", "X-API-Key: wrong").is(401, "UNAUTHORIZED")
		n.api("GET", path, "").is(403, "FORBIDDEN")
		got := n.cli("GET", path, "")
		got.is(426, "UPGRADE_REQUIRED")
		if got.header.Get("Upgrade") != "websocket" {
			t.Errorf("got Upgrade %q, want websocket", got.header.Get("Upgrade"))
		}
	}
	n.attach("/v3/connect/?token="+grant.Token, nil) // was not spent
}

func TestMalformedUpgrades(t *testing.T) {
	n := newNode(t, nil)
	grant := n.open(vm(t), `"mode":"websocket"`)
	for name, header := range map[string]string{
		"version 8":      "Sec-WebSocket-Version: 8",
		"no version":     "Sec-WebSocket-Version: ",
		"a short key":    "Sec-WebSocket-Key: AAAA",
		"a key of noise": "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!==",
		"no key":         "Sec-WebSocket-Key: ",
		"two keys":       "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
	} {
		t.Run(name, func(t *testing.T) {
			got := n.handshake("/v3/connect/?token="+grant.Token, header)
			got.is(400, "BAD_REQUEST")
			if strings.HasSuffix(name, "version 8") && got.header.Get("Sec-WebSocket-Version") != "13" {
				t.Errorf("got %v, want the version to use", got.header)
			}
		})
	}
	n.attach("/v3/connect/?token="+grant.Token, nil) // was not spent
}

func TestOrigins(t *testing.T) {
	n := newNode(t, nil)
	target := vm(t)
	for _, tt := range []struct {
		name, host, origin string
		allowed            bool
	}{
		{"none: not a browser", "gw.example.com:8000", "-", true},
		{"its own", "gw.example.com:8000", "http://gw.example.com:8000", true},
		{"in capitals", "gw.example.com:8000", "http://GW.example.com:8000", true},
		{"the port of the scheme, left out", "gw.example.com:80", "http://gw.example.com", true},
		{"the port of the scheme, said", "gw.example.com", "http://gw.example.com:80", true},
		{"IPv6", "[2001:db8::1]:6080", "http://[2001:db8::1]:6080", true},
		{"another IPv6", "[2001:db8::1]:6080", "http://[2001:db8::2]:6080", false},
		{"foreign", "gw.example.com:8000", "http://evil.example.com:8000", false},
		{"foreign, with our name inside", "gw.example.com:8000", "http://gw.example.com:8000.evil.example", false},
		{"our name as user", "gw.example.com:8000", "http://gw.example.com:8000@evil.example", false},
		{"another port", "gw.example.com:8000", "http://gw.example.com:8001", false},
		{"another scheme", "gw.example.com:8000", "https://gw.example.com:8000", false},
		{"https on the same host without ports", "gw.example.com", "https://gw.example.com", false},
		{"blank", "gw.example.com:8000", "", false},
		{"null", "gw.example.com:8000", "null", false},
		{"garbage", "gw.example.com:8000", "::::", false},
		{"no scheme", "gw.example.com:8000", "gw.example.com:8000", false},
		{"a path", "gw.example.com:8000", "http://gw.example.com:8000/x", false},
		{"two", "gw.example.com:8000", "http://gw.example.com:8000\r\nOrigin: http://evil.example", false},
		{"a forwarded scheme is not believed", "gw.example.com", "https://gw.example.com\r\nX-Forwarded-Proto: https", false},
		{"a forwarded host is not believed", "gw.example.com", "http://evil.example\r\nX-Forwarded-Host: evil.example", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			grant := n.open(target, `"mode":"websocket"`)
			headers := []string{"Host: " + tt.host}
			if tt.origin != "-" {
				headers = append(headers, "Origin: "+tt.origin)
			}
			got := n.handshake("/v3/connect/?token="+grant.Token, headers...)
			if tt.allowed != (got.status == 101) {
				t.Fatalf("got %d %s, allowed should be %t", got.status, got.body, tt.allowed)
			}
			if !tt.allowed {
				got.is(403, "FORBIDDEN")
			}
		})
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
	if _, _, err := ws.Read(ctx); err == nil {
		t.Error("a frame came instead of the end")
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
	began := time.Now()
	n.stop()
	if took := time.Since(began); took > soon {
		t.Errorf("stopping took %s", took)
	}
	if _, _, err := ws.Read(t.Context()); err == nil {
		t.Error("a frame came instead of the end")
	}
}

// FuzzCarriedToken feeds the parser of the token's carriages: what it finds is
// in the request, and a subprotocol wins.
func FuzzCarriedToken(f *testing.F) {
	f.Add("token=abc", "binary, vdi.token.xyz")
	f.Add("token=a&token=b", "")
	f.Add("token=%zz;token=x", "vdi.token.,  vdi.token.q ,,")
	f.Fuzz(func(t *testing.T, query, protocols string) {
		r := &http.Request{Header: http.Header{"Sec-Websocket-Protocol": {protocols}}}
		r.URL = mustURL(query)
		token := string(carriedToken(r))
		inQuery := false
		for _, v := range r.URL.Query()["token"] {
			inQuery = inQuery || v == token
		}
		offered := token != "" && strings.Contains(protocols, tokenPrefix+token)
		if token != "" && !inQuery && !offered {
			t.Errorf("%q came from nowhere: %q %q", token, query, protocols)
		}
		r.Header.Set("Sec-WebSocket-Protocol", protocols+", vdi.token.last")
		if got := carriedToken(r); got != "last" {
			t.Errorf("got %q of %q, want the last subprotocol", got.Reveal(), protocols)
		}
		if strings.Contains(maskedQuery("token=verysecret&"+query), "verysecret") && !strings.Contains(query, "verysecret") {
			t.Errorf("the token shows in %q", maskedQuery("token=verysecret&"+query))
		}
	})
}

func mustURL(query string) *url.URL { return &url.URL{Path: "/v3/connect/", RawQuery: query} }
