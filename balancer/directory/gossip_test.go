package directory

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long tests wait for what takes a second or two.
const patience = 20 * time.Second

// cluster is directories on loopback addresses, with memberlist between them; the
// records take a short way.
type cluster struct {
	t    *testing.T
	port uint16
	mu   sync.Mutex
	all  map[netip.Addr]*member
}

type member struct {
	*Directory
	c    *cluster
	own  netip.Addr
	stop func()
}

func newCluster(t *testing.T) *cluster {
	c := &cluster{t: t, port: freePort(t), all: map[netip.Addr]*member{}}
	t.Cleanup(func() {
		for _, m := range c.all {
			m.stop()
		}
	})
	return c
}

// freePort finds a port that is free on the three addresses.
func freePort(t *testing.T) uint16 {
	t.Helper()
	for range 50 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		own := l.Addr().(*net.TCPAddr).AddrPort()
		l.Close()
		if slices.IndexFunc(loopback(3), func(a netip.Addr) bool { return !isFree(netip.AddrPortFrom(a, own.Port())) }) < 0 {
			return own.Port()
		}
	}
	t.Fatal("no port is free")
	return 0
}

func isFree(a netip.AddrPort) bool {
	wire, err := listen(a, nil, nil)
	if err != nil {
		return false
	}
	return wire.Shutdown() == nil
}

func loopback(n int) []netip.Addr {
	var nodes []netip.Addr
	for i := range n {
		nodes = append(nodes, netip.MustParseAddr("127.0.0."+strconv.Itoa(i+1)))
	}
	return nodes
}

func (c *cluster) config(i int) Config {
	return Config{Node: loopback(3)[i], Peers: loopback(3), Port: c.port, Key: "secret"}
}

func (c *cluster) start(cfg Config) *member {
	c.t.Helper()
	m := &member{c: c, own: cfg.Node}
	log := logrus.New()
	log.SetOutput(c.t.Output())
	m.Directory = New(Deps{Carrier: m, Log: log.WithField("on", m.own)})
	if err := m.Apply(cfg); err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = m.Run(ctx)
	}()
	m.stop = sync.OnceFunc(func() {
		cancel()
		<-ended
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[m.own] = m
	return m
}

// Send is the Carrier.
func (m *member) Send(ctx context.Context, to netip.Addr, b []byte) ([]byte, error) {
	m.c.mu.Lock()
	target := m.c.all[to]
	m.c.mu.Unlock()
	if target == nil {
		return nil, errors.New("not there")
	}
	return target.Receive(ctx, m.own, b)
}

// sees waits until m holds exactly these nodes for alive, and returns how long it
// took.
func (m *member) sees(want ...int) time.Duration {
	m.c.t.Helper()
	start := time.Now()
	for {
		var got []int
		for i, peer := range m.Members() {
			if peer.Alive {
				got = append(got, i)
			}
		}
		switch {
		case slices.Equal(got, want):
			return time.Since(start)
		case time.Since(start) > patience:
			m.c.t.Fatalf("%s: got %v alive, want %v", m.own, got, want)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestMembersComeAndGo(t *testing.T) {
	c := newCluster(t)
	a := c.start(c.config(0))
	a.sees(0)
	b, third := c.start(c.config(1)), c.start(c.config(2))
	t.Logf("three have met after %v", a.sees(0, 1, 2)+b.sees(0, 1, 2)+third.sees(0, 1, 2))

	want := Status{Role: "active", Revision: 3, Connections: 17, Ready: true, Version: "1.2.3"}
	b.SetStatus(want)
	until(t, "the status arrives", func() bool { return a.Members()[1].Status == want })
	if self := b.Members()[1]; !self.Self || !self.Alive || self.Status != want {
		t.Errorf("got %+v of itself", self)
	}
	if err := a.Share(context.Background(), grant("one")); err != nil {
		t.Fatal(err)
	}
	if r, ok := third.Get("grant", "g"); !ok || string(r.Value) != "one" {
		t.Errorf("got %v, want what was shared", r)
	}

	third.stop()
	t.Logf("a node that leaves is known after %v", a.sees(0, 1))
	b.Directory.gossip.(*gossip).ring.wire.Shutdown()
	t.Logf("a node that dies is known after %v", a.sees(0))
	b.stop()
	b = c.start(c.config(1))
	t.Logf("a node is back after %v", a.sees(0, 1)+b.sees(0, 1))
	until(t, "it has the records", func() bool { _, ok := b.Get("grant", "g"); return ok })
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for start := time.Now(); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > patience {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

func TestConfigChangesInPlace(t *testing.T) {
	c := newCluster(t)
	a, b := c.start(c.config(0)), c.start(c.config(1))
	a.sees(0, 1)
	for i, m := range []*member{a, b} {
		cfg := c.config(i)
		cfg.Key, cfg.FormerKeys = "new", []string{"secret"}
		if err := m.Apply(cfg); err != nil {
			t.Fatal(err)
		}
	}
	refused := a.Stats().Packets
	b.SetStatus(Status{Version: "after"})
	until(t, "the new key is spoken", func() bool { return a.Members()[1].Version == "after" })
	if got := a.Stats().Packets; got != refused {
		t.Errorf("got %d packets refused meanwhile, want none", got-refused)
	}
	port := freePort(t)
	for i, m := range []*member{a, b} {
		cfg := c.config(i)
		cfg.Port, cfg.Key = port, "new"
		if err := m.Apply(cfg); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the former port is free", func() bool { return isFree(netip.AddrPortFrom(a.own, c.port)) })
	a.sees(0, 1)
	if err := a.Apply(Config{Node: a.own}); err != nil {
		t.Fatal(err)
	}
	until(t, "a node alone listens no more", func() bool { return isFree(netip.AddrPortFrom(a.own, port)) })
	b.sees(1)
}

func TestApplyRefuses(t *testing.T) {
	c := newCluster(t)
	d := New(Deps{})
	for name, spoil := range map[string]func(*Config){
		"no key":     func(c *Config) { c.Key = "" },
		"no port":    func(c *Config) { c.Port = 0 },
		"no address": func(c *Config) { c.Node = netip.Addr{} },
		"not ours":   func(c *Config) { c.Node = netip.MustParseAddr("192.0.2.1") },
	} {
		cfg := c.config(0)
		spoil(&cfg)
		if err := d.Apply(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if got := d.Members(); len(got) != 1 {
		t.Errorf("got %v, want a node alone", got)
	}
}

func TestStrangersAreRefused(t *testing.T) {
	c := newCluster(t)
	a := c.start(c.config(0))
	own := netip.AddrPortFrom(a.own, c.port).String()
	for name, act := range map[string]func(){
		"garbage from a peer":     func() { speak(t, "udp", "127.0.0.2", own, []byte("garbage")) },
		"an oversized packet":     func() { speak(t, "udp", "127.0.0.2", own, make([]byte, maxPacket+1)) },
		"a packet of a stranger":  func() { speak(t, "udp", "127.0.0.9", own, []byte("garbage")) },
		"a stream of a stranger":  func() { speak(t, "tcp", "127.0.0.9", own, []byte("garbage")) },
		"a stream that is none":   func() { speak(t, "tcp", "127.0.0.2", own, []byte("garbage")) },
		"a stream without an end": func() { speak(t, "tcp", "127.0.0.2", own, bytes.Repeat([]byte{10, 0, 255, 255, 255}, 2*maxStream/5)) },
	} {
		before := a.Stats().Packets
		act()
		until(t, name+" is counted", func() bool { return a.Stats().Packets > before })
	}
	cfg := c.config(1)
	cfg.Key = "another"
	b := c.start(cfg)
	before := a.Stats().Packets
	until(t, "another key is counted", func() bool { return a.Stats().Packets > before })
	a.sees(0)
	b.sees(1)
	for from, m := range map[string][]byte{"127.0.0.9": samples()[0].encode(), "127.0.0.2": []byte("garbage")} {
		before := a.Stats().Messages
		if _, err := a.Receive(context.Background(), netip.MustParseAddr(from), m); err == nil || a.Stats().Messages != before+1 {
			t.Errorf("a message from %s: got %v, want it refused and counted", from, err)
		}
	}
}

// speak sends bytes and waits until a stream has been closed.
func speak(t *testing.T, network, from, to string, b []byte) {
	t.Helper()
	local := net.Addr(&net.UDPAddr{IP: net.ParseIP(from)})
	if network == "tcp" {
		local = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	conn, err := (&net.Dialer{LocalAddr: local}).Dial(network, to)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = conn.Write(b)
	if network == "tcp" {
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		for err = nil; err == nil; {
			_, err = conn.Read(make([]byte, 512))
		}
		if errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a stream of %d bytes from %s stays open", len(b), from)
		}
	}
}
