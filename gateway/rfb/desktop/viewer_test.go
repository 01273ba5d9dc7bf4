package desktop

import (
	"fmt"
	"image/color"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// replay is a server that says what it is told to, whatever it hears.
type replay struct {
	net.Conn // for its deadlines and its end
	say      io.Reader
}

func (r replay) Read(p []byte) (int, error)  { return r.say.Read(p) }
func (r replay) Write(p []byte) (int, error) { return len(p), nil }

func pretend(t testing.TB, say string) net.Conn {
	t.Helper()
	near, far := net.Pipe()
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	return replay{near, strings.NewReader(say)}
}

const (
	noneOf38 = "RFB 003.008\n\x01\x01\x00\x00\x00\x00"
	init32x2 = "\x00\x20\x00\x02\x20\x18\x00\x01\x00\xff\x00\xff\x00\xff\x10\x08\x00\x00\x00\x00\x00\x00\x00\x02it"
)

func TestViewerSpeaksEveryVersion(t *testing.T) {
	for name, greeting := range map[string]string{
		"3.3":               "RFB 003.003\n\x00\x00\x00\x01",
		"3.7":               "RFB 003.007\n\x02\x02\x01",
		"3.8":               noneOf38,
		"3.8 of many types": "RFB 003.008\n\x04\x13\x02\x01\x10\x00\x00\x00\x00",
		"4.1 comes down":    "RFB 004.001\n\x01\x01\x00\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			v, err := NewViewer(pretend(t, greeting+init32x2))
			if err != nil {
				t.Fatal(err)
			}
			if w, h := v.Size(); v.Name() != "it" || w != 32 || h != 2 {
				t.Errorf("got %q, %dx%d, want \"it\", 32x2", v.Name(), w, h)
			}
		})
	}
}

func TestViewerRefusesServers(t *testing.T) {
	for _, tc := range []struct{ name, say, want string }{
		{"nothing", "", "EOF"},
		{"HTTP", "HTTP/1.1 400 Bad Request\r\n", "no RFB version"},
		{"RFB 2", "RFB 002.002\n", "RFB 2.3"},
		{"password wanted", "RFB 003.008\n\x01\x02", "[2], not None"},
		{"password wanted, 3.3", "RFB 003.003\n\x00\x00\x00\x02", "not None"},
		{"refused", "RFB 003.008\n\x00\x00\x00\x00\x04busy", `"busy"`},
		{"refused, 3.3", "RFB 003.003\n\x00\x00\x00\x00\x00\x00\x00\x04busy", `"busy"`},
		{"failed after all", "RFB 003.008\n\x01\x01\x00\x00\x00\x01\x00\x00\x00\x03bad", `"bad"`},
		{"endless reason", "RFB 003.008\n\x00\xff\xff\xff\xff", "4294967295 bytes"},
		{"endless name", noneOf38 + init32x2[:20] + "\x7f\xff\xff\xff", "2147483647 bytes"},
		{"no pixels", noneOf38 + "\x00\x00" + init32x2[2:], "0 by 2"},
		{"too many pixels", noneOf38 + "\x20\x00\x20\x00" + init32x2[4:], "8192 by 8192"},
		{"ends in between", noneOf38 + init32x2[:21], "EOF"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := NewViewer(pretend(t, tc.say))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}

func TestViewerAppliesUpdates(t *testing.T) {
	v, err := NewViewer(pretend(t, noneOf38+init32x2+
		"\x02"+ // bell
		"\x03\x00\x00\x00\x00\x00\x00\x05hello"+ // clipboard
		"\x01\x00\x00\x00\x00\x01\x01\x02\x03\x04\x05\x06"+ // colour map
		"\x00\x00\x00\x02"+
		"\x00\x01\x00\x00\x00\x02\x00\x01\x00\x00\x00\x00"+"\x0a\x0b\x0c\x00"+"\x0d\x0e\x0f\x00"+
		"\x00\x00\x00\x01\x00\x20\x00\x01\x00\x00\x00\x05"+
		"\x0e"+"\x01\x01\x01\x00"+"\x02\x02\x02\x00"+"\x01"+"\x30\x10"+ // background, foreground, one at 3, 2 wide
		"\x18"+"\x01"+"\x07\x07\x07\x00"+"\xf0\x00")) // carried background, coloured, one at 15
	if err != nil {
		t.Fatal(err)
	}
	f, err := v.Update(false)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Frame{Rects: 2, Bytes: 4 + 12 + 8 + 12 + 12 + 8}); f != want {
		t.Errorf("got %+v, want %+v", f, want)
	}
	for x, want := range map[[2]int]color.RGBA{
		{0, 0}: {0, 0, 0, 255}, {1, 0}: {10, 11, 12, 255}, {2, 0}: {13, 14, 15, 255},
		{2, 1}: {1, 1, 1, 255}, {3, 1}: {2, 2, 2, 255}, {4, 1}: {2, 2, 2, 255}, {5, 1}: {1, 1, 1, 255},
		{16, 1}: {1, 1, 1, 255}, {31, 1}: {7, 7, 7, 255},
	} {
		if got := v.Image().RGBAAt(x[0], x[1]); got != want {
			t.Errorf("pixel %v: got %v, want %v", x, got, want)
		}
	}
}

func TestViewerRefusesUpdates(t *testing.T) {
	rect := func(x, y, w, h, encoding byte) string {
		return fmt.Sprintf("\x00\x00\x00\x01\x00%c\x00%c\x00%c\x00%c\x00\x00\x00%c", x, y, w, h, encoding)
	}
	for _, tc := range []struct{ name, say, want string }{
		{"end", "", "EOF"},
		{"unknown message", "\x09", "unknown type 9"},
		{"outside, right", rect(31, 0, 2, 1, 0), "outside"},
		{"outside, below", rect(0, 2, 1, 1, 5), "outside"},
		{"encoding not asked for", rect(0, 0, 1, 1, 7), "encoding 7"},
		{"endless clipboard", "\x03\x00\x00\x00\xff\xff\xff\xff", "4294967295 bytes"},
		{"half a pixel", rect(0, 0, 1, 1, 0) + "\x01\x02", "EOF"},
		{"half a tile", rect(0, 0, 1, 1, 5) + "\x18\x05", "EOF"},
		{"fewer rectangles than said", "\x00\x00\xff\xff", "rectangle 1 of 65535"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v, err := NewViewer(pretend(t, noneOf38+init32x2+tc.say))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := v.Update(true); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}

func TestCloseEndsAnUpdateInProgress(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() { // shakes hands and falls silent
		if conn, err := l.Accept(); err == nil {
			_, _ = io.WriteString(conn, noneOf38+init32x2)
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		}
	}()
	v := watch(t, l.Addr().String())
	ended := make(chan error, 1)
	go func() { _, err := v.Update(true); ended <- err }()
	_ = v.Close()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("got an update, want an error")
		}
	case <-time.After(patience):
		t.Fatal("Update goes on after Close")
	}
}
