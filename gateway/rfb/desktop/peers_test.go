package desktop

import (
	"context"
	"fmt"
	"image"
	"image/png"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// The displays, ports above 5900, on which gvnccapture is shown a desktop.
const firstDisplay, displays = 50, 50

// listenOnDisplay finds a free port of 5950 to 5999.
func listenOnDisplay(t *testing.T) (net.Listener, int) {
	t.Helper()
	for n := firstDisplay; n < firstDisplay+displays; n++ {
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 5900+n)); err == nil {
			return l, n
		}
	}
	t.Skip("no free port from 5950 to 5999")
	return nil, 0
}

func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("%s is not installed", program)
	}
	return path
}

func TestGvnccaptureSeesThePicture(t *testing.T) {
	program := need(t, "gvnccapture")
	l, display := listenOnDisplay(t)
	d := New(Config{Name: "for gvnccapture"})
	serveOn(t, d, l)
	typeText(t, watch(t, l.Addr().String()), "seen by gvnccapture")
	await(t, "text", func() bool { d.mu.Lock(); defer d.mu.Unlock(); return d.scene.keys == 19 })

	file := filepath.Join(t.TempDir(), "out.png")
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, fmt.Sprintf("127.0.0.1:%d", display), file)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gvnccapture: %v\n%s", err, out)
	}
	img := readPNG(t, file)
	if got, want := img.Bounds(), image.Rect(0, 0, 800, 600); got != want {
		t.Fatalf("got a picture of %v, want %v", got, want)
	}
	if got, want := readLine(d.layout, pixelsOf(img), 2), "seen by gvnccapture"; got != want {
		t.Errorf("the picture says %q, want %q", got, want)
	}
}

func readPNG(t *testing.T, file string) image.Image {
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
	return img
}

func TestViewerSeesXtigervnc(t *testing.T) {
	program := need(t, "Xtigervnc")
	addr := freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	// It finds a display number by itself, and says which where nobody reads.
	cmd := exec.Command(program, "-displayfd", "3", "-rfbport", port,
		"-SecurityTypes", "None", "-localhost", "-geometry", "400x300", "-depth", "24", "-br",
		"-desktop", "a real server")
	cmd.ExtraFiles = []*os.File{null}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Asked to end it takes its lock file and socket along.
	defer func() { _, _ = cmd.Process.Signal(syscall.SIGTERM), cmd.Wait() }()
	v := watchSoon(t, addr)
	if w, h := v.Size(); v.Name() != "a real server" || w != 400 || h != 300 {
		t.Errorf("got %q, %dx%d, want \"a real server\", 400x300", v.Name(), w, h)
	}
	f, err := v.Update(false)
	if err != nil || f.Rects == 0 {
		t.Fatalf("got %+v, %v, want rectangles", f, err)
	}
	if got := pixelsOf(v.Image())(390, 290); got != 0 {
		t.Errorf("the root window: got %06x, want black as -br makes it", got)
	}
}

// freeAddr is a loopback address nobody listened on a moment ago.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// watchSoon connects as soon as the server is there.
func watchSoon(t *testing.T, addr string) *Viewer {
	t.Helper()
	for end := time.Now().Add(2 * patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			continue
		}
		if v, err := NewViewer(conn); err == nil {
			t.Cleanup(func() { _ = v.Close() })
			return v
		}
	}
	t.Fatalf("no VNC server at %s", addr)
	return nil
}
