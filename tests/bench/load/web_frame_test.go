package load

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// script is a pipe whose other end has sent all it sends; it gives so many bytes
// at a time.
type script struct {
	in   []byte
	step int
	sent []byte
}

func (s *script) send(b []byte) error { s.sent = append(s.sent, b...); return nil }

func (s *script) receive(b []byte) (int, error) {
	if len(s.in) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), s.step)], s.in)
	s.in = s.in[n:]
	return n, nil
}

func (s *script) drop(n int64) (int64, error) {
	got, err := s.receive(make([]byte, n))
	return int64(got), err
}

// frame is one that a server sends.
func frame(first byte, payload string) string {
	switch n := len(payload); {
	case n < 126:
		return string([]byte{first, byte(n)}) + payload
	case n < 1<<16:
		return string([]byte{first, 126, byte(n >> 8), byte(n)}) + payload
	default:
		return string([]byte{first, 127, 0, 0, 0, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + payload
	}
}

func TestFramesAreOneStream(t *testing.T) {
	small, medium, large := "small", strings.Repeat("medium", 100), strings.Repeat("large ", 20000)
	wire := frame(0x82, small) + frame(0x89, "a ping") + frame(0x02, medium) + frame(0x00, "") + frame(0x8a, "") +
		frame(0x80, large) + frame(0x82, small) + frame(0x88, "\x03\xe8")
	want := small + medium + large + small
	for _, buffer := range []int{headerMax, 64, 4096, 1 << 20} {
		for _, step := range []int{1, 3, 1000, 1 << 20} {
			f := newFrames(&script{in: []byte(wire[7:]), step: step}, buffer, []byte(wire[:7]))
			got, err := io.ReadAll(f)
			if string(got) != want || !errors.Is(err, errClosed) {
				t.Errorf("buffer %d, step %d: got %d bytes and %v, want %d and a close", buffer, step, len(got), err, len(want))
			}
			f = newFrames(&script{in: []byte(wire[7:]), step: step}, buffer, []byte(wire[:7]))
			total, n := int64(0), int64(0)
			for err = nil; err == nil; total += n {
				n, err = f.discard()
			}
			if total != int64(len(want)) || !errors.Is(err, errClosed) {
				t.Errorf("buffer %d, step %d: threw away %d bytes and %v, want %d and a close", buffer, step, total, err, len(want))
			}
		}
	}
}

func TestFramesThatNoServerSends(t *testing.T) {
	for name, wire := range map[string]string{
		"text": "\x81\x01a", "masked": "\x82\x81abcda", "reserved": "\x83\x00", "negative length": "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
	} {
		if _, err := parseHeader([]byte(wire)); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
}

func TestWrittenFramesAreMasked(t *testing.T) {
	for _, size := range []int{0, 1, 7, 125, 126, 127, 65535, 65536, 100000} {
		payload := bytes.Repeat([]byte("0123456"), size/7+1)[:size]
		s := &script{}
		f := newFrames(s, 64, nil)
		if _, err := f.Write(payload); err != nil {
			t.Fatal(err)
		}
		if s.sent[1]&maskedBit == 0 {
			t.Errorf("%d bytes: the frame is not masked", size)
		}
		s.sent[1] &^= maskedBit
		h, err := parseHeader(s.sent)
		if err != nil || h.payload != int64(size) || len(s.sent) != h.size+maskBytes+size {
			t.Fatalf("%d bytes: got %+v, %v and %d bytes in all", size, h, err, len(s.sent))
		}
		key, got := s.sent[h.size:h.size+maskBytes], s.sent[h.size+maskBytes:]
		for i := range got {
			got[i] ^= key[i%maskBytes]
		}
		if !bytes.Equal(got, payload) {
			t.Errorf("%d bytes: the payload is another one", size)
		}
	}
}
