package xvnc

import (
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// firstDisplay is the port of VNC's display 0.
const firstDisplay = 5900

// Capture looks at a desktop with gvnccapture and returns the picture. It must be let in.
func Capture(t testing.TB, on Place, l Login) image.Image {
	t.Helper()
	img, said, err := TryCapture(t, on, l)
	if err != nil {
		t.Fatalf("gvnccapture: %v\n%s", err, said)
	}
	return img
}

// TryCapture is Capture for who may be sent away; said is all that gvnccapture said.
func TryCapture(t testing.TB, on Place, l Login) (img image.Image, said string, err error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "seen.png")
	args := []string{Need(t, "gvnccapture"), fmt.Sprintf("%s:%d", l.Server.Addr(), int(l.Server.Port())-firstDisplay), file}
	if l.CA != "" {
		args = append(trusting(t, l.CA), args...)
	}
	cmd := exec.Command(args[0], args[1:]...) //nolint:gosec,noctx // it is killed in time
	said, err = converse(t, on, cmd, map[string]string{"Username: ": l.User, passwordPrompt: l.Password})
	if err != nil {
		return nil, said, err
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, said, err
	}
	defer func() { _ = f.Close() }()
	img, err = png.Decode(f)
	return img, said, err
}

// systemTrusts is where GnuTLS looks for authorities when a program names none; gtk-vnc
// names only what lies in the user's home.
const systemTrusts = "/etc/ssl/certs/ca-certificates.crt"

// trusting begins a command that runs in a view of the file system of its own, in which the
// system trusts the authority in the file and no other.
func trusting(t testing.TB, file string) []string {
	t.Helper()
	unshare := Need(t, "unshare")
	if out, err := exec.Command(unshare, "-rm", "mount", "--bind", file, systemTrusts).CombinedOutput(); err != nil { //nolint:gosec,noctx // it mounts
		t.Skipf("no file system of its own for a program: %v %s", err, out)
	}
	return []string{unshare, "-rm", "sh", "-c", `mount --bind "$0" ` + systemTrusts + ` && exec "$@"`, file}
}

// converse runs a program on a terminal, which is where gvnccapture asks for passwords, and
// answers its questions.
func converse(t testing.TB, on Place, cmd *exec.Cmd, answers map[string]string) (string, error) {
	t.Helper()
	screen, line := openTerminal(t)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = line, line, line
	if err := on(cmd.Start); err != nil {
		t.Fatal(err)
	}
	_ = line.Close()
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	said := answer(t, screen, answers)
	return said, cmd.Wait()
}

func openTerminal(t testing.TB) (screen, line *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminal: %v", err)
	}
	t.Cleanup(func() { _ = screen.Close() })
	number, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	line, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return screen, line
}

// answer types what a program asks for until it ends, and returns all it said.
func answer(t testing.TB, screen *os.File, answers map[string]string) string {
	t.Helper()
	var said strings.Builder
	buf := make([]byte, 4096)
	for asked := 0; ; {
		n, err := screen.Read(buf)
		said.Write(buf[:n])
		for prompt, reply := range answers {
			if rest := said.String()[asked:]; strings.HasSuffix(rest, prompt) {
				asked += len(rest)
				if prompt == passwordPrompt {
					awaitBlind(t, screen)
				}
				_, _ = io.WriteString(screen, reply+"\n")
			}
		}
		if err != nil { // the other end is closed
			return said.String()
		}
	}
}

// passwordPrompt is answered blindly: the program asks first, and then throws away what was
// typed until it has switched the echo off.
const passwordPrompt = "Password: "

func awaitBlind(t testing.TB, screen *os.File) {
	t.Helper()
	Eventually(t, "the echo is off", func() bool {
		mode, err := unix.IoctlGetTermios(int(screen.Fd()), unix.TCGETS)
		return err != nil || mode.Lflag&unix.ECHO == 0
	})
}
