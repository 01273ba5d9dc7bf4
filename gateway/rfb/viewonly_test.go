package rfb

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// Messages of a client, by what becomes of them.
var (
	passing = map[string]string{
		"SetPixelFormat":             "\x00\x00\x00\x00\x20\x18\x00\x01\x00\xff\x00\xff\x00\xff\x10\x08\x00\x00\x00\x00",
		"SetEncodings":               "\x02\x00\x00\x02\x00\x00\x00\x05\xff\xff\xff\x11",
		"SetEncodings with nothing":  "\x02\x00\x00\x00",
		"SetEncodings with 1024":     "\x02\x00\x04\x00" + strings.Repeat("\x00\x00\x00\x10", 1024),
		"FramebufferUpdateRequest":   "\x03\x01\x00\x00\x00\x00\x04\x00\x03\x00",
		"EnableContinuousUpdates":    "\x96\x01\x00\x00\x00\x00\x04\x00\x03\x00",
		"ClientFence":                "\xf8\x00\x00\x00\x80\x00\x00\x01\x05fence",
		"ClientFence with nothing":   "\xf8\x00\x00\x00\x80\x00\x00\x01\x00",
		"ClientFence with 64 bytes":  "\xf8\x00\x00\x00\x80\x00\x00\x01\x40" + strings.Repeat("\x04", 64),
		"QEMU's sound on":            "\xff\x01\x00\x00",
		"QEMU's sound off":           "\xff\x01\x00\x01",
		"QEMU's format of the sound": "\xff\x01\x00\x02\x03\x02\x00\x00\xac\x44",
	}
	dropped = map[string]string{
		"KeyEvent":                           "\x04\x01\x00\x00\x00\x00\x00A",
		"PointerEvent":                       "\x05\x01\x00\x10\x00\x10",
		"PointerEvent with the eighth":       "\x05\x80\x00\x10\x00\x10",
		"ClientCutText":                      "\x06\x00\x00\x00\x00\x00\x00\x05hello",
		"ClientCutText with nothing":         "\x06\x00\x00\x00\x00\x00\x00\x00",
		"ClientCutText, extended":            "\x06\x00\x00\x00\xff\xff\xff\xfa\x01\x00\x00\x01ab",
		"xvp":                                "\xfa\x00\x01\x03",
		"SetDesktopSize":                     "\xfb\x00\x04\x00\x03\x00\x02\x00" + strings.Repeat("\x04", 32),
		"SetDesktopSize without a screen":    "\xfb\x00\x04\x00\x03\x00\x00\x00",
		"QEMU's KeyEvent":                    "\xff\x00\x00\x01\x00\x00\x00A\x00\x00\x00\x1e",
		"gii's version, big-endian":          "\xfd\x81\x00\x02\x00\x01",
		"gii's version, little-endian":       "\xfd\x01\x02\x00\x01\x00",
		"a cut text that looks like keys":    "\x06\x00\x00\x00\x00\x00\x00\x08\x04\x01\x00\x00\x00\x00\x00A",
		"a desktop size that looks like one": "\xfb\x00\x04\x00\x03\x00\x01\x00\x04\x01\x00\x00\x00\x00\x00A\x04\x01\x00\x00\x00\x00\x00A",
	}
	ending = map[string]string{
		"1, FixColourMapEntries":      "\x01\x00\x00\x00",
		"7, UltraVNC's files":         "\x07\x00",
		"99":                          "\x63",
		"252":                         "\xfc\x00\x01\x00",
		"254":                         "\xfe",
		"SetEncodings with 1025":      "\x02\x00\x04\x01\x00\x00\x00\x00",
		"ClientFence with 65 bytes":   "\xf8\x00\x00\x00\x00\x00\x00\x00\x41",
		"QEMU's unknown message":      "\xff\x02",
		"QEMU's unknown sound":        "\xff\x01\x00\x03",
		"QEMU's other unknown sound":  "\xff\x01\x01\x00",
		"the end of what is extended": "\xff\xff",
	}
)

func TestViewOnly(t *testing.T) {
	const before, after = "\x01\x03\x00\x00\x00\x00\x00\x00\x01\x00\x01", "\x03\x01\x00\x00\x00\x00\x00\x01\x00\x01"
	for name, m := range passing {
		wantFiltered(t, name, before+m+after, before+m+after, "")
	}
	for name, m := range dropped {
		wantFiltered(t, name, before+m+after, before+after, "")
	}
	for name, m := range ending {
		wantFiltered(t, name, before+m+after, before, "VNC handshake, client: ")
	}
}

// wantFiltered filters the text in pieces of several sizes.
func wantFiltered(t *testing.T, name, text, want, wrong string) {
	t.Helper()
	for _, step := range []int{1, 2, 3, 7, 1 << 20} {
		var f ViewOnly
		got, err := filterBy(&f, text, step)
		if string(got) != want {
			t.Errorf("%s, by %d: got %q, want %q", name, step, got, want)
		}
		if (err != nil) != (wrong != "") || err != nil && !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s, by %d: got error %v, want %q", name, step, err, wrong)
		}
	}
}

func filterBy(f *ViewOnly, text string, step int) (got []byte, err error) {
	for piece := range slices.Chunk([]byte(text), step) {
		if got, err = f.Append(got, piece); err != nil {
			return got, err
		}
	}
	return got, nil
}

func TestViewOnlyForcesTheSharedFlag(t *testing.T) {
	for _, tc := range []struct {
		shared     Shared
		asked, got string
	}{
		{AsAsked, "\x00", "\x00"},
		{AsAsked, "\x01", "\x01"},
		{AsAsked, "\x04", "\x04"},
		{AlwaysShared, "\x00", "\x01"},
		{AlwaysAlone, "\x01", "\x00"},
	} {
		f := ViewOnly{Shared: tc.shared}
		if got, err := f.Append(nil, []byte(tc.asked)); string(got) != tc.got || err != nil {
			t.Errorf("%d: got %q, %v, want %q", tc.shared, got, err, tc.got)
		}
	}
}

// TestPointerEventsOfTwoLengths: the highest bit of the mask means a byte more, for clients
// that said so, and they do not set it otherwise.
func TestPointerEventsOfTwoLengths(t *testing.T) {
	const extended, request = "\x02\x00\x00\x02\x00\x00\x00\x05\xff\xff\xfe\xc4", "\x03\x01\x00\x00\x00\x00\x00\x01\x00\x01"
	short, long := "\x05\x01\x00\x10\x00\x10", "\x05\x80\x00\x10\x00\x10\x04"
	wantFiltered(t, "two lengths", "\x01"+extended+short+long+short+request, "\x01"+extended+request, "")
}

func TestViewOnlyEndsForGood(t *testing.T) {
	var f ViewOnly
	_, first := f.Append(nil, []byte("\x01\x63"))
	got, err := f.Append([]byte("x"), []byte("\x03\x01\x00\x00\x00\x00\x00\x01\x00\x01"))
	if string(got) != "x" || err == nil || !errors.Is(err, first) {
		t.Errorf("after the error: got %q, %v, want nothing more and %v", got, err, first)
	}
	wantError(t, err, Client, Protocol, "type 99 while it may only watch")
}

func TestALongCutTextTakesNoRoom(t *testing.T) {
	var f ViewOnly
	buf := make([]byte, 1<<16)
	out := make([]byte, 0, 1<<16)
	_, _ = f.Append(nil, []byte("\x01\x06\x00\x00\x00\x80\x00\x00\x00")) // the most negative length: 2 GB
	if n := testing.AllocsPerRun(1<<15-1, func() { out, _ = f.Append(out[:0], buf) }); n != 0 {
		t.Errorf("allocated %v times for 64 kB, want never", n)
	}
	if got, err := f.Append(out, []byte("\x03")); string(got) != "\x03" || err != nil {
		t.Errorf("after the text: got %q, %v, want the next message", got, err)
	}
}

func TestWatch(t *testing.T) {
	var said, want strings.Builder
	said.WriteString("\x00")
	want.WriteString("\x01")
	for _, m := range dropped {
		said.WriteString(m)
		for _, p := range passing {
			said.WriteString(p)
			want.WriteString(p)
		}
	}
	for name, cut := range map[string]func(io.Reader) io.Reader{
		"whole": func(r io.Reader) io.Reader { return r }, "by bytes": iotest.OneByteReader, "by halves": iotest.HalfReader,
		"with the end": iotest.DataErrReader,
	} {
		for _, size := range []int{1, 2, 17, 18, 19, 4096} {
			w := Watch(replay{Reader: cut(strings.NewReader(said.String()))}, AlwaysShared)
			var got strings.Builder
			if _, err := io.CopyBuffer(struct{ io.Writer }{&got}, struct{ io.Reader }{w}, make([]byte, size)); err != nil {
				t.Errorf("%s, buffer of %d: %v", name, size, err)
			}
			if got.String() != want.String() {
				t.Errorf("%s, buffer of %d: got %d bytes, want these %d", name, size, got.Len(), want.Len())
			}
		}
	}
	w := Watch(replay{Reader: strings.NewReader("\x01\x96\x01\x00\x00\x00\x00\x04\x00\x03\x00\x63more")}, AsAsked)
	got, err := io.ReadAll(w)
	if string(got) != "\x01\x96\x01\x00\x00\x00\x00\x04\x00\x03\x00" {
		t.Errorf("before an unknown message: got %q", got)
	}
	wantError(t, err, Client, Protocol, "type 99")
}

func TestWatchKeepsTheKindOfConnection(t *testing.T) {
	near, far := sockets(t)
	w := Watch(near, AsAsked)
	half, ok := w.(interface{ CloseWrite() error })
	if !ok {
		t.Fatal("no half-close over a socket")
	}
	if err := half.CloseWrite(); err != nil {
		t.Error(err)
	}
	if err := expectEnd(far); err != nil {
		t.Error(err)
	}
	if err := w.(interface{ Reset() error }).Reset(); err != nil {
		t.Error(err)
	}
	if _, ok := Watch(replay{}, AsAsked).(interface{ CloseWrite() error }); ok {
		t.Error("half-close over what has none")
	}
}

func BenchmarkViewOnly(b *testing.B) {
	for name, text := range map[string]string{
		"requests":     strings.Repeat(passing["FramebufferUpdateRequest"], 100),
		"pointer":      strings.Repeat(dropped["PointerEvent"], 100),
		"cut text":     "\x06\x00\x00\x00\x00\x00\x40\x00" + strings.Repeat("x", 1<<14),
		"a bit of all": strings.Repeat(passing["ClientFence"]+dropped["KeyEvent"]+dropped["PointerEvent"]+passing["FramebufferUpdateRequest"], 40),
	} {
		b.Run(name, func(b *testing.B) {
			f := ViewOnly{begun: true}
			in, out := []byte(text), make([]byte, 0, len(text))
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				out, _ = f.Append(out[:0], in)
			}
		})
	}
}
