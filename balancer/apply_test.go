package balancer

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestApplyRefuses(t *testing.T) {
	good := Config{
		Enabled: true, Node: addr("10.0.0.1"), Virtual: addr("10.0.0.9"), Nodes: []netip.Addr{addr("10.0.0.1")}, APIPort: 8000,
		Fronts: []Front{{Name: "a", Port: 1, Backend: 2}, {Name: "b", Port: 3, Backend: 2}},
	}
	for name, spoil := range map[string]func(*Config){
		"0 nodes":     func(c *Config) { c.Nodes = nil },
		"not among":   func(c *Config) { c.Node = addr("10.0.0.2") },
		"port of the": func(c *Config) { c.APIPort = 0 },
		"algorithm":   func(c *Config) { c.Algorithm = "best" },
		"masks":       func(c *Config) { c.MaskV4 = 33 },
		`front "b"`:   func(c *Config) { c.Fronts[1].Port = 1 },
		`front "a"`:   func(c *Config) { c.Fronts[0].Backend = 0 },
	} {
		c := good.filled()
		spoil(&c)
		b := New(Deps{Listen: func(netip.AddrPort, Door) (Listener, error) {
			t.Errorf("%s: something was bound", name)
			return nowhere{}, nil
		}})
		if err := b.Apply(c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want an error with %q", err, name)
		}
	}
}

// A port that is taken: nothing changes, and what was bound already is freed.
func TestApplyFails(t *testing.T) {
	c := newCluster(t, 1)
	was := c.cfg
	taken, err := net.Listen("tcp", "127.77.0.100:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free := freePort(t, "127.77.0.100")
	c.cfg.Fronts = append(slices.Clone(was.Fronts),
		Front{Name: "new", Port: free, Backend: c.cfg.APIPort},
		Front{Name: "taken", Port: taken.Addr().(*net.TCPAddr).AddrPort().Port(), Backend: c.cfg.APIPort})
	if err := c.Apply(c.cfg); !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "taken") {
		t.Errorf("got %v, want address in use and the front", err)
	}
	again, err := net.Listen("tcp", netip.AddrPortFrom(c.cfg.Virtual, free).String())
	if err != nil {
		t.Fatalf("the port of the other new front is still bound: %v", err)
	}
	_ = again.Close()
	mustDial(t, "127.77.1.1", was.listen(was.Fronts[0])).echo(t, "hello")
	if got := c.Stats().Fronts; len(got) != 1 {
		t.Errorf("got %d fronts, want the one there was", len(got))
	}
}

// V need not be on this host, and the listener notices dead clients.
func TestFreebind(t *testing.T) {
	relay := newRelay(t)
	var door Listener
	b := New(Deps{Header: header, Listen: func(a netip.AddrPort, d Door) (l Listener, err error) {
		door, err = relay.listen(a, d)
		return door, err
	}})
	c := &cluster{Balancer: b, cfg: Config{
		Enabled: true, Node: addr("127.77.0.1"), Virtual: addr("192.0.2.1"), Nodes: []netip.Addr{addr("127.77.0.1")},
		APIPort: freePort(t, "127.77.0.1"), Fronts: []Front{{Name: "api", Port: freePort(t, "127.77.0.1"), Backend: 1}},
		Timeouts: Timeouts{Keepalive: 90e9, User: 45e9},
	}}
	c.run(t)
	if err := b.Apply(c.cfg); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("without freebind: got %v, want %v", err, syscall.EADDRNOTAVAIL)
	}
	c.cfg.Freebind = true
	c.apply(t)
	option := func(level, name, want int) {
		t.Helper()
		err := door.Control(func(fd int) error {
			got, err := unix.GetsockoptInt(fd, level, name)
			if got != want {
				t.Errorf("option %d is %d, want %d", name, got, want)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	option(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 90)
	option(unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 45000)
	c.cfg.Timeouts = Timeouts{User: 7e9}
	c.apply(t)
	option(unix.SOL_SOCKET, unix.SO_KEEPALIVE, 0)
	option(unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 7000)
}

// Ports change places and nodes come and go while clients are there: nobody is
// lost, whoever is there stays.
func TestApplyChurn(t *testing.T) {
	c := newCluster(t, 3)
	there := mustDial(t, "127.77.1.1", c.front())
	second := freePort(t, "127.77.0.100")
	c.cfg.Fronts = append(slices.Clone(c.cfg.Fronts), Front{Name: "service", Port: second, Backend: c.cfg.APIPort})
	c.apply(t)
	all := c.cfg.Nodes
	to := c.front()
	var over atomic.Bool
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for !over.Load() {
				call, err := dial("127.77.1.2", to)
				if err != nil {
					t.Errorf("a client was lost: %v", err)
					return
				}
				_ = call.Close()
			}
		})
	}
	for round := range 60 {
		f := slices.Clone(c.cfg.Fronts)
		f[0].Port, f[1].Port = f[1].Port, f[0].Port
		c.cfg.Fronts = f
		c.cfg.Nodes = all[:1+round%3]
		c.cfg.Algorithm = []Algorithm{LeastConn, RoundRobin, Rendezvous}[round%3]
		c.apply(t)
		c.apply(t) // again: nothing happens
		there.echo(t, "still there")
	}
	over.Store(true)
	clients.Wait()
	c.cfg.Enabled = false
	c.apply(t)
	if call, err := dial("127.77.1.2", to); err == nil {
		t.Errorf("a balancer that is not enabled led to %s", call.node())
	}
	there.echo(t, "still there")
	if s := c.Stats(); len(s.Fronts)+len(s.Nodes) != 0 || !c.Ready() {
		t.Errorf("got %+v, want neither fronts nor nodes, and ready", s)
	}
}
