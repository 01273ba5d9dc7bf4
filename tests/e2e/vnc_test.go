package e2e

import (
	"net/netip"
	"testing"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
	"vdi-gateway/tests/xvnc"
)

// startDesktop starts Xtigervnc on a host and draws the pattern. It asks for
// the password unless that is "".
func startDesktop(t *testing.T, h *lab.Host, addr netip.Addr, depth int, password string) xvnc.Desktop {
	t.Helper()
	security := []string{"-SecurityTypes", "None"}
	if password != "" {
		security = append(xvnc.Password(t, password), "-SecurityTypes", "VncAuth")
	}
	return xvnc.StartDesktop(t, h.Do, netip.AddrPortFrom(addr, 5907), depth, security...)
}

func TestGvnccaptureSeesWhatXtigervncDraws(t *testing.T) {
	p := newPlace(t, node.Config{})
	d := startDesktop(t, p.vmHost, addrOf(vmAddr), 24, "")
	tunnel := open(t, p.node.Client(p.client), d.Addr)
	xvnc.WantPattern(t, xvnc.Capture(t, p.client.Do, xvnc.Login{Server: tunnel.Addr()}), d.Size, xvnc.Exact)
	wantIn(t, closedFor(t, p.node, tunnel), "reason=client_closed")
}
