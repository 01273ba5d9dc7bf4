package xvnc

import (
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Screen is a display without a monitor, on which a viewer shows its window.
type Screen struct {
	Display string
	file    string // where its pixels are
	on      Place
}

// StartScreen starts one.
func StartScreen(t testing.TB, on Place) Screen {
	t.Helper()
	dir := t.TempDir()
	display := StartX(t, on, "Xvfb", "-screen", "0", "1024x768x24", "-fbdir", dir, "-nocursor")
	return Screen{display, filepath.Join(dir, "Xvfb_screen0"), on}
}

// Picture reads the pixels: a file of xwd, whose header tells at these places
// how long it is, how many colours follow it, and how wide and long a line is.
func (s Screen) Picture(t testing.TB) image.Image {
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

// Shows tells whether a whole desktop of that size is on the screen.
func (s Screen) Shows(t testing.TB, size image.Point, slack int) bool {
	t.Helper()
	_, ok := Find(s.Picture(t), size, slack)
	return ok
}

// Find tells where in a picture a whole desktop of that size is.
func Find(img image.Image, size image.Point, slack int) (at image.Point, ok bool) {
	for y := range img.Bounds().Dy() - size.Y {
		for x := range img.Bounds().Dx() - size.X {
			if at = image.Pt(x, y); corner(img, at, slack) {
				if wrong, _ := wrongPixels(img, at, size, slack); wrong == 0 {
					return at, true
				}
			}
		}
	}
	return image.Point{}, false
}

// corner tells whether the first tile of a desktop may begin at a place.
func corner(img image.Image, at image.Point, slack int) bool {
	wrong, _ := wrongPixels(img, at, image.Pt(tileWidth, 1), slack)
	return wrong == 0
}

// Login is what a viewer is told.
type Login struct {
	Server         netip.AddrPort
	User, Password string
	CA             string // file with the authority that vouches for the server; "": the system's
}

// View starts TigerVNC's viewer on the screen.
func (s Screen) View(t testing.TB, l Login, args ...string) *Process {
	t.Helper()
	return View(t, s.on, s.Display, l, args...)
}

// View starts TigerVNC's viewer on a display. It shows nobody a question: what it is not
// told ends it, or leaves it waiting.
func View(t testing.TB, on Place, display string, l Login, args ...string) *Process {
	t.Helper()
	server := net.JoinHostPort(l.Server.Addr().String(), "") // two colons: a port, not a display
	args = append([]string{"-display", display, "-MenuKey", "", "-AlertOnFatalError=0"}, args...)
	if l.CA != "" {
		args = append(args, "-X509CA", l.CA)
	}
	cmd := exec.Command(Need(t, "xtigervncviewer"), append(args, fmt.Sprintf("%s:%d", server, l.Server.Port()))...) //nolint:gosec,noctx // it ends with the test
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "VNC_USERNAME="+l.User, "VNC_PASSWORD="+l.Password)
	return Start(t, on, cmd)
}
