package gateway

import (
	"net/netip"
	"testing"
	"time"

	"vdi-gateway/gateway/relay"
)

// trusting are networks whose word counts.
func trusting(texts ...string) func(*Config) {
	return func(c *Config) {
		c.Trusted = nil
		for _, text := range texts {
			c.Trusted = append(c.Trusted, netip.MustParsePrefix(text))
		}
	}
}

func TestFiltersLetTrustedNetworksPass(t *testing.T) {
	needFilters(t)
	for network, addrs := range map[string]struct{ in, out string }{
		"127.7.7.7/32":  {"127.7.7.7", "127.7.7.6"},
		"127.7.0.0/16":  {"127.7.255.1", "127.8.0.1"},
		"127.7.8.0/21":  {"127.7.15.254", "127.7.16.1"},
		"127.128.0.0/9": {"127.129.3.4", "127.127.3.4"},
	} {
		t.Run(network, func(t *testing.T) {
			addr := netip.AddrPortFrom(loopbackOf(t), 21000)
			p := openPort(t, addr, "127.3.0.1")
			if err := p.rebind(bindings{addrs: []netip.Addr{addr.Addr()}, trusted: []netip.Prefix{netip.MustParsePrefix(network)}}); err != nil {
				t.Fatal(err)
			}
			p.settleAll()
			through(t, addrs.in, addr)
			through(t, "127.3.0.1", addr)
			shut(t, addrs.out, addr)
			if err := p.rebind(bindings{addrs: []netip.Addr{addr.Addr()}}); err != nil {
				t.Fatal(err)
			}
			p.settleAll()
			shut(t, addrs.in, addr)
		})
	}
}

// Who is trusted speaks for the client of his header; nobody else does.
func TestWhoseWordCounts(t *testing.T) {
	r, vm := newRig(t, trusting("127.0.0.40/30")), newEcho(t)
	g := r.granted("127.0.0.5", vm.addr, channels(4))
	to := netip.AddrPortFrom(r.addr, g.Port)
	header := func(client string) string {
		return string(relay.Header(netip.AddrPortFrom(netip.MustParseAddr(client), 40000), to, 0))
	}
	proxy, err := dialFrom("127.0.0.41", to, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	if _, err := proxy.Write([]byte(header("127.0.0.5"))); err != nil {
		t.Fatal(err)
	}
	says(t, proxy, "hello") // the header is not the VM's
	for name, first := range map[string]string{"a stranger's": header("127.0.0.6"), "none": "hello, without any"} {
		c, err := dialFrom("127.0.0.42", to, patience)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write([]byte(first)) // it may be closed
		if err := endsWithin(t, c, patience); err == nil {
			t.Errorf("%s: ended in order, want a reset", name)
		}
		c.Close()
	}
	// The client himself is not trusted: what he sends is for the VM.
	own := r.enter(g)
	says(t, own, header("127.0.0.9"))
	turnedAway(t, "127.0.0.9", to)
	// And trust can be withdrawn.
	if err := r.change(trusting()); err != nil {
		t.Fatal(err)
	}
	if c, err := dialFrom("127.0.0.41", to, 100*time.Millisecond); err == nil {
		_, _ = c.Write([]byte(header("127.0.0.5")))
		if err := endsWithin(t, c, patience); err == nil {
			t.Error("a proxy that is trusted no more was let in")
		}
		c.Close()
	}
}
