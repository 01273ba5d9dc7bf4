package load

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Frames of RFC 6455, section 5.2, as far as a client needs them: what it sends
// is masked and whole, what it gets is not masked.
const (
	finalBinary  = 0x82
	opcodeBits   = 0x0f
	maskedBit    = 0x80
	lengthBits   = 0x7f
	length16     = 126 // two bytes of length follow
	length64     = 127 // eight bytes of length follow
	headerMax    = 10  // of a frame without a mask
	maskBytes    = 4
	continuation = 0x0
	binaryFrame  = 0x2
	closeFrame   = 0x8
	pingFrame    = 0x9
	pongFrame    = 0xa
)

// errClosed is what a close frame means to who still expects data.
var errClosed = errors.New("the WebSocket was closed")

// header is the beginning of a frame.
type header struct {
	size    int   // its own bytes; 0: some are still to come
	payload int64 // bytes that follow
	data    bool  // they are the stream's; false: a ping or pong
}

// parseHeader reads the header that b begins with.
func parseHeader(b []byte) (h header, err error) {
	if len(b) < 2 {
		return header{}, nil
	}
	switch b[0] & opcodeBits {
	case binaryFrame, continuation:
		h.data = true
	case pingFrame, pongFrame:
	case closeFrame:
		return header{}, errClosed
	default:
		return header{}, fmt.Errorf("a frame of type %#x came", b[0]&opcodeBits)
	}
	if b[1]&maskedBit != 0 {
		return header{}, errors.New("a masked frame came")
	}
	h.size, h.payload = 2, int64(b[1])
	switch {
	case h.payload == length16 && len(b) >= 4:
		h.size, h.payload = 4, int64(binary.BigEndian.Uint16(b[2:]))
	case h.payload == length64 && len(b) >= headerMax:
		h.size, h.payload = headerMax, int64(binary.BigEndian.Uint64(b[2:]))
	case h.payload >= length16:
		return header{}, nil
	}
	if h.payload < 0 {
		return header{}, errors.New("a frame of more than 2^63 bytes came")
	}
	return h, nil
}

// appendFrame adds a binary frame of the payload to b, masked with a key.
func appendFrame(b, payload []byte, key uint32) []byte {
	b = append(b, finalBinary)
	switch n := len(payload); {
	case n < length16:
		b = append(b, maskedBit|byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, maskedBit|length16), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, maskedBit|length64), uint64(n))
	}
	b = binary.LittleEndian.AppendUint32(b, key)
	start := len(b)
	b = append(b, payload...)
	mask(b[start:], key)
	return b
}

// mask applies a key to all bytes, eight at a time.
func mask(b []byte, key uint32) {
	double := uint64(key)<<32 | uint64(key)
	for ; len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^double)
	}
	for i := range b {
		b[i] ^= byte(key >> (8 * (i % maskBytes)))
	}
}

// pipe is what frames travel on.
type pipe interface {
	send(b []byte) error
	// receive reads at least one byte.
	receive(b []byte) (int, error)
	// drop throws away at least one byte and at most n.
	drop(n int64) (int64, error)
}

// frames is the client's end of a WebSocket: an io.Reader of the stream that
// binary frames carry, an io.Writer that makes a frame of every piece. One
// goroutine may read while another writes.
type frames struct {
	pipe pipe

	// of the reader
	buf  []byte // what was received
	rest []byte // of buf, not yet looked at
	left int64  // bytes of the frame whose header was read last
	data bool   // they are the stream's

	// of the writer
	out []byte
	key uint32 // of the frame to come
}

// newFrames begins with what was received behind the handshake. A small buffer
// holds several small frames, and little of a large one is copied.
func newFrames(p pipe, buffer int, begun []byte) *frames {
	f := &frames{pipe: p, buf: make([]byte, max(buffer, len(begun))), key: 0x9e3779b9}
	f.rest = f.buf[:copy(f.buf, begun)]
	return f
}

// begin reads on to a frame with bytes of the stream.
func (f *frames) begin() error {
	for {
		for f.left == 0 {
			if err := f.header(); err != nil {
				return err
			}
		}
		if f.data {
			return nil
		}
		if _, err := f.some(f.left); err != nil {
			return err
		}
	}
}

func (f *frames) header() error {
	for {
		h, err := parseHeader(f.rest)
		if err != nil {
			return err
		}
		if h.size > 0 {
			f.rest, f.left, f.data = f.rest[h.size:], h.payload, h.data
			return nil
		}
		kept := copy(f.buf, f.rest)
		n, err := f.pipe.receive(f.buf[kept:])
		if err != nil {
			return err
		}
		f.rest = f.buf[:kept+n]
	}
}

// some throws away some of the frame, up to n bytes.
func (f *frames) some(n int64) (int64, error) {
	if have := min(n, int64(len(f.rest))); have > 0 {
		f.rest, f.left = f.rest[have:], f.left-have
		return have, nil
	}
	n, err := f.pipe.drop(n)
	f.left -= n
	return n, err
}

// discard throws away some bytes of the stream and says how many.
func (f *frames) discard() (int64, error) {
	if err := f.begin(); err != nil {
		return 0, err
	}
	return f.some(f.left)
}

// Read reads some bytes of the stream.
func (f *frames) Read(b []byte) (n int, err error) {
	if err := f.begin(); err != nil {
		return 0, err
	}
	b = b[:min(int64(len(b)), f.left)]
	if n = copy(b, f.rest); n > 0 {
		f.rest = f.rest[n:]
	} else if n, err = f.pipe.receive(b); err != nil {
		return 0, err
	}
	f.left -= int64(n)
	return n, nil
}

// Write sends a frame.
func (f *frames) Write(b []byte) (int, error) {
	f.out = appendFrame(f.out[:0], b, f.key)
	f.key = f.key*1664525 + 1013904223 // another one; nobody has to be unable to guess it
	return len(b), f.pipe.send(f.out)
}
