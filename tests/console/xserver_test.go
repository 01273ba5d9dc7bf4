package console

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
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

	"vdi-gateway/tests/browser"
	"vdi-gateway/tests/xvnc"
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
		args = append(args, "-SecurityTypes", "VncAuth", "-PasswordFile", xvnc.PasswordFile(t, password))
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
