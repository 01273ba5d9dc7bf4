package desktop

import (
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// allocated is how many bytes the program has ever allocated.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

const served = "RFB 003.008\n\x01\x01" // up to where messages begin

func FuzzServer(f *testing.F) {
	for _, s := range []string{
		"", "RFB 003.003\n\x01", "RFB 003.007\n\x02", "RFB 999.999\n",
		served + ask(false, 0, 0, 320, 240) + ask(true, 0, 0, 320, 240),
		served + "\x02\x00\x00\x02\x00\x00\x00\x05\x00\x00\x00\x00" + ask(false, 3, 3, 70, 70) + ask(true, 0, 0, 65535, 65535),
		served + "\x04\x01\x00\x00\x00\x00\x00A\x04\x01\x00\x00\x00\x00\xff\x0d\x04\x01\x00\x00\x00\x00\xff\x08",
		served + "\x05\x01\x00\x10\x00\x10\x05\x00\xff\xff\xff\xff" + ask(true, 0, 0, 320, 240),
		served + "\x06\x00\x00\x00\x00\x00\x00\x05hello\x06\x00\x00\x00\xff\xff\xff\xff",
		served + string(mapFormat.append([]byte{setPixelFormat, 0, 0, 0})),
		served + string(formats["16 bits, 565"].append([]byte{setPixelFormat, 0, 0, 0})) + ask(false, 0, 0, 320, 240),
		served + string(pixelFormat{bitsPerPixel: 8}.append([]byte{setPixelFormat, 0, 0, 0})) + ask(false, 0, 0, 320, 240),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, say []byte) {
		before := allocated()
		inBubble(t, Config{Width: 320, Height: 240, FPS: 1}, func(t *testing.T, d *Desktop, p *pipes) {
			visit(t, d, p.dial(t), say)
		})
		// A format of 20 bytes makes tables of 3 kB.
		if got, most := allocated()-before, uint64(16<<20+200*len(say)); got > most {
			t.Errorf("allocated %d bytes for %d, want at most %d", got, len(say), most)
		}
	})
}

// visit says all of it to the desktop, reads the answers for a while and
// leaves. The desktop must let go of the connection at once.
func visit(t *testing.T, d *Desktop, conn net.Conn, say []byte) {
	t.Helper()
	heard := make(chan struct{})
	go func() { defer close(heard); _, _ = io.Copy(io.Discard, conn) }()
	_ = conn.SetWriteDeadline(time.Now().Add(time.Minute))
	_, _ = conn.Write(say) // all of it, or what it hears until it is closed
	time.Sleep(5 * time.Second)
	_ = conn.Close()
	<-heard
	synctest.Wait()
	if got := d.Stats().Clients; got != 0 {
		t.Fatalf("got %d clients after the last has left, want 0", got)
	}
}

func FuzzViewer(f *testing.F) {
	solid := "\x00\x00\x00\x01\x00\x00\x00\x00\x00\x20\x00\x02\x00\x00\x00\x05\x02\x01\x02\x03\x04\x00"
	for _, s := range []string{
		"", noneOf38, "RFB 003.003\n\x00\x00\x00\x01" + init32x2, "RFB 003.008\n\x00\x00\x00\x00\x02no",
		noneOf38 + init32x2 + solid + solid,
		noneOf38 + init32x2 + "\x02\x03\x00\x00\x00\x00\x00\x00\x02hi\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		noneOf38 + init32x2 + "\x00\x00\x00\x01\x00\x1f\x00\x01\x00\x01\x00\x01\x00\x00\x00\x00\x01\x02\x03\x04",
		noneOf38 + init32x2 + "\x00\x00\x00\x01\x00\x01\x00\x00\x00\x10\x00\x02\x00\x00\x00\x05\x1e\x00\x00\x00\x00\x01\x01\x01\x01\x02\x05\x05\x05\x05\xff\xff\x06\x06\x06\x06\x00\x00",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, say string) {
		before := allocated()
		lookAround(t, say)
		if got, most := allocated()-before, uint64(4*maxViewerPixels+1<<20+100*len(say)); got > most {
			t.Errorf("allocated %d bytes for %d, want at most %d", got, len(say), most)
		}
	})
}

func lookAround(t *testing.T, say string) {
	t.Helper()
	near, far := net.Pipe()
	defer func() { _, _ = near.Close(), far.Close() }()
	v, err := NewViewer(replay{near, strings.NewReader(say)})
	if err != nil {
		return
	}
	for total := int64(0); ; {
		frame, err := v.Update(true)
		if err != nil {
			return
		}
		if total += frame.Bytes; total > int64(len(say)) {
			t.Fatalf("counted %d bytes of %d", total, len(say))
		}
	}
}
