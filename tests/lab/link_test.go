package lab

import (
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// carrier tells whether the host believes to be connected.
func carrier(t *testing.T, h *Host) bool {
	t.Helper()
	out, err := h.Run(t.Context(), exec.Command("ip", "-brief", "link", "show", "eth0"))
	return err == nil && !strings.Contains(out, "NO-CARRIER")
}

func TestCutHostNotices(t *testing.T) {
	n := New(t)
	echo, h := echoHost(t, n), n.Host("client", "10.99.0.10/24")
	if err := h.Cut(); err != nil {
		t.Fatal(err)
	}
	if carrier(t, h) {
		t.Error("got a link, want none")
	}
	if err := h.Mend(); err != nil {
		t.Fatal(err)
	}
	if err := echoes(dial(t, h, echo.Addr())); err != nil {
		t.Errorf("mended: got %v, want an echo", err)
	}
}

func TestLinkComesBackWithItsAddresses(t *testing.T) {
	n := New(t)
	echo, h := echoHost(t, n), n.Host("client", "10.99.0.10/24", "fd99::10/64")
	if err := h.RemoveLink(); err != nil {
		t.Fatal(err)
	}
	if out, err := h.Run(t.Context(), exec.Command("ip", "link", "show", "eth0")); err == nil {
		t.Errorf("got %s, want no interface", out)
	}
	if err := h.AddLink(); err != nil {
		t.Fatal(err)
	}
	for _, a := range echo.Addrs() {
		if a.Is6() && !IPv6() {
			continue
		}
		if err := echoes(dial(t, h, a)); err != nil {
			t.Errorf("%s: got %v, want an echo", a, err)
		}
	}
}

func TestMutedHostLosesOneProtocol(t *testing.T) {
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("nft is not installed")
	}
	n := New(t)
	echo, h := echoHost(t, n), n.Host("client", "10.99.0.10/24")
	for _, tt := range []struct {
		match  string
		passes bool
	}{{"ip protocol 112", true}, {"tcp dport 7", false}} {
		if err := h.Mute("ip6 nexthdr 112", tt.match); err != nil {
			t.Fatal(err)
		}
		c, err := h.Dial(netip.Addr{}, netip.AddrPortFrom(echo.Addr(), 7), 200*time.Millisecond)
		if err == nil {
			_ = c.Close()
		}
		if (err == nil) != tt.passes {
			t.Errorf("without %s: got %v, want that only without tcp", tt.match, err)
		}
		if err := h.Unmute(); err != nil {
			t.Fatal(err)
		}
	}
	if err := echoes(dial(t, h, echo.Addr())); err != nil {
		t.Errorf("not muted any more: got %v, want an echo", err)
	}
}

// A gateway has a leg in each of two networks; what happens to one is not felt by the other.
func TestHostInTwoNetworks(t *testing.T) {
	outside, inside := New(t), New(t)
	gate := outside.Host("gate", "10.99.0.1/24")
	leg := inside.Join(gate, "10.98.0.1/24")
	for network, addr := range map[*Network]string{outside: "10.99.0.10/24", inside: "10.98.0.10/24"} {
		l, err := gate.Listen(netip.AddrPortFrom(map[*Network]*Host{outside: gate, inside: leg}[network].Addr(), 7).String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		dial(t, network.Host("neighbour", addr), netip.MustParseAddrPort(l.Addr().String()).Addr())
	}
	if err := leg.Cut(); err != nil {
		t.Fatal(err)
	}
	if !carrier(t, gate) {
		t.Error("got no link outside, want only the one inside to be cut")
	}
	out, err := gate.Run(t.Context(), exec.Command("ip", "-brief", "link", "show", "eth1"))
	if err != nil || !strings.Contains(out, "NO-CARRIER") && !strings.Contains(out, "DOWN") {
		t.Errorf("got %q and %v inside, want no link", out, err)
	}
}
