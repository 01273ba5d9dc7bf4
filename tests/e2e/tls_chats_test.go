//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

// chats are connections to an echoing VM that exchange data all the time, and look
// at every byte.
type chats struct {
	stop  chan struct{}
	all   sync.WaitGroup
	lines []*chat
}

type chat struct {
	name   string
	conn   net.Conn
	rounds atomic.Int64
	err    atomic.Pointer[error]
}

func newChats(t *testing.T) *chats {
	t.Helper()
	c := &chats{stop: make(chan struct{})}
	t.Cleanup(func() {
		c.end()
		for _, l := range c.lines {
			_ = l.conn.Close()
		}
	})
	return c
}

// add has one more connection talk.
func (c *chats) add(name string, conn net.Conn) {
	l := &chat{name: name, conn: conn}
	c.lines = append(c.lines, l)
	number := len(c.lines)
	c.all.Go(func() {
		if err := l.talk(c.stop, number); err != nil {
			err = fmt.Errorf("%s %d, round %d: %w", l.name, number, l.rounds.Load(), err)
			l.err.Store(&err)
		}
	})
}

// chatPause is between two rounds of a connection; chatPart is the most that one
// sends in a round.
const chatPause, chatPart = 50 * time.Millisecond, 4096

// talk sends a stream of its own in parts, each after the former has come back,
// until stop is closed.
func (l *chat) talk(stop <-chan struct{}, number int) error {
	source := rand.NewChaCha8([32]byte{2, byte(number), byte(number >> 8)})
	tick := time.NewTicker(chatPause)
	defer tick.Stop()
	want, got := make([]byte, chatPart), make([]byte, chatPart)
	for {
		_, _ = source.Read(want)
		n := 1 + int(want[0])*(chatPart-1)/255
		_ = l.conn.SetDeadline(time.Now().Add(patience))
		if _, err := l.conn.Write(want[:n]); err != nil {
			return err
		}
		if _, err := io.ReadFull(l.conn, got[:n]); err != nil {
			return err
		}
		if !bytes.Equal(got[:n], want[:n]) {
			return fmt.Errorf("other bytes came back than were sent")
		}
		l.rounds.Add(1)
		select {
		case <-stop:
			return nil
		case <-tick.C:
		}
	}
}

// goOn waits until every connection has exchanged more, and reports those that
// have ended.
func (c *chats) goOn(t *testing.T, what string) {
	t.Helper()
	before := make([]int64, len(c.lines))
	for i, l := range c.lines {
		before[i] = l.rounds.Load()
	}
	stuck := 0
	eventually(t, what+": every connection goes on", func() bool {
		stuck = 0
		for i, l := range c.lines {
			if l.err.Load() == nil && l.rounds.Load() < before[i]+2 {
				stuck++
			}
		}
		return stuck == 0
	})
	c.report(t, what)
}

// report tells of connections that have ended or carried wrong bytes.
func (c *chats) report(t *testing.T, what string) {
	t.Helper()
	ended := 0
	for _, l := range c.lines {
		if err := l.err.Load(); err != nil {
			if ended++; ended <= 3 {
				t.Errorf("%s: got %v, want it to go on", what, *err)
			}
		}
	}
	if ended > 0 {
		t.Fatalf("%s: got %d of %d connections ended, want none", what, ended, len(c.lines))
	}
}

// end has all stop after the round they are at.
func (c *chats) end() {
	select {
	case <-c.stop:
	default:
		close(c.stop)
	}
	c.all.Wait()
}

// rounds is how often a part has come back, on all connections together.
func (c *chats) rounds() (n int64) {
	for _, l := range c.lines {
		n += l.rounds.Load()
	}
	return n
}

// carrier opens WebSockets to a VM by the API of a node.
type carrier struct {
	host   *lab.Host
	at     netip.AddrPort
	client *node.Client // opens them
	trust  *tls.Config  // nil: without TLS
	vm     netip.AddrPort
}

// dial opens one for a user.
func (c carrier) dial(t *testing.T, user string) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tunnel, err := c.client.Open(ctx, node.OpenRequest{
		VMAddress: c.vm.Addr().String(), VMPort: int(c.vm.Port()), Mode: "websocket", User: user,
	})
	if err != nil {
		t.Fatal(err)
	}
	scheme := "wss://"
	if c.trust == nil {
		scheme = "ws://"
	}
	transport := &http.Transport{DialContext: c.host.DialContext, DisableKeepAlives: true, TLSClientConfig: c.trust}
	ws, _, err := websocket.Dial(ctx, scheme+c.at.String()+"/v3/connect/", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, Subprotocols: []string{"binary", "vdi.token." + tunnel.Token},
	})
	if err != nil {
		t.Fatal(err)
	}
	return websocket.NetConn(context.Background(), ws, websocket.MessageBinary)
}
