package desktop

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// script talks to the server: ">" lines are sent, "<" lines are expected.
type script []string

const serverVersion = "RFB 003.008\n"

func (s script) play(t *testing.T, conn net.Conn, step int) {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	for i, line := range s {
		text := line[1:]
		if line[0] == '>' {
			sendBy(t, conn, text, step)
			continue
		}
		got := make([]byte, len(text))
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != text {
			t.Fatalf("line %d: got %q, %v, want %q", i, got, err, text)
		}
	}
}

// sendBy sends the text in pieces of step bytes.
func sendBy(t *testing.T, conn net.Conn, text string, step int) {
	t.Helper()
	for len(text) > 0 {
		n := min(step, len(text))
		if _, err := io.WriteString(conn, text[:n]); err != nil {
			t.Fatal(err)
		}
		text = text[n:]
	}
}

// expectEnd reads the rest up to the server's end of the connection.
func expectEnd(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	got, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the server holds the connection, want it closed")
	}
	// A reset is an end as well: the server closed with our bytes unread.
	if string(got) != want {
		t.Errorf("got %q at the end, want %q", got, want)
	}
}

func initOf(cfg Config) string { return string(New(cfg).serverInit()) }

var dialects = map[string]script{
	"3.3":   {"<" + serverVersion, ">RFB 003.003\n", "<\x00\x00\x00\x01", ">\x01"},
	"3.5":   {"<" + serverVersion, ">RFB 003.005\n", "<\x00\x00\x00\x01", ">\x01"},
	"3.7":   {"<" + serverVersion, ">RFB 003.007\n", "<\x01\x01", ">\x01\x00"},
	"3.8":   {"<" + serverVersion, ">RFB 003.008\n", "<\x01\x01", ">\x01", "<\x00\x00\x00\x00", ">\x01"},
	"3.889": {"<" + serverVersion, ">RFB 003.889\n", "<\x01\x01", ">\x01", "<\x00\x00\x00\x00", ">\x00"},
}

func TestHandshake(t *testing.T) {
	cfg := Config{Width: 640, Height: 480, Name: "name"}
	_, addr := serve(t, cfg)
	for name, s := range dialects {
		for _, step := range []int{1, 1000} {
			t.Run(name, func(t *testing.T) {
				conn := dial(t, addr)
				s.play(t, conn, step)
				script{"<" + initOf(cfg)}.play(t, conn, step)
				script{">\x03\x00\x00\x00\x00\x00\x00\x01\x00\x01", "<\x00\x00\x00\x01"}.play(t, conn, step)
			})
		}
	}
}

func TestServerInitIsAsTheRFCHasIt(t *testing.T) {
	want := "\x02\x80\x01\xe0" + // 640 by 480
		"\x20\x18\x00\x01\x00\xff\x00\xff\x00\xff\x10\x08\x00\x00\x00\x00" +
		"\x00\x00\x00\x04name"
	if got := initOf(Config{Width: 640, Height: 480, Name: "name"}); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestClientsThatBreakTheProtocolAreClosed(t *testing.T) {
	welcome := append(script{}, dialects["3.8"]...)
	welcome = append(welcome, "<"+initOf(Config{}))
	reason := "\x00\x00\x00\x01\x00\x00\x00\x22only security type None is offered"
	format := func(f pixelFormat) string { return string(f.append([]byte(">\x00\x00\x00\x00"))) }
	for _, tc := range []struct {
		name string
		say  script
		want string
	}{
		{"RFB 2.0", script{"<" + serverVersion, ">RFB 002.000\n"}, ""},
		{"RFB 4.1", script{"<" + serverVersion, ">RFB 004.001\n"}, ""},
		{"HTTP", script{"<" + serverVersion, ">GET / HTTP/1.1\r\n\r\n"}, ""},
		{"letters for digits", script{"<" + serverVersion, ">RFB 0x3.008\n"}, ""},
		{"type 2 was not offered, 3.8 hears why", script{"<" + serverVersion, ">RFB 003.008\n", "<\x01\x01", ">\x02"}, reason},
		{"type 2 was not offered, 3.7 hears nothing", script{"<" + serverVersion, ">RFB 003.007\n", "<\x01\x01", ">\x02"}, ""},
		{"unknown message", append(welcome, ">\x63"), ""},
		{"1, which servers send", append(welcome, ">\x01"), ""},
		{"24 bits per pixel", append(welcome, format(pixelFormat{bitsPerPixel: 24, depth: 24, trueColour: true})), ""},
		{"0 bits per pixel", append(welcome, format(pixelFormat{})), ""},
		{"green beyond 16 bits", append(welcome, format(pixelFormat{bitsPerPixel: 16, trueColour: true, greenMax: 63, greenShift: 11})), ""},
		{"shift 255", append(welcome, format(pixelFormat{bitsPerPixel: 32, trueColour: true, redMax: 1, redShift: 255})), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, addr := serve(t, Config{})
			conn := dial(t, addr)
			tc.say.play(t, conn, 1000)
			expectEnd(t, conn, tc.want)
		})
	}
}

// enter takes a connection through the handshake of 3.8.
func enter(t *testing.T, conn net.Conn, cfg Config) {
	t.Helper()
	dialects["3.8"].play(t, conn, 1000)
	script{"<" + initOf(cfg)}.play(t, conn, 1000)
}

// ask is a FramebufferUpdateRequest for the whole rectangle.
func ask(incremental bool, x, y, w, h int) string {
	msg := []byte{updateRequest, flag(incremental)}
	for _, v := range []int{x, y, w, h} {
		msg = binary.BigEndian.AppendUint16(msg, uint16(v))
	}
	return string(msg)
}

func TestUpdatesAreClippedToTheScreenAndTheRequest(t *testing.T) {
	cfg := Config{}
	_, addr := serve(t, cfg)
	for _, tc := range []struct {
		name       string
		x, y, w, h int
		want       string // header of the one rectangle
	}{
		{"a pixel", 100, 200, 1, 1, "\x00\x64\x00\xc8\x00\x01\x00\x01"},
		{"a row", 0, 599, 800, 1, "\x00\x00\x02\x57\x03\x20\x00\x01"},
		{"over the corner", 798, 598, 100, 100, "\x03\x1e\x02\x56\x00\x02\x00\x02"},
		{"far over", 799, 0, 65535, 2, "\x03\x1f\x00\x00\x00\x01\x00\x02"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conn := dial(t, addr)
			enter(t, conn, cfg)
			script{
				">" + ask(false, 800, 600, 10, 10), // nothing of it is on the screen
				">" + ask(false, 5, 5, 0, 0),
				">" + ask(false, tc.x, tc.y, tc.w, tc.h),
				"<\x00\x00\x00\x01" + tc.want + "\x00\x00\x00\x00",
			}.play(t, conn, 1000)
		})
	}
}

func TestColourMapIsSentWhenAskedFor(t *testing.T) {
	cfg := Config{}
	d, addr := serve(t, cfg)
	conn := dial(t, addr)
	enter(t, conn, cfg)
	noTrueColour := pixelFormat{bitsPerPixel: 8, depth: 8}
	script{
		">" + string(noTrueColour.append([]byte{setPixelFormat, 0, 0, 0})),
		">" + ask(false, 0, 0, 800, 1),
		"<\x01\x00\x00\x00\x01\x00",
	}.play(t, conn, 1000)
	var entries [colourMapEntries][3]uint16
	if err := binary.Read(conn, binary.BigEndian, &entries); err != nil {
		t.Fatal(err)
	}
	script{"<\x00\x00\x00\x01\x00\x00\x00\x00\x03\x20\x00\x01\x00\x00\x00\x00"}.play(t, conn, 1000)
	got := make([]byte, 800)
	if _, err := io.ReadFull(conn, got); err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for x, index := range got {
		for i, most := range []uint32{7, 7, 3} {
			want := uint32(d.canvas.rgb(x, 0)) >> (16 - 8*i) & 255
			off := int(entries[index][i]>>8) - int(want)
			if limit := int(255/most/2) + 1; off > limit || off < -limit {
				t.Fatalf("pixel %d, colour %d: got %d, want %d within %d", x, i, entries[index][i]>>8, want, limit)
			}
		}
	}
}

func TestTheFirstKnownEncodingIsTaken(t *testing.T) {
	cfg := Config{}
	_, addr := serve(t, cfg)
	for _, tc := range []struct {
		name  string
		codes string
		want  string
	}{
		{"none", "\x00\x00", "\x00\x00\x00\x00"},
		{"only unknown ones", "\x00\x02\x00\x00\x00\x07\xff\xff\xff\x11", "\x00\x00\x00\x00"},
		{"hextile after unknown", "\x00\x03\x00\x00\x00\x10\x00\x00\x00\x05\x00\x00\x00\x00", "\x00\x00\x00\x05"},
		{"raw before hextile", "\x00\x02\x00\x00\x00\x00\x00\x00\x00\x05", "\x00\x00\x00\x00"},
		{"65535 of them", "\xff\xff" + strings.Repeat("\x00\x00\x00\x05", 65535), "\x00\x00\x00\x05"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conn := dial(t, addr)
			enter(t, conn, cfg)
			script{
				">\x02\x00" + tc.codes,
				">" + ask(false, 0, 0, 1, 1),
				"<\x00\x00\x00\x01\x00\x00\x00\x00\x00\x01\x00\x01" + tc.want,
			}.play(t, conn, 1<<20)
		})
	}
}
