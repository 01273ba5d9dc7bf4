package desktop

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what should come at once.
const patience = 10 * time.Second

// serve runs a desktop on loopback for the time of the test.
func serve(t testing.TB, cfg Config) (*Desktop, string) {
	t.Helper()
	d := New(cfg)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, d, l)
	return d, l.Addr().String()
}

func serveOn(t testing.TB, d *Desktop, l net.Listener) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve after its context ended: got %v, want nil", err)
		}
	})
}

func dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func watch(t testing.TB, addr string) *Viewer {
	t.Helper()
	v, err := NewViewer(dial(t, addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	return v
}

// eqPicture reports whether the viewer shows what the desktop has painted.
func eqPicture(d *Desktop, v *Viewer) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := pixelsOf(v.Image())
	for y := range d.canvas.h {
		for x := range d.canvas.w {
			if at(x, y) != d.canvas.rgb(x, y) {
				return false
			}
		}
	}
	return true
}

func TestViewerSeesThePicture(t *testing.T) {
	d, addr := serve(t, Config{Name: "vm 17"})
	v := watch(t, addr)
	w, h := v.Size()
	if v.Name() != "vm 17" || w != 800 || h != 600 {
		t.Errorf("got %q, %dx%d, want \"vm 17\", 800x600", v.Name(), w, h)
	}
	whole, err := v.Update(false)
	if err != nil {
		t.Fatal(err)
	}
	if !eqPicture(d, v) {
		t.Error("the whole picture is not the desktop's")
	}
	part, err := v.Update(true)
	if err != nil {
		t.Fatal(err)
	}
	if !eqPicture(d, v) {
		t.Error("the picture after a part of it changed is not the desktop's")
	}
	if part.Bytes == 0 || part.Bytes > whole.Bytes/2 {
		t.Errorf("an incremental update took %d bytes of a whole one's %d", part.Bytes, whole.Bytes)
	}
}

func TestTypingChangesThePicture(t *testing.T) {
	d, addr := serve(t, Config{})
	v := watch(t, addr)
	typeText(t, v, "Hello, World")
	if err := v.Key(symBackSpace); err != nil {
		t.Fatal(err)
	}
	eventually(t, v, "Hello, Worl", func(at rgb) bool { return readLine(d.layout, at, 2) == "Hello, Worl" })
}

func TestClickLeavesAMark(t *testing.T) {
	_, addr := serve(t, Config{})
	v := watch(t, addr)
	for _, buttons := range []uint8{0, 1, 1, 0} {
		if err := v.Pointer(200, 400, buttons); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, v, "a ring at 200,400", func(at rgb) bool { return at(209, 400) == inkCoral })
}

func TestTwoViewersShareTheDesktop(t *testing.T) {
	d, addr := serve(t, Config{})
	one, two := watch(t, addr), watch(t, addr)
	typeText(t, one, "one")
	eventually(t, two, "one", func(at rgb) bool { return readLine(d.layout, at, 2) == "one" })
	typeText(t, two, "two")
	eventually(t, one, "onetwo", func(at rgb) bool { return readLine(d.layout, at, 2) == "onetwo" })
}

func TestClipboardIsShownAndItsSizeBounded(t *testing.T) {
	d, addr := serve(t, Config{})
	v := watch(t, addr)
	for _, size := range []int{0, 3, 1000, maxCutText, maxCutText + 1, 5 << 20} {
		msg := append([]byte{clientCutText, 0, 0, 0}, byte(size>>24), byte(size>>16), byte(size>>8), byte(size))
		if err := v.say(append(msg, make([]byte, size)...)); err != nil {
			t.Fatal(err)
		}
	}
	typeText(t, v, "on")
	eventually(t, v, "on", func(at rgb) bool { return readLine(d.layout, at, 2) == "on" })
	d.mu.Lock()
	defer d.mu.Unlock()
	if got := d.scene.clipboard; got.size != maxCutText || len(got.text) != cutTextShown {
		t.Errorf("got %d bytes of %d, want %d of %d", len(got.text), got.size, cutTextShown, maxCutText)
	}
}

func TestTheClientAfterTheLastIsClosed(t *testing.T) {
	d, addr := serve(t, Config{Width: 320, Height: 240, FPS: 120})
	var all []*Viewer
	for range MaxClients {
		all = append(all, watch(t, addr))
	}
	if v, err := NewViewer(dial(t, addr)); err == nil {
		_ = v.Close()
		t.Errorf("client %d: got a desktop, want to be closed", MaxClients+1)
	}
	if got := d.Stats(); got.Clients != MaxClients || got.Refused != 1 {
		t.Errorf("got %d clients, %d refused, want %d, 1", got.Clients, got.Refused, MaxClients)
	}
	for _, v := range all {
		if _, err := v.Update(false); err != nil {
			t.Fatal(err)
		}
	}
	_ = all[0].Close()
	await(t, "a free place", func() bool { return d.Stats().Clients < MaxClients })
	watch(t, addr)
}

func await(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %s within %v", what, patience)
		}
	}
}

func TestServeEndsWithItsContextWhateverClientsDo(t *testing.T) {
	d := New(Config{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Serve(ctx, l) }()
	dial(t, l.Addr().String()) // says nothing
	watch(t, l.Addr().String())
	waiting := watch(t, l.Addr().String())
	if _, err := waiting.Update(false); err != nil {
		t.Fatal(err)
	}
	deaf := watch(t, l.Addr().String())
	for range 100 {
		if err := deaf.request(false); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil || d.Stats().Clients != 0 {
			t.Errorf("got %v with %d clients, want nil with none", err, d.Stats().Clients)
		}
	case <-time.After(patience):
		t.Fatal("Serve goes on after its context ended")
	}
	if _, err := waiting.Update(true); err == nil {
		t.Error("an update after the end: got one, want an error")
	}
}

func TestServeTwiceAtOnceIsRefused(t *testing.T) {
	d, addr := serve(t, Config{})
	watch(t, addr) // it serves
	if err := d.Serve(context.Background(), nil); !errors.Is(err, ErrServing) {
		t.Errorf("got %v, want %v", err, ErrServing)
	}
}

func TestServeAgainAfterAClosedListener(t *testing.T) {
	d := New(Config{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if err := d.Serve(context.Background(), l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a closed listener: got %v, want %v", err, net.ErrClosed)
	}
	if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	serveOn(t, d, l)
	if _, err := watch(t, l.Addr().String()).Update(false); err != nil {
		t.Error(err)
	}
}
