package e2e

import (
	"image"
	"testing"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
	"vdi-gateway/tests/xvnc"
)

// view looks at a tunnel with TigerVNC's viewer until it shows the desktop.
func view(t *testing.T, h *lab.Host, tunnel node.Tunnel, password string, size image.Point, slack int) {
	t.Helper()
	s := xvnc.StartScreen(t, h.Do)
	viewer := s.View(t, xvnc.Login{Server: tunnel.Addr(), Password: password})
	eventually(t, "the viewer shows what was drawn", func() bool { return s.Shows(t, size, slack) })
	viewer.Stop()
}

func TestTigerVNCViewerShowsADesktopWithPassword(t *testing.T) {
	p := newPlace(t, node.Config{})
	d := startDesktop(t, p.vmHost, addrOf(vmAddr), 24, "secret12")
	tunnel := open(t, p.node.Client(p.client), d.Addr)
	view(t, p.client, tunnel, "secret12", d.Size, xvnc.Exact)
	wantIn(t, closedFor(t, p.node, tunnel), "reason=client_closed")
}
