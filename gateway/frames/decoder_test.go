package frames_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vdi-gateway/gateway/frames"
)

const (
	fin          = 0x80
	continuation = 0x0
	text         = 0x1
	binaryFrame  = 0x2
	closeFrame   = 0x8
	pingFrame    = 0x9
	pongFrame    = 0xa
)

var mask = [4]byte{0x37, 0xfa, 0x21, 0x3d} // of section 5.7

// long is a frame's header with its length in 64 bits, and a mask.
func long(first byte, n uint64) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{first, 0x80 | 127}, n), mask[:]...)
}

func TestDecoder(t *testing.T) {
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	is := func(first byte, payload string) []byte { return frame(first, payload, mask) }
	kilo := strings.Repeat("x", 1<<10)
	for _, tt := range []struct {
		name string
		raw  []byte
		want verdict
	}{
		{"the masked frame of section 5.7", []byte{0x82, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}, verdict{data: "Hello"}},
		{"fragments", join(is(binaryFrame, "Hel"), is(continuation, ""), is(fin|continuation, "lo")), verdict{data: "Hello"}},
		{"an empty frame", join(is(fin|binaryFrame, ""), is(fin|binaryFrame, "x")), verdict{data: "x", controls: []control{{frames.OpEmpty, "", 0}}, at: []int{0}}},
		{"empty fragments", join(is(binaryFrame, ""), is(continuation, ""), is(fin|continuation, "")), verdict{controls: []control{{frames.OpEmpty, "", 0}}, at: []int{0}}},
		{
			"a ping between fragments", join(is(binaryFrame, "Hel"), is(fin|pingFrame, "there"), is(fin|continuation, "lo")),
			verdict{data: "Hello", controls: []control{{pingFrame, "there", 0}}, at: []int{3}},
		},
		{"a pong, empty", is(fin|pongFrame, ""), verdict{controls: []control{{pongFrame, "", 0}}, at: []int{0}}},
		{"125 bytes", is(fin|binaryFrame, kilo[:125]), verdict{data: kilo[:125]}},
		{"126 bytes", is(fin|binaryFrame, kilo[:126]), verdict{data: kilo[:126]}},
		{"65535 bytes", is(fin|binaryFrame, strings.Repeat(kilo, 64)[1:]), verdict{data: strings.Repeat(kilo, 64)[1:]}},
		{"65536 bytes", is(fin|binaryFrame, strings.Repeat(kilo, 64)), verdict{data: strings.Repeat(kilo, 64)}},
		{"a ping of 125 bytes", is(fin|pingFrame, kilo[:125]), verdict{controls: []control{{pingFrame, kilo[:125], 0}}, at: []int{0}}},
		{"a ping of 126 bytes", is(fin|pingFrame, kilo[:126]), verdict{code: 1002}},
		{"a ping in parts", is(pingFrame, "x"), verdict{code: 1002}},
		{"no mask", []byte("\x82\x05hello"), verdict{code: 1002}},
		{"bit 1 is set", is(fin|0x40|binaryFrame, "x"), verdict{code: 1002}},
		{"bit 3 is set", is(fin|0x10|binaryFrame, "x"), verdict{code: 1002}},
		{"opcode 3", is(fin|3, "x"), verdict{code: 1002}},
		{"opcode 7", is(fin|7, "x"), verdict{code: 1002}},
		{"opcode 11", is(fin|11, "x"), verdict{code: 1002}},
		{"opcode 15", is(fin|15, "x"), verdict{code: 1002}},
		{"a continuation of nothing", is(fin|continuation, "x"), verdict{code: 1002}},
		{"a continuation of a message that has ended", join(is(fin|binaryFrame, "x"), is(fin|continuation, "y")), verdict{data: "x", code: 1002}},
		{"a message inside a message", join(is(binaryFrame, "x"), is(fin|binaryFrame, "y")), verdict{data: "x", code: 1002}},
		{"text", is(fin|text, "hello"), verdict{code: 1003}},
		{"text that is no UTF-8", is(fin|text, "\xff"), verdict{code: 1003}},
		{"5 bytes in the form of 16 bits", join([]byte{0x82, 0x80 | 126, 0, 5}, mask[:], []byte("hello")), verdict{code: 1002}},
		{"5 bytes in the form of 64 bits", long(fin|binaryFrame, 5), verdict{code: 1002}},
		{"65535 bytes in the form of 64 bits", long(fin|binaryFrame, 65535), verdict{code: 1002}},
		{"a negative length", long(fin|binaryFrame, 1<<63), verdict{code: 1002}},
		{"as much as may be", long(fin|binaryFrame, frames.MaxFrame), verdict{}},
		{"more than that", long(fin|binaryFrame, frames.MaxFrame+1), verdict{code: 1009}},
		{"as much as 63 bits can say", long(fin|binaryFrame, 1<<63-1), verdict{code: 1009}},
		{"the end of a header is missing", is(fin|binaryFrame, "x")[:5], verdict{}},
		{"close", is(fin|closeFrame, "\x03\xe8bye"), verdict{controls: []control{{closeFrame, "\x03\xe8bye", 1000}}, at: []int{0}}},
		{"close, no code", is(fin|closeFrame, ""), verdict{controls: []control{{closeFrame, "", 1005}}, at: []int{0}}},
		{"close, one byte", is(fin|closeFrame, "\x03"), verdict{code: 1002}},
		{"close, a reason that is no UTF-8", is(fin|closeFrame, "\x03\xe8\xc3("), verdict{code: 1007}},
		{"bytes behind it", join(is(fin|closeFrame, ""), []byte("x")), verdict{controls: []control{{closeFrame, "", 1005}}, at: []int{0}, over: true}},
		{"data, then close", join(is(fin|binaryFrame, "last"), is(fin|closeFrame, "")), verdict{data: "last", controls: []control{{closeFrame, "", 1005}}, at: []int{4}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, size := range []int{1, 2, 3, 7, 1 << 20} {
				if diff := cmp.Diff(tt.want, decoded(tt.raw, []int{size}), cmp.AllowUnexported(verdict{}, control{})); diff != "" {
					t.Errorf("by %d bytes (-want +got):\n%s", size, diff)
				}
			}
		})
	}
}

// Every code there is: the registry of section 7.4.1 with 1012 to 1014, and the
// ranges that belong to libraries and to applications.
func TestCloseCodes(t *testing.T) {
	for code := range 1 << 16 {
		allowed := code >= 3000 && code < 5000
		switch code {
		case 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014:
			allowed = true
		}
		got := decoded(frame(fin|closeFrame, string([]byte{byte(code >> 8), byte(code)}), mask), nil)
		if allowed && (len(got.controls) != 1 || got.controls[0].code != code) || !allowed && got.code != 1002 {
			t.Errorf("code %d: got %+v, want it allowed: %v", code, got, allowed)
		}
	}
}

// A violation is the end, whoever goes on asking.
func TestNothingFollowsAViolation(t *testing.T) {
	var d frames.Decoder
	_, _, _, err := d.Next(frame(fin|3, "x", mask))
	var v *frames.Violation
	if !errors.As(err, &v) {
		t.Fatalf("got %v, want a violation", err)
	}
	data, rest, c, err := d.Next(frame(fin|binaryFrame, "hello", mask))
	if len(data)+len(rest) > 0 || c.Op != 0 || !errors.Is(err, frames.ErrClosed) {
		t.Errorf("got %q, %q, %+v, %v, want ErrClosed alone", data, rest, c, err)
	}
}

// aClient draws what a client sends: mostly what it may.
func aClient() *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		var raw []byte
		inside := false
		for range rapid.IntRange(0, 12).Draw(t, "frames") {
			first := rapid.SampledFrom([]byte{fin | binaryFrame, binaryFrame, fin | pingFrame, fin | pongFrame}).Draw(t, "kind")
			if inside && first&0x0f == binaryFrame {
				first ^= binaryFrame
			}
			most := 300
			if first&0x08 != 0 {
				most = 125
			} else {
				inside = first&fin == 0
				if rapid.IntRange(0, 20).Draw(t, "large") == 0 {
					most = 70000
				}
			}
			payload := rapid.SliceOfN(rapid.Byte(), 0, most).Draw(t, "payload")
			raw = append(raw, frame(first, string(payload), [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "mask")))...)
		}
		if rapid.IntRange(0, 3).Draw(t, "damage") == 0 && len(raw) > 0 {
			raw[rapid.IntRange(0, len(raw)-1).Draw(t, "where")] ^= rapid.Byte().Draw(t, "bits")
		}
		if rapid.Bool().Draw(t, "closes") {
			raw = append(raw, frame(fin|closeFrame, string(rapid.SliceOfN(rapid.Byte(), 0, 4).Draw(t, "code")), mask)...)
		}
		return raw
	})
}

// However the bytes are cut into reads, they mean what the reference says.
func TestAnySplitMeansTheSame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		raw := aClient().Draw(rt, "raw")
		sizes := rapid.SliceOfN(rapid.IntRange(1, 200), 1, 50).Draw(rt, "sizes")
		if diff := cmp.Diff(reference(raw), decoded(raw, sizes), cmp.AllowUnexported(verdict{}, control{})); diff != "" {
			rt.Errorf("(-reference +decoder):\n%s", diff)
		}
	})
}

func FuzzDecoder(f *testing.F) {
	f.Add(frame(fin|binaryFrame, "hello", mask), uint16(1))
	f.Add(append(frame(binaryFrame, "hel", mask), frame(fin|pingFrame, "there", mask)...), uint16(3))
	f.Add(append(frame(fin|pongFrame, "", mask), frame(fin|closeFrame, "\x03\xe8bye", mask)...), uint16(0))
	f.Add(long(fin|binaryFrame, 1<<16), uint16(5))
	f.Fuzz(func(t *testing.T, raw []byte, size uint16) {
		if diff := cmp.Diff(reference(raw), decoded(raw, []int{int(size)}), cmp.AllowUnexported(verdict{}, control{})); diff != "" {
			t.Errorf("(-reference +decoder):\n%s", diff)
		}
	})
}

// The payload is where the frame was: nothing is allocated for it.
func TestDecodingTakesNoMemory(t *testing.T) {
	raw := frame(fin|binaryFrame, strings.Repeat("x", 60<<10), mask)
	var d frames.Decoder
	if got := testing.AllocsPerRun(100, func() { _, _, _, _ = d.Next(raw) }); got > 0 {
		t.Errorf("got %v allocations a read, want none", got)
	}
}

func BenchmarkDecoder(b *testing.B) {
	for _, tt := range []struct {
		name string
		size int
	}{{"1", 1}, {"16", 16}, {"1k", 1 << 10}, {"60k", 60 << 10}} {
		b.Run(tt.name, func(b *testing.B) {
			one := frame(fin|binaryFrame, strings.Repeat("x", tt.size), mask)
			raw := bytes.Repeat(one, max(1, (60<<10)/len(one)))
			buf := make([]byte, len(raw))
			b.SetBytes(int64(len(raw)))
			var d frames.Decoder
			for b.Loop() {
				copy(buf, raw)
				if _, _, _, err := d.Next(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
