package peer

import (
	"context"
	"net/netip"
	"os/exec"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vdi-gateway/tests/lab"
)

// eventually waits until something is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !is() {
		select {
		case <-ctx.Done():
			t.Fatalf("not within %s: %s", patience, what)
		case <-time.After(pollEvery):
		}
	}
}

// watched is a host that may have the virtual address, and who has it.
func watched(t *testing.T, n *lab.Network, virtual netip.Addr) (*lab.Host, func(want bool) func() bool) {
	t.Helper()
	if _, err := find("keepalived"); err != nil {
		t.Skip(err)
	}
	host := n.Host("router", "10.99.0.1/24")
	owners, err := n.Owners(virtual)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(owners.Close)
	return host, func(want bool) func() bool {
		return func() bool { return slices.Contains(owners.Now(), host) == want }
	}
}

func TestKeepalivedHasTheAddressUntilItEnds(t *testing.T) {
	virtual := netip.MustParseAddr("10.99.0.99")
	host, has := watched(t, lab.New(t), virtual)
	r, err := Keepalived(host, VRRP{Virtual: virtual, Priority: 254, Interval: 50 * time.Millisecond}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the address is there", has(true))
	if !r.Standby() {
		t.Errorf("it did not say that it waited before: %s", r.Output())
	}
	pids, err := r.Victims()
	if err != nil || len(pids) < 2 {
		t.Errorf("got processes %v and %v, want a parent and its child", pids, err)
	}
	if err := unix.Kill(r.PID(), unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the address is gone", has(false))
}

func TestOriginalServesWhereTheAddressIs(t *testing.T) {
	if _, err := find("haproxy"); err != nil {
		t.Skip(err)
	}
	n := lab.New(t)
	virtual := netip.MustParseAddr("10.99.0.99")
	host, has := watched(t, n, virtual)
	l, err := host.Listen(netip.AddrPortFrom(host.Addr(), OriginalFirst).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	relay, err := OriginalHAProxy(host, virtual, []netip.Addr{host.Addr()}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r, err := OriginalKeepalived(host, virtual, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the address is there", has(true))
	c, err := n.Host("client", "10.99.0.10/24").Dial(netip.Addr{}, netip.AddrPortFrom(virtual, OriginalFirst), patience)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if pids, err := r.With(relay).Family(); err != nil || !slices.Contains(pids, relay.process.PID()) {
		t.Errorf("got processes %v and %v, want HAProxy's %d among them", pids, err, relay.process.PID())
	}
}

// TestGuardSurvives: of a program with a guard only the parent is hit by a fault.
func TestGuardSurvives(t *testing.T) {
	p, err := lab.New(t).Host("router", "10.99.0.1/24").Start(exec.Command("sh", "-c", "sleep 60 & wait"))
	if err != nil {
		t.Fatal(err)
	}
	for _, guarded := range []bool{true, false} {
		r := &Router{process: p, guarded: guarded}
		want := 2
		if guarded {
			want = 1
		}
		eventually(t, "the processes are those that are expected", func() bool {
			pids, err := r.Victims()
			return err == nil && len(pids) == want
		})
	}
}
