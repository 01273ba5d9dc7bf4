package console

import (
	"bufio"
	"bytes"
	"context"
	"crypto/des"
	"fmt"
	"image/color"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"vdi-gateway/tests/browser"
)

// patience is what other programs may take.
const patience = 20 * time.Second

func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("%s is not installed: tests/install.sh", program)
	}
	return path
}

// xserver is a real Xtigervnc.
type xserver struct {
	addr    string // of VNC
	display string
}

// startX starts Xtigervnc on ports that are free; password "" is none.
func startX(t *testing.T, password string) xserver {
	t.Helper()
	program := need(t, "Xtigervnc")
	numbers, tell, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = numbers.Close() }()
	port := freePort(t)
	args := []string{"-displayfd", "3", "-rfbport", fmt.Sprint(port), "-localhost", "-geometry", "800x600", "-depth", "24", "-br", "-desktop", "Xtigervnc"}
	if password == "" {
		args = append(args, "-SecurityTypes", "None")
	} else {
		args = append(args, "-SecurityTypes", "VncAuth", "-PasswordFile", passwordFile(t, password))
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	cmd.ExtraFiles = []*os.File{tell}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = tell.Close()
	// Asked to end, it takes its lock file and socket along.
	t.Cleanup(func() { _, _ = cmd.Process.Signal(syscall.SIGTERM), cmd.Wait() })
	_ = numbers.SetReadDeadline(time.Now().Add(patience))
	number, err := bufio.NewReader(numbers).ReadString('\n')
	if err != nil {
		t.Fatalf("Xtigervnc did not start: %v", err)
	}
	return xserver{addr: fmt.Sprintf("127.0.0.1:%d", port), display: ":" + strings.TrimSpace(number)}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// passwordFile is what vncpasswd writes: eight bytes, made unreadable with DES and
// a key that every VNC server knows.
func passwordFile(t *testing.T, password string) string {
	t.Helper()
	c, err := des.NewCipher([]byte{0xe8, 0x4a, 0xd6, 0x60, 0xc4, 0x72, 0x1a, 0xe0})
	if err != nil {
		t.Fatal(err)
	}
	var block [8]byte
	copy(block[:], password)
	c.Encrypt(block[:], block[:])
	file := filepath.Join(t.TempDir(), "passwd")
	if err := os.WriteFile(file, block[:], 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// run runs an X client until it ends, with text on its input, and returns its output.
func (x xserver) run(t *testing.T, input, program string, args ...string) string {
	t.Helper()
	path := need(t, program)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "DISPLAY="+x.display)
	cmd.Stdin = strings.NewReader(input)
	// A file, not a pipe: xclip leaves a child behind that would hold it open.
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	cmd.Stdout = out
	if err := cmd.Run(); err != nil {
		return ""
	}
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// watcher is what an X client has printed so far.
type watcher struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *watcher) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *watcher) has(words string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Contains(w.text.String(), words)
}

// xev runs the X client that prints the events of its window, which is large.
func (x xserver) xev(t *testing.T) *watcher {
	t.Helper()
	cmd := exec.Command(need(t, "xev"), "-geometry", "700x500+0+0")
	cmd.Env = append(os.Environ(), "DISPLAY="+x.display)
	w := &watcher{}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _, _ = io.Copy(w, out) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-done; _ = cmd.Wait() })
	browser.Eventually(t, "xev has its window", func() bool { return w.has("MapNotify") })
	return w
}

func newX(t *testing.T, password string) (xserver, *gateway, *browser.Browser) {
	t.Helper()
	x := startX(t, password)
	g := newGateway(t, x.addr)
	g.answer.Desktop = ""
	return x, g, browser.New(t)
}

func TestXtigervncIsSeen(t *testing.T) {
	x, g, b := newX(t, "")
	x.run(t, "", "xsetroot", "-solid", "#3366cc")
	live(t, b, g)
	browser.Eventually(t, "its colour", func() bool {
		r, g, b, _ := picture(t, b).At(400, 300).RGBA()
		return color.RGBA{uint8(r), uint8(g), uint8(b), 255} == color.RGBA{0x33, 0x66, 0xcc, 0xff}
	})
	x.run(t, "", "xsetroot", "-solid", "#cc6633")
	browser.Eventually(t, "another one", func() bool {
		r, _, _, _ := picture(t, b).At(400, 300).RGBA()
		return uint8(r) == 0xcc
	})
	// The gateway had no name for it, so the desktop's own is used.
	if got := b.Eval(t, "document.title"); !strings.Contains(got, "Xtigervnc") {
		t.Errorf("title: got %q, want the desktop's name", got)
	}
	for _, c := range b.Complaints(g.URL) {
		t.Error(c)
	}
}

func TestAnXClientIsTypedOnAndClicked(t *testing.T) {
	x, g, b := newX(t, "")
	w := x.xev(t)
	live(t, b, g)
	px, py := place(t, b, point{350, 250})
	b.Do(t, chromedp.MouseClickXY(px, py), chromedp.KeyEvent("a"), chromedp.KeyEvent(kb.F5))
	stroke(t, b, "ж", "Semicolon")
	for _, words := range []string{"ButtonPress", "(keysym 0x61, a)", "(keysym 0xffc2, F5)", "Cyrillic_zhe"} {
		browser.Eventually(t, "xev sees "+words, func() bool { return w.has(words) })
	}
}

func TestXtigervncChangesItsSize(t *testing.T) {
	t.Parallel() // it waits
	_, g, b := newX(t, "")
	live(t, b, g)
	size := func() string {
		return b.Eval(t, "(c => c.width + 'x' + c.height)(document.querySelector('#place canvas'))")
	}
	if got := size(); got != "800x600" {
		t.Fatalf("got %s, want its own size first", got)
	}
	b.Do(t, chromedp.EmulateViewport(1000, 700))
	b.Eval(t, "document.querySelector('input[value=remote]').click()")
	browser.Eventually(t, "the size of the window", func() bool { return size() == "1000x700" })
	b.Do(t, chromedp.EmulateViewport(900, 650))
	browser.Eventually(t, "the size of the window again", func() bool { return size() == "900x650" })
	b.Eval(t, "new Promise(done => setTimeout(done, 3000))") // longer than it has to follow
	if got := b.Eval(t, "document.querySelector('input[value=remote]').checked"); got != "true" {
		t.Error("the page says that this desktop does not change its size")
	}
}

func TestADesktopThatAsksForAPassword(t *testing.T) {
	_, g, b := newX(t, "secret12")
	signIn := func(password string) {
		t.Helper()
		browser.Eventually(t, "the question", func() bool { return b.Eval(t, "document.getElementById('ask').open") == "true" })
		if got := b.Eval(t, "document.activeElement.name"); got != "password" {
			t.Errorf("the focus is at %q, want the one field that is asked for", got)
		}
		b.Do(t, chromedp.KeyEvent(password+kb.Enter))
	}
	open(t, b, g.page())
	signIn("wrong")
	reaches(t, b, "ended")
	if got := textOf(t, b, "headline"); got != "The desktop refused to let you in" {
		t.Errorf("got %q", got)
	}
	press(t, b, "again")
	signIn("secret12")
	reaches(t, b, "live")
	cutAndBack(t, b, g)
	if got := b.Eval(t, "document.getElementById('ask').open"); got != "false" {
		t.Error("the user is asked again for what he said before")
	}
	open(t, b, "about:blank")
	open(t, b, g.page())
	browser.Eventually(t, "the question", func() bool { return b.Eval(t, "document.getElementById('ask').open") == "true" })
	b.Do(t, chromedp.KeyEvent(kb.Escape))
	reaches(t, b, "ended")
	if got := textOf(t, b, "headline"); got != "You are disconnected" {
		t.Errorf("after Escape: got %q", got)
	}
}

func TestTheClipboardOfXtigervnc(t *testing.T) {
	need(t, "xclip")
	x, g, b := newX(t, "")
	permit(t, b, g)
	live(t, b, g)
	x.run(t, "от рабочего стола", "xclip", "-selection", "clipboard", "-in")
	browser.Eventually(t, "what was copied there is here", func() bool {
		return b.Eval(t, "navigator.clipboard.readText()") == "от рабочего стола"
	})
	if got := b.Eval(t, "document.getElementById('clip-text').value"); got != "от рабочего стола" {
		t.Errorf("the dialog has %q", got)
	}
	b.Eval(t, "navigator.clipboard.writeText('to the desktop, ёж €')")
	b.Eval(t, "(document.activeElement.blur(), document.querySelector('#place canvas').focus())")
	browser.Eventually(t, "what was copied here is there", func() bool {
		return x.run(t, "", "xclip", "-selection", "clipboard", "-out") == "to the desktop, ёж €"
	})
	for _, c := range b.Complaints(g.URL) {
		t.Error(c)
	}
}
