package api

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"vdi-gateway/gateway"
)

func named(g grantAnswer) string {
	return `{"connection_id":"` + g.ConnectionID + `","token":"` + g.Token + `"}`
}

func TestGrantsOfAnotherNode(t *testing.T) {
	c := newCluster(t)
	grant := c.openOn(c.b, vm(t), `"mode":"websocket"`)
	var lease leaseAnswer
	renewed := c.a.cli("POST", "/v3/connect/", named(grant), "X-Request-Id: abc")
	renewed.into(200, &lease)
	if lease.ConnectionID != grant.ConnectionID || renewed.header.Get("X-Request-Id") != "abc" || len(renewed.header.Values("X-Request-Id")) != 1 {
		t.Errorf("got %+v and %v, want the lease of %s and the id of the request", lease, renewed.header, grant.ConnectionID)
	}
	if text := c.b.log.String(); !strings.Contains(text, "request_id=abc") {
		t.Error("the owner's log does not know the request by its id")
	}
	c.a.cli("POST", "/v3/connect/", named(grant), hopHeader+": 2").is(404, "NOT_FOUND") // served here or nowhere
	c.a.cli("POST", "/v3/close_connection/", named(grant)).into(200, &closedAnswer{})
	c.a.cli("POST", "/v3/close_connection/", named(grant)).is(404, "NOT_FOUND") // the owner says so
	c.a.call("POST", "/v3/connect/", named(grant)).is(401, "UNAUTHORIZED")
}

// TestForwardedClientsKeepTheirAddress: a grant of mode port is its client's,
// whichever node he comes to, and nobody else's.
// Another node may take a grant over between the question whose it is and its use.
func TestAGrantThatIsTakenOverMeanwhile(t *testing.T) {
	c := newCluster(t)
	grant := c.openOn(c.b, vm(t))
	// By a node that has not heard of it either.
	c.a.cli("POST", "/v3/connect/", named(grant), hopHeader+": 1").into(200, &leaseAnswer{})
	for _, path := range []string{"/v3/connect/", "/v3/close_connection/"} {
		c.mu.Lock()
		c.late = true
		c.mu.Unlock()
		if got := c.a.cli("POST", path, named(grant)); got.status != 200 {
			t.Errorf("%s: got %d %s, want 200", path, got.status, got.body)
		}
	}
}

func TestForwardedClientsKeepTheirAddress(t *testing.T) {
	c := newCluster(t)
	body := openText(vm(t), `"probe":false`)
	opened := c.b.say(proxyAddr, headerV2(t, "203.0.113.7:40000")+asks("POST", "/v3/open_connection/", cliKey, body))
	grant := answer{t, 201, nil, []byte(opened[strings.Index(opened, "{"):])}
	var g grantAnswer
	grant.into(201, &g)
	c.mu.Lock()
	c.owners[g.ConnectionID] = addrB
	c.mu.Unlock()
	renew := asks("POST", "/v3/connect/", cliKey, named(g))
	for client, want := range map[string]string{"203.0.113.7": "200", "203.0.113.8": "403", "2001:db8::7": "403"} {
		from := net.JoinHostPort(client, "40001")
		if got := c.a.say(proxyAddr, headerV2(t, from)+renew); !strings.HasPrefix(got, "HTTP/1.1 "+want) {
			t.Errorf("%s: got %q, want %s", client, got, want)
		}
	}
}

func TestWebSocketOfAnotherNode(t *testing.T) {
	c := newCluster(t)
	grant := c.openOn(c.b, vm(t), `"mode":"websocket"`)
	ws := c.a.attach("/v3/connect/?token="+grant.Token, []string{"binary"})
	if ws.Subprotocol() != "binary" {
		t.Errorf("got subprotocol %q, want binary", ws.Subprotocol())
	}
	stream := websocket.NetConn(t.Context(), ws, websocket.MessageBinary)
	data := make([]byte, 8<<20)
	_, _ = rand.Read(data)
	sent := make(chan error, 1)
	go func() {
		_, err := stream.Write(data)
		sent <- err
	}()
	got := sha256.New()
	if _, err := io.CopyN(got, stream, int64(len(data))); err != nil || <-sent != nil {
		t.Fatal(err)
	}
	if [32]byte(got.Sum(nil)) != sha256.Sum256(data) {
		t.Error("the bytes came back changed")
	}
	if c.a.active() != 0 || c.b.active() != 1 {
		t.Errorf("got %d and %d active, want the session on its owner alone", c.a.active(), c.b.active())
	}
	c.a.handshake("/v3/connect/?token="+grant.Token).is(409, "GRANT_USED")
	if err := ws.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("the goodbye is not answered: %v", err)
	}
	eventually(t, "the session ends with its WebSocket", func() bool { return c.b.active() == 0 })
}

// TestEarlyFramesAreForwarded: those sent right behind the handshake.
func TestEarlyFramesAreForwarded(t *testing.T) {
	c := newCluster(t)
	grant := c.openOn(c.b, vm(t), `"mode":"websocket"`)
	wire := c.a.dialFrom(proxyAddr)
	fmt.Fprint(wire, headerV2(t, "203.0.113.7:40000"))
	conn := c.a.spoken(wire)
	fmt.Fprintf(conn, "GET /v3/connect/?token=%s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n%s",
		grant.Token, frame(fin|binaryFrame, "hello"))
	expectEcho(t, bufio.NewReader(conn), "hello")
}

// TestEndsOfForwardedWebSockets: however one side ends, the other hears of it.
func TestEndsOfForwardedWebSockets(t *testing.T) {
	c := newCluster(t)
	target := vm(t)
	attach := func() (net.Conn, *bufio.Reader) {
		c.a.t = t
		return c.a.rawAttach(c.openOn(c.b, target, `"mode":"websocket"`).Token)
	}
	t.Run("the client vanishes", func(t *testing.T) {
		conn, _ := attach()
		eventually(t, "a session", func() bool { return c.b.active() == 1 })
		_ = wireOf(conn).SetLinger(0)
		_ = conn.Close()
		eventually(t, "its end", func() bool { return c.b.active() == 0 })
	})
	t.Run("the dispatcher ends it", func(t *testing.T) {
		_, reader := attach()
		c.a.api("POST", "/v3/disconnect/", `{"all":true}`).into(200, &disconnectAnswer{})
		if got, err := io.ReadAll(reader); err != nil || codeOf(got) != 1011 {
			t.Errorf("got % x %v, want close code 1011 and the end", got, err)
		}
	})
	t.Run("the node between stops", func(t *testing.T) {
		_, reader := attach()
		c.a.stop()
		if _, err := io.ReadAll(reader); isTimeout(err) {
			t.Error("the client hears nothing")
		}
		eventually(t, "the session's end", func() bool { return c.b.active() == 0 })
	})
}

// TestNodesOfTwoMinds: each takes the other for the owner, and the client still
// gets an answer.
func TestNodesOfTwoMinds(t *testing.T) {
	c := newCluster(t)
	grant := c.a.open(vm(t), `"mode":"websocket"`)
	c.mu.Lock()
	c.confused = true
	c.mu.Unlock()
	c.a.cli("POST", "/v3/connect/", named(grant)).into(200, &leaseAnswer{}) // there and back
	grant.ConnectionID = "3b241101-e2bb-4255-8caf-4136c566a962"
	c.a.cli("POST", "/v3/connect/", named(grant)).is(404, "NOT_FOUND") // and no further
}

func TestOwnerDoesNotAnswer(t *testing.T) {
	c := newCluster(t)
	grant := c.openOn(c.b, vm(t), `"mode":"websocket"`)
	c.b.stop()
	got := c.a.cli("POST", "/v3/connect/", named(grant))
	got.is(503, "OVERLOADED")
	if got.header.Get("Retry-After") != "1" {
		t.Errorf("got Retry-After %q, want 1", got.header.Get("Retry-After"))
	}
	c.a.handshake("/v3/connect/?token="+grant.Token).is(503, "OVERLOADED")
}

// standIn is a Cluster whose other node is not one.
type standIn struct {
	Cluster
	at netip.AddrPort
}

func (s standIn) Forward(netip.Addr) netip.AddrPort { return s.at }

// TestClientLeavesBeforeTheAnswer: the owner gives up dialling for nobody.
func TestClientLeavesBeforeTheAnswer(t *testing.T) {
	started, left := make(chan struct{}), make(chan struct{})
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // stands in for a node that takes its time
		defer close(left)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		close(started)
		_ = conn.SetDeadline(time.Now().Add(soon))
		_, _ = io.Copy(io.Discard, conn)
	}()
	n := newNodeWith(t, func(d *Deps) {
		d.Cluster = standIn{nil, netip.MustParseAddrPort(l.Addr().String())}
		d.Elsewhere = func(gateway.ConnectionID, gateway.Secret) netip.Addr { return addrB }
	}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-started; cancel() }()
	began := time.Now()
	if _, _, err := websocket.Dial(ctx, "ws://"+n.addr+"/v3/connect/?token=x", nil); err == nil {
		t.Error("attached to nobody")
	}
	<-left
	if took := time.Since(began); took >= soon {
		t.Errorf("the owner waited %s for nobody", took)
	}
}
