package gateway

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// newDispatcher says its name and then echoes.
func newDispatcher(t testing.TB, name string) *machine {
	t.Helper()
	return newMachine(t, func(c *net.TCPConn) {
		_, _ = io.WriteString(c, name)
		_, _ = io.Copy(c, c)
		_ = c.CloseWrite()
	})
}

func servingAt(addr netip.Addr, dispatchers ...string) func(*Config) {
	return func(c *Config) {
		c.Service = Service{Listen: netip.AddrPortFrom(addr, 23000), Dispatchers: dispatchers}
	}
}

// dispatched connects to the service tunnel and tells who answered.
func (r *rig) dispatched(from string) (c *net.TCPConn, name string) {
	r.t.Helper()
	c, err := dialFrom(from, r.cfg.Service.Listen, patience)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	b := make([]byte, 1)
	if _, err := io.ReadFull(c, b); err != nil {
		r.t.Fatalf("no dispatcher answered: %v", err)
	}
	return c, string(b)
}

func (r *rig) dispatchers(t testing.TB, want ...bool) {
	t.Helper()
	var got []bool
	eventually(t, fmt.Sprintf("health %v of the dispatchers", want), func() bool {
		got = nil
		for _, d := range r.Health().Dispatchers {
			got = append(got, d.OK)
		}
		return cmp.Equal(got, want)
	})
}

func TestServiceTunnelTakesTurnsAndSurvivesADispatcher(t *testing.T) {
	a, b := newDispatcher(t, "a"), newDispatcher(t, "b")
	r := newRig(t, func(c *Config) { servingAt(c.Node, a.addr.String(), b.addr.String())(c) })
	r.dispatchers(t, true, true)
	seen := map[string]int{}
	var first *net.TCPConn
	for range 4 {
		c, name := r.dispatched("127.0.0.7")
		says(t, c, "hello through "+name)
		seen[name]++
		if name == "b" {
			first = c
		}
	}
	if seen["a"] != 2 || seen["b"] != 2 {
		t.Errorf("got %v, want both in turn", seen)
	}
	a.listener.Close()
	for range 4 { // at once, not after the next check
		if c, name := r.dispatched("127.0.0.7"); name != "b" {
			t.Errorf("got %s, want b", name)
		} else {
			says(t, c, "hello")
		}
	}
	r.dispatchers(t, false, true)
	says(t, first, "undisturbed")
	again, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(a.addr))
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	r.dispatchers(t, true, true)
}

func TestServiceTunnelWithoutAnyDispatcherResets(t *testing.T) {
	a := newDispatcher(t, "a")
	r := newRig(t, func(c *Config) { servingAt(c.Node, a.addr.String())(c) })
	a.listener.Close()
	c, err := dialFrom("127.0.0.7", r.cfg.Service.Listen, patience)
	if err == nil {
		defer c.Close()
		err = endsWithin(t, c, patience)
	}
	if !isReset(err) {
		t.Errorf("got %v, want a reset", err)
	}
}

func TestServiceTunnelMovesAndEnds(t *testing.T) {
	a := newDispatcher(t, "a")
	r := newRig(t, func(c *Config) { servingAt(c.Node, a.addr.String())(c) })
	old := r.cfg.Service.Listen
	c, _ := r.dispatched("127.0.0.7")
	says(t, c, "hello")
	move := func(c *Config) { c.Service.Listen = netip.AddrPortFrom(r.addr, 23001) }
	if err := r.change(move); err != nil {
		t.Fatal(err)
	}
	shut(t, "127.0.0.7", old)
	moved, _ := r.dispatched("127.0.0.7")
	says(t, c, "still here")
	if err := r.change(func(c *Config) { c.Service.Dispatchers = nil }); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*net.TCPConn{c, moved} {
		if err := endsWithin(t, c, prompt); !isReset(err) {
			t.Errorf("got %v when the service ended, want a reset", err)
		}
	}
	shut(t, "127.0.0.7", r.cfg.Service.Listen)
	if got := r.Health().Dispatchers; len(got) != 0 {
		t.Errorf("got %v, want no dispatchers", got)
	}
}

// A change of the dispatchers is for who comes next.
func TestServiceTunnelChangesDispatchers(t *testing.T) {
	a, b := newDispatcher(t, "a"), newDispatcher(t, "b")
	r := newRig(t, func(c *Config) { servingAt(c.Node, a.addr.String())(c) })
	c, _ := r.dispatched("127.0.0.7")
	if err := r.change(servingAt(r.addr, b.addr.String())); err != nil {
		t.Fatal(err)
	}
	if _, name := r.dispatched("127.0.0.7"); name != "b" {
		t.Errorf("got %s, want b", name)
	}
	says(t, c, "still here")
}

func TestServiceTunnelIsBounded(t *testing.T) {
	a := newDispatcher(t, "a")
	r := newRig(t, func(c *Config) {
		servingAt(c.Node, a.addr.String())(c)
		c.Limits.Connections = 3
	})
	var open []*net.TCPConn
	for range 3 {
		c, _ := r.dispatched("127.0.0.7")
		open = append(open, c)
	}
	c, err := dialFrom("127.0.0.7", r.cfg.Service.Listen, patience)
	if err == nil {
		defer c.Close()
		err = endsWithin(t, c, prompt)
	}
	if !isReset(err) {
		t.Errorf("got %v over the limit, want a reset", err)
	}
	open[0].Close()
	eventually(t, "room again", func() bool {
		c, err := dialFrom("127.0.0.7", r.cfg.Service.Listen, patience)
		if err != nil {
			return false
		}
		defer c.Close()
		_, err = io.ReadFull(c, make([]byte, 1))
		return err == nil
	})
}

// A client whose dispatcher is being dialled when the service is switched off
// does not wait for the end of that.
func TestServiceTunnelEndsWhatIsBeingSetUp(t *testing.T) {
	to := deaf(t)
	r := newRig(t, func(c *Config) { servingAt(c.Node, to.String())(c) })
	c, err := dialFrom("127.0.0.7", r.cfg.Service.Listen, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	eventually(t, "the dial", func() bool { return r.engine.Len() == 1 })
	if err := r.change(func(c *Config) { c.Service = Service{} }); err != nil {
		t.Fatal(err)
	}
	if err := endsWithin(t, c, prompt); !isReset(err) {
		t.Errorf("got %v, want a reset", err)
	}
	eventually(t, "nothing relayed", func() bool { return r.engine.Len() == 0 })
}
