package e2e

import (
	"bufio"
	"context"
	"fmt"
	"image"
	"image/png"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
	"vdi-gateway/tests/xvnc"
)

// firstDisplay is the port of VNC's display 0.
const firstDisplay = 5900

// desktop is a real Xtigervnc with the pattern as its background.
type desktop struct {
	addr          netip.AddrPort
	width, height int
	passwords     string // file with its password; "" for none
}

// startDesktop starts Xtigervnc on a host and draws the pattern. It asks for
// the password unless that is "".
func startDesktop(t *testing.T, h *lab.Host, addr netip.Addr, depth int, password string) desktop {
	t.Helper()
	drawer := need(t, "xsetroot")
	d := desktop{addr: netip.AddrPortFrom(addr, 5907), width: 643, height: 481}
	security := []string{"-SecurityTypes", "None"}
	if password != "" {
		d.passwords = xvnc.PasswordFile(t, password)
		security = []string{"-SecurityTypes", "VncAuth", "-PasswordFile", d.passwords}
	}
	display := startX(t, h, "Xtigervnc", append(security, "-rfbport", fmt.Sprint(d.addr.Port()),
		"-geometry", fmt.Sprintf("%dx%d", d.width, d.height), "-depth", fmt.Sprint(depth), "-br", "-desktop", "e2e")...)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	draw := exec.Command(drawer, "-display", display, "-bitmap", writePattern(t), "-fg", "#ff8040", "-bg", "#0040c0")
	if _, err := h.Run(ctx, draw); err != nil {
		t.Fatalf("draw the pattern: %v", err)
	}
	return d
}

// startX starts an X server on a display that is free and returns its name.
func startX(t *testing.T, h *lab.Host, program string, args ...string) (display string) {
	t.Helper()
	numbers, tell, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = numbers.Close() }()
	cmd := exec.Command(need(t, program), append(args, "-displayfd", "3")...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	cmd.ExtraFiles = []*os.File{tell}
	p, err := h.Start(cmd)
	_ = tell.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop() }) // asked to end, it takes its lock file along
	_ = numbers.SetReadDeadline(time.Now().Add(patience))
	number, err := bufio.NewReader(numbers).ReadString('\n')
	if err != nil {
		t.Fatalf("%s did not start: %v: %s", program, err, p.Output())
	}
	return ":" + strings.TrimSpace(number)
}

// capture looks at a tunnel with gvnccapture and returns what it saw.
func capture(t *testing.T, h *lab.Host, tunnel node.Tunnel) image.Image {
	t.Helper()
	file := filepath.Join(t.TempDir(), "seen.png")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.Command(need(t, "gvnccapture"), fmt.Sprintf("%s:%d", tunnel.Address, tunnel.Port-firstDisplay), file)
	if _, err := h.Run(ctx, cmd); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestGvnccaptureSeesWhatXtigervncDraws(t *testing.T) {
	need(t, "gvnccapture")
	p := newPlace(t, node.Config{})
	d := startDesktop(t, p.vmHost, addrOf(vmAddr), 24, "")
	tunnel := open(t, p.node.Client(p.client), d.addr)
	wantPattern(t, capture(t, p.client, tunnel), d, exact)
	wantIn(t, closedFor(t, p.node, tunnel), "reason=client_closed")
}
