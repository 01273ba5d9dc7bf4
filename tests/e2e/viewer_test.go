package e2e

import (
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

// screen is a display without a monitor on which a viewer shows its window.
type screen struct {
	display string
	file    string // where its pixels are
}

func startScreen(t *testing.T, h *lab.Host) screen {
	t.Helper()
	dir := t.TempDir()
	display := startX(t, h, "Xvfb", "-screen", "0", "1024x768x24", "-fbdir", dir, "-nocursor")
	return screen{display, filepath.Join(dir, "Xvfb_screen0")}
}

// picture reads the pixels: a file of xwd, whose header tells at these places
// how long it is, how many colours follow it, and how wide and long a line is.
func (s screen) picture(t *testing.T) image.Image {
	t.Helper()
	const sizeAt, widthAt, heightAt, lineAt, coloursAt, colour = 0, 4 * 4, 5 * 4, 12 * 4, 19 * 4, 12
	text, err := os.ReadFile(s.file)
	if err != nil || len(text) < 100 {
		t.Fatalf("read the screen: %d bytes and %v", len(text), err)
	}
	at := func(place int) int { return int(binary.BigEndian.Uint32(text[place:])) }
	pixels := text[at(sizeAt)+at(coloursAt)*colour:]
	img := image.NewRGBA(image.Rect(0, 0, at(widthAt), at(heightAt)))
	for y := range at(heightAt) {
		for x := range at(widthAt) {
			p := pixels[y*at(lineAt)+4*x:]
			img.SetRGBA(x, y, color.RGBA{p[2], p[1], p[0], 0xff})
		}
	}
	return img
}

// shows tells whether the whole desktop is on the screen, wherever that is.
func (s screen) shows(t *testing.T, d desktop, slack int) bool {
	t.Helper()
	img := s.picture(t)
	for y := range img.Bounds().Dy() - d.height {
		for x := range img.Bounds().Dx() - d.width {
			if corner(img, x, y, slack) {
				if wrong, _ := wrongPixels(img, image.Pt(x, y), d, slack); wrong == 0 {
					return true
				}
			}
		}
	}
	return false
}

// corner tells whether the first tile of a desktop may begin at a place.
func corner(img image.Image, x, y, slack int) bool {
	wrong, _ := wrongPixels(img, image.Pt(x, y), desktop{width: tileWidth, height: 1}, slack)
	return wrong == 0
}

// view looks at a tunnel with TigerVNC's viewer until it shows the desktop.
func view(t *testing.T, h *lab.Host, tunnel node.Tunnel, d desktop, slack int) {
	t.Helper()
	program := need(t, "xtigervncviewer")
	s := startScreen(t, h)
	server := net.JoinHostPort(tunnel.Address, "") // two colons: a port, not a display
	cmd := exec.Command(program, "-display", s.display, "-MenuKey", "", fmt.Sprintf("%s:%d", server, tunnel.Port))
	if d.passwords != "" {
		cmd.Args = append(cmd.Args, "-passwd", d.passwords)
	}
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	p, err := h.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the viewer says:\n%s", p.Output())
		}
		_ = p.Stop()
	})
	eventually(t, "the viewer shows what was drawn", func() bool { return s.shows(t, d, slack) })
	_ = p.Stop()
}

func TestTigerVNCViewerShowsADesktopWithPassword(t *testing.T) {
	need(t, "xtigervncviewer")
	p := newPlace(t, node.Config{})
	d := startDesktop(t, p.vmHost, addrOf(vmAddr), 24, "secret12")
	tunnel := open(t, p.node.Client(p.client), d.addr)
	view(t, p.client, tunnel, d, exact)
	wantIn(t, closedFor(t, p.node, tunnel), "reason=client_closed")
}
