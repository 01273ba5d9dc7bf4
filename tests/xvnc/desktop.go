package xvnc

import (
	"fmt"
	"image"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Desktop is a real Xtigervnc.
type Desktop struct {
	Addr    netip.AddrPort // of VNC
	Display string         // of X
	Size    image.Point
	on      Place
}

// StartDesktop starts Xtigervnc with the pattern as its background. The arguments say how
// it is entered.
func StartDesktop(t testing.TB, on Place, addr netip.AddrPort, depth int, args ...string) Desktop {
	t.Helper()
	Need(t, "xsetroot")
	d := Desktop{Addr: addr, Size: image.Pt(643, 481), on: on}
	d.Display = StartX(t, on, "Xtigervnc", append([]string{
		"-rfbport", fmt.Sprint(addr.Port()), "-geometry", fmt.Sprintf("%dx%d", d.Size.X, d.Size.Y),
		"-depth", fmt.Sprint(depth), "-br", "-desktop", "a real server",
	}, args...)...)
	d.Paint(t, "#ff8040", "#0040c0")
	return d
}

// Paint draws the pattern in two colours; StartDesktop's are those that are compared with.
func (d Desktop) Paint(t testing.TB, fore, back string) {
	t.Helper()
	Do(t, d.on, exec.Command(Need(t, "xsetroot"), "-display", d.Display, "-bitmap", writePattern(t), "-fg", fore, "-bg", back)) //nolint:gosec,noctx // ours; Do has a limit
}

// Password are the arguments for VncAuth and types like it.
func Password(t testing.TB, password string) []string {
	return []string{"-PasswordFile", PasswordFile(t, password)}
}

// Certificate are the arguments for the types with TLS, from a folder of Authority.Store.
func Certificate(dir string) []string {
	return []string{"-X509Cert", filepath.Join(dir, "server-cert.pem"), "-X509Key", filepath.Join(dir, "server-key.pem")}
}

// Events runs the X client that prints the events of its window, which is large; they are
// in its output.
func (d Desktop) Events(t testing.TB) *Process {
	t.Helper()
	cmd := exec.Command(Need(t, "xev"), "-geometry", "600x400+0+0") //nolint:gosec,noctx // it ends with the test
	cmd.Env = append(os.Environ(), "DISPLAY="+d.Display)
	return Start(t, d.on, cmd)
}
