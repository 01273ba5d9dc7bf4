package balancer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// cluster is a balancer in front of servers on loopback addresses.
type cluster struct {
	*Balancer
	servers []*server
	cfg     Config
	sticky  *memory
	halt    func() // ends Run and waits for it
}

// memory is a Sticky of one node.
type memory struct {
	mu   sync.Mutex
	at   map[netip.Prefix]netip.Addr
	puts int
}

func (m *memory) Get(p netip.Prefix) (netip.Addr, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, ok := m.at[p]
	return a, ok
}

func (m *memory) Put(p netip.Prefix, a netip.Addr, _ time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at[p] = a
	m.puts++
}

// freePort is a port that is free on addr.
func freePort(t *testing.T, addr string) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(addr, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort().Port()
}

// newCluster runs n servers and a balancer with one sticky front, which is ready.
func newCluster(t *testing.T, n int) *cluster {
	t.Helper()
	c := &cluster{sticky: &memory{at: map[netip.Prefix]netip.Addr{}}}
	api := freePort(t, "127.77.0.1")
	c.cfg = Config{
		Enabled: true, Node: addr("127.77.0.1"), Virtual: addr("127.77.0.100"), APIPort: api,
		Fronts:    []Front{{Name: "api", Port: freePort(t, "127.77.0.100"), Backend: api, Sticky: true}},
		StickyTTL: time.Hour, MaskV4: 32, MaskV6: 64,
		Timeouts: Timeouts{Dial: patience, HalfClose: patience, Keepalive: 30 * time.Second, User: 45 * time.Second},
	}
	for a := c.cfg.Node; len(c.servers) < n; a = a.Next() {
		c.servers = append(c.servers, newServer(t, netip.AddrPortFrom(a, api)))
		c.cfg.Nodes = append(c.cfg.Nodes, a)
	}
	c.Balancer = New(Deps{Listen: newRelay(t).listen, Header: header, Sticky: c.sticky})
	c.run(t)
	c.apply(t)
	await(t, "ready", c.Ready)
	return c
}

func (c *cluster) run(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	c.halt = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: got %v, want nil", err)
		}
	})
	t.Cleanup(c.halt)
}

func (c *cluster) apply(t *testing.T) {
	t.Helper()
	if err := c.Apply(c.cfg); err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) front() netip.AddrPort { return c.cfg.listen(c.cfg.Fronts[0]) }

// await polls for what has to come.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("not %s after %v", what, patience)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// call is a client's connection that a server has answered.
type call struct {
	net.Conn
	in     *bufio.Reader
	answer []string // server, whom it saw, and the header: client, local
}

func (c *call) node() netip.Addr { return addr(c.answer[0]) }

// dial goes through a front as a client from that address.
func dial(from string, to netip.AddrPort) (*call, error) {
	dialer := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := dialer.Dial("tcp", to.String())
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	c := &call{Conn: conn, in: bufio.NewReader(conn)}
	line, err := c.in.ReadString('\n')
	if c.answer = strings.Fields(line); err == nil && len(c.answer) != 4 {
		err = fmt.Errorf("got %q, want four words", line)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return c, nil
}

func mustDial(t *testing.T, from string, to netip.AddrPort) *call {
	t.Helper()
	c, err := dial(from, to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func (c *call) echo(t *testing.T, text string) {
	t.Helper()
	_, _ = c.Write([]byte(text + "\n"))
	if got, err := c.in.ReadString('\n'); got != text+"\n" {
		t.Errorf("got %q (%v), want %q", got, err, text)
	}
}

func TestConnection(t *testing.T) {
	c := newCluster(t, 3)
	call := mustDial(t, "127.77.1.1", c.front())
	call.echo(t, "hello")
	want := []string{call.answer[0], "127.77.0.1", call.LocalAddr().String(), c.front().String()}
	if !slices.Equal(call.answer, want) {
		t.Errorf("got %q, want %q", call.answer, want)
	}
	again := mustDial(t, "127.77.1.1", c.front())
	if again.node() != call.node() {
		t.Errorf("the client came to %s, then to %s", call.node(), again.node())
	}
	_, _ = call.Close(), again.Close()
	await(t, "counted", func() bool {
		s := c.Stats().Fronts[0]
		i := slices.IndexFunc(s.Nodes, func(n BackendStats) bool { return n.Node == call.node() })
		return s.Total == 2 && s.Nodes[i].Total == 2 && s.Nodes[i].Current == 0 && s.Nodes[i].Up == 6
	})
	if c.sticky.puts != 1 {
		t.Errorf("the entry was written %d times, want once", c.sticky.puts)
	}
}

func TestClientsAreSpread(t *testing.T) {
	c := newCluster(t, 3)
	count := map[netip.Addr]int{}
	for i := range 30 {
		call := mustDial(t, fmt.Sprintf("127.77.2.%d", i+1), c.front())
		count[call.node()]++
	}
	for _, n := range c.cfg.Nodes {
		if count[n] < 9 || count[n] > 11 { // they may have come up a tenth of the ramp apart
			t.Errorf("%s got %d of 30 clients, want about ten", n, count[n])
		}
	}
}

func TestClientsTakeTurns(t *testing.T) {
	c := newCluster(t, 3)
	c.cfg.Algorithm = RoundRobin
	c.apply(t)
	var got []netip.Addr
	for i := range 6 {
		got = append(got, mustDial(t, fmt.Sprintf("127.77.2.%d", i+1), c.front()).node())
	}
	if want := slices.Concat(c.cfg.Nodes, c.cfg.Nodes); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestRoomForSome(t *testing.T) {
	c := newCluster(t, 1)
	c.cfg.MaxConnections = 2
	c.apply(t)
	first := mustDial(t, "127.77.1.1", c.front())
	mustDial(t, "127.77.1.1", c.front())
	if _, err := dial("127.77.1.1", c.front()); err == nil {
		t.Error("a third client was served, want a reset")
	}
	_ = first.Close()
	await(t, "served again", func() bool {
		call, err := dial("127.77.1.1", c.front())
		if err == nil {
			_ = call.Close()
		}
		return err == nil
	})
	if s := c.Stats().Fronts[0]; s.Refused == 0 {
		t.Error("nobody was counted as refused")
	}
}

func TestStopped(t *testing.T) {
	c := newCluster(t, 1)
	c.halt()
	if _, err := dial("127.77.1.1", c.front()); err == nil {
		t.Error("a client was served after the end")
	}
	if c.cfg.MaxConnections++; !errors.Is(c.Apply(c.cfg), errStopped) || c.Ready() {
		t.Error("a stopped balancer takes another configuration or is ready")
	}
}
