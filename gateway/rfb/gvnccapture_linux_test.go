package rfb

import (
	"fmt"
	"image"
	"image/png"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openTerminal makes a terminal: gvnccapture asks for passwords nowhere else.
func openTerminal(t *testing.T) (screen, line *os.File) {
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
func answer(t *testing.T, screen *os.File, answers map[string]string) string {
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

func awaitBlind(t *testing.T, screen *os.File) {
	t.Helper()
	await(t, "the echo is off", func() bool {
		mode, err := unix.IoctlGetTermios(int(screen.Fd()), unix.TCGETS)
		return err != nil || mode.Lflag&unix.ECHO == 0
	})
}

// systemTrusts is where GnuTLS looks for authorities when a program names none.
const systemTrusts = "/etc/ssl/certs/ca-certificates.crt"

// trusting runs a command in a view of the file system of its own, in which the system
// trusts the authority in the file and no other.
func trusting(t *testing.T, file, program string, args ...string) *exec.Cmd {
	t.Helper()
	unshare := need(t, "unshare")
	if out, err := exec.Command(unshare, "-rm", "mount", "--bind", file, systemTrusts).CombinedOutput(); err != nil {
		t.Skipf("no file system of its own for a program: %v %s", err, out)
	}
	return exec.Command(unshare, append([]string{
		"-rm", "sh", "-c", `mount --bind "$0" ` + systemTrusts + ` && exec "$@"`, file, program,
	}, args...)...)
}

func TestGvnccapture(t *testing.T) {
	program := need(t, "gvnccapture")
	ca := newAuthority(t, "the gateway's authority")
	trusted := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(trusted, []byte(ca.pem), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range viewerCases(t, ca) {
		t.Run(tc.name, func(t *testing.T) {
			b := &bridge{terms: tc.terms}
			startBridge(t, b)
			file := filepath.Join(t.TempDir(), "out.png")
			display := "127.0.0.1:" + strconv.Itoa(port(t, b.addr)-5900)
			cmd := exec.Command(program, display, file)
			if tc.terms.Type.Encrypted() {
				cmd = trusting(t, trusted, program, display, file)
			}
			said, err := capture(t, cmd, tc)
			tc.judge(t, b)
			if (err == nil) != (tc.kind == "") {
				t.Errorf("gvnccapture: %v\n%s", err, said)
			}
			if err == nil {
				wantPicture(t, file)
			}
		})
	}
}

// capture runs gvnccapture and answers its questions.
func capture(t *testing.T, cmd *exec.Cmd, tc viewerCase) (string, error) {
	t.Helper()
	screen, line := openTerminal(t)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = line, line, line
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = line.Close()
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	said := answer(t, screen, map[string]string{"Username: ": tc.user, passwordPrompt: tc.password})
	return said, cmd.Wait()
}

func port(t *testing.T, addr string) int {
	t.Helper()
	_, text, _ := net.SplitHostPort(addr)
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func wantPicture(t *testing.T, file string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := img.Bounds(), image.Rect(0, 0, 800, 600); got != want {
		t.Errorf("got a picture of %v, want %v", got, want)
	}
}
