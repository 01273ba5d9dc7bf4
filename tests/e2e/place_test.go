package e2e

import (
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

// patience bounds every wait; what is waited for takes a fraction of it.
const patience = 30 * time.Second

// The addresses of the usual network.
const (
	gateAddr   = "10.99.0.1"
	clientAddr = "10.99.0.10"
	secondAddr = "10.99.0.11" // also the client's
	vmAddr     = "10.99.0.20"
	vmAddr6    = "fd99::20"
)

// place is the usual network: a node on the host gate, a client with two
// addresses, a stranger, and a host for VMs.
type place struct {
	net                            *lab.Network
	gate, client, stranger, vmHost *lab.Host
	node                           *node.Node
}

// newPlace starts a node with settings over the usual ones. In the end the
// node has to stop as it should.
func newPlace(t *testing.T, cfg node.Config) *place {
	t.Helper()
	return startPlace(t, cfg, gateAddr+"/24", "fd99::1/64")
}

// newPlace6 is newPlace with a node whose own address is an IPv6 one.
func newPlace6(t *testing.T, cfg node.Config) *place {
	t.Helper()
	if !lab.IPv6() {
		t.Skip("this kernel has no IPv6")
	}
	return startPlace(t, cfg, "fd99::1/64", gateAddr+"/24")
}

func startPlace(t *testing.T, cfg node.Config, gate ...string) *place {
	t.Helper()
	if node.Kernel() {
		need(t, "nft")
	}
	n := lab.New(t)
	p := &place{
		net:      n,
		gate:     n.Host("gate", gate...),
		client:   n.Host("client", clientAddr+"/24", secondAddr+"/24", "fd99::10/64"),
		stranger: n.Host("stranger", "10.99.0.66/24", "fd99::66/64"),
		vmHost:   n.Host("vm", vmAddr+"/24", vmAddr6+"/64"),
	}
	cfg.Binary, cfg.DB = node.Binary(), filepath.Join(t.TempDir(), "settings.db")
	var err error
	if p.node, err = node.Start(p.gate, cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the node's log:\n%s", lastLines(p.node.Log(), 30))
		}
		if err := p.node.Stop(); err != nil {
			t.Errorf("stop the node: got %v, want exit code 0", err)
		}
	})
	return p
}

// open reserves a tunnel for c to a VM.
func open(t *testing.T, c *node.Client, vm netip.AddrPort) node.Tunnel {
	t.Helper()
	tunnel, err := c.Open(t.Context(), node.OpenRequest{VMAddress: vm.Addr().String(), VMPort: int(vm.Port()), Probe: true})
	if err != nil {
		t.Fatalf("open_connection: %v", err)
	}
	return tunnel
}

// enter connects to a tunnel from a host.
func enter(t *testing.T, from *lab.Host, tunnel node.Tunnel) *net.TCPConn {
	t.Helper()
	c, err := from.Dial(addrOf(tunnel.ClientAddr), tunnel.Addr(), patience)
	if err != nil {
		t.Fatalf("connect to the tunnel: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}

// talk opens a session to an echoing VM and uses it.
func talk(t *testing.T, p *place, vm netip.AddrPort) (*net.TCPConn, node.Tunnel) {
	t.Helper()
	tunnel := open(t, p.node.Client(p.client), vm)
	c := enter(t, p.client, tunnel)
	if err := echoes(c); err != nil {
		t.Fatalf("through the tunnel: %v", err)
	}
	return c, tunnel
}

// echoes sends a few bytes and wants them back.
func echoes(c net.Conn) error {
	const text = "are you there?"
	if _, err := io.WriteString(c, text); err != nil {
		return err
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if string(got) != text {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// eventually polls until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	eventuallyWithin(t, patience, what, ok)
}

func eventuallyWithin(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

// closedFor waits for the line of the log that tells the end of a session and
// returns it.
func closedFor(t *testing.T, n *node.Node, tunnel node.Tunnel) (line string) {
	t.Helper()
	return closedWithin(t, patience, n, tunnel)
}

func closedWithin(t *testing.T, limit time.Duration, n *node.Node, tunnel node.Tunnel) (line string) {
	t.Helper()
	eventuallyWithin(t, limit, "the log tells the end of "+tunnel.ID, func() bool {
		for line = range strings.Lines(n.Log()) {
			if strings.Contains(line, "session closed") && strings.Contains(line, tunnel.ID) {
				return true
			}
		}
		return false
	})
	return line
}

// wantIn checks that a line of the log has all of the fields.
func wantIn(t *testing.T, line string, fields ...string) {
	t.Helper()
	for _, f := range fields {
		if !strings.Contains(line+" ", f+" ") {
			t.Errorf("log: got %q, want %s in it", strings.TrimSpace(line), f)
		}
	}
}

func addrOf(text string) netip.Addr {
	a, _ := netip.ParseAddr(text) // invalid: any
	return a
}

func netipPort(addr string, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(addrOf(addr), port)
}

func lastLines(text string, n int) string {
	lines := slices.Collect(strings.Lines(text))
	return strings.Join(lines[max(0, len(lines)-n):], "")
}
