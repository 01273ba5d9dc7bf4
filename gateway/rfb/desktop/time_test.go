package desktop

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections are made in memory, so that time in
// a test is the bubble's.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newPipes() *pipes {
	return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { close(p.closed); return nil }

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p *pipes) dial(t *testing.T) net.Conn {
	near, far := net.Pipe()
	t.Cleanup(func() { _ = near.Close() })
	p.conns <- far
	return near
}

// inBubble runs a test against a desktop in a bubble of time.
func inBubble(t *testing.T, cfg Config, test func(t *testing.T, d *Desktop, p *pipes)) {
	synctest.Test(t, func(t *testing.T) {
		d, p := New(cfg), newPipes()
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- d.Serve(ctx, p) }()
		defer func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("Serve: got %v, want nil", err)
			}
		}()
		test(t, d, p)
	})
}

// lifetime is how long the server keeps the connection open.
func lifetime(t *testing.T, conn net.Conn) time.Duration {
	t.Helper()
	start := time.Now()
	_ = conn.SetReadDeadline(start.Add(time.Hour))
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Errorf("reading to the end: %v", err)
	}
	return time.Since(start)
}

func TestHandshakeHasADeadline(t *testing.T) {
	for name, s := range map[string]script{
		"says nothing":           {"<" + serverVersion},
		"half a version":         {"<" + serverVersion, ">RFB 0"},
		"chooses nothing":        {"<" + serverVersion, ">RFB 003.008\n", "<\x01\x01"},
		"never says client init": {"<" + serverVersion, ">RFB 003.003\n", "<\x00\x00\x00\x01"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, _ *Desktop, p *pipes) {
				conn := p.dial(t)
				s.play(t, conn, 1000)
				if got := lifetime(t, conn); got != handshakeTimeout {
					t.Errorf("closed after %v, want %v", got, handshakeTimeout)
				}
			})
		})
	}
}

func TestAnIdleClientStaysAHalfMessageDoesNot(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, d *Desktop, p *pipes) {
		conn := p.dial(t)
		enter(t, conn, Config{})
		time.Sleep(24 * time.Hour)
		if got := d.Stats().Clients; got != 1 {
			t.Fatalf("after an idle day: got %d clients, want 1", got)
		}
		script{">\x03\x00\x00"}.play(t, conn, 1000)
		if got := lifetime(t, conn); got != messageTimeout {
			t.Errorf("closed after %v, want %v", got, messageTimeout)
		}
	})
}

func TestNothingIsDrawnWhileNobodyWaits(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, d *Desktop, p *pipes) {
		time.Sleep(time.Hour)
		if got := d.Stats().Frames; got != 0 {
			t.Errorf("nobody there for an hour: got %d frames, want 0", got)
		}
		v, err := NewViewer(p.dial(t))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if got := d.Stats().Frames; got != 0 {
			t.Errorf("a viewer that asks for nothing: got %d frames, want 0", got)
		}
		if _, err := v.Update(false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if got := d.Stats().Frames; got != 1 {
			t.Errorf("a viewer that asked once: got %d frames, want 1", got)
		}
	})
}

func TestFramesComeAtTheRateAskedFor(t *testing.T) {
	for _, fps := range []int{1, 20, 120} {
		inBubble(t, Config{Width: 320, Height: 240, FPS: fps}, func(t *testing.T, d *Desktop, p *pipes) {
			v, err := NewViewer(p.dial(t))
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			for range 3*fps + 1 {
				if _, err := v.Update(true); err != nil {
					t.Fatal(err)
				}
			}
			took := time.Since(start).Round(time.Millisecond)
			if took != 3*time.Second {
				t.Errorf("%d frames a second: %d took %v, want 3s", fps, 3*fps+1, took)
			}
			if got := d.Stats().Frames; got > int64(3*fps+2) {
				t.Errorf("%d frames a second: drew %d for %d updates", fps, got, 3*fps+1)
			}
		})
	}
}

func TestAnUpdateComesWhenThePictureChanges(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, d *Desktop, p *pipes) {
		conn := p.dial(t)
		enter(t, conn, Config{})
		// A strip where the second key shows, right of the cursor.
		x, y := d.layout.text.Min.X+20, d.layout.text.Min.Y+2*textPitch+4
		script{">" + ask(false, x, y, 200, 1), "<\x00\x00\x00\x01"}.play(t, conn, 1000)
		if _, err := io.CopyN(io.Discard, conn, rectangleHeaderLen+4*200); err != nil {
			t.Fatal(err)
		}
		script{">" + ask(true, x, y, 200, 1)}.play(t, conn, 1000)
		var got [1]byte
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
		if n, _ := conn.Read(got[:]); n != 0 {
			t.Fatal("an update came while nothing changed there")
		}
		before := time.Now()
		_ = conn.SetReadDeadline(before.Add(time.Minute))
		for _, c := range "long" {
			script{">\x04\x01\x00\x00\x00\x00\x00" + string(c)}.play(t, conn, 1000)
		}
		if _, err := conn.Read(got[:]); err != nil {
			t.Fatal(err)
		}
		if wait, most := time.Since(before), time.Second/20; wait > most {
			t.Errorf("the update came after %v, want within a frame, %v", wait, most)
		}
	})
}

func TestASlowReaderIsBoundedAndClosed(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, d *Desktop, p *pipes) {
		conn := p.dial(t)
		enter(t, conn, Config{})
		for range 1000 { // reads nothing of what it asks for
			script{">" + ask(false, 0, 0, 800, 600)}.play(t, conn, 1000)
		}
		slow := theClient(d)
		time.Sleep(writeTimeout + time.Second)
		synctest.Wait()
		if got := d.Stats().Clients; got != 0 {
			t.Errorf("got %d clients after %v, want 0", got, writeTimeout)
		}
		if got, most := cap(slow.buf), 2*(flushBytes+4*bandPixels); got == 0 || got > most {
			t.Errorf("held %d bytes for a slow reader, want at most %d", got, most)
		}
	})
}

// theClient is the one client of d.
func theClient(d *Desktop) *client {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.clients {
		return c
	}
	return nil
}

func TestASlowReaderDoesNotHoldUpOthers(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, d *Desktop, p *pipes) {
		slow := p.dial(t)
		enter(t, slow, Config{})
		script{">" + ask(false, 0, 0, 800, 600)}.play(t, slow, 1000)
		v, err := NewViewer(p.dial(t))
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for range 21 {
			if _, err := v.Update(true); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took > 1100*time.Millisecond {
			t.Errorf("21 frames beside a slow reader took %v, want about 1s", took)
		}
		if got := d.Stats().Clients; got != 2 {
			t.Errorf("got %d clients, want 2", got)
		}
	})
}
