package frames

import (
	"encoding/binary"
)

// Opcodes of section 5.2.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	OpClose        = 0x8
	OpPing         = 0x9
	OpPong         = 0xa
	// OpEmpty stands for a message without a byte, by which the page of the console asks
	// for a sign of life: browsers let nobody ping. It is no opcode of the RFC.
	OpEmpty = 0x10
)

const (
	fin        = 0x80
	reserved   = 0x70
	masked     = 0x80
	maxHeader  = 14
	maxControl = 125
	// MaxFrame bounds what a client may announce, in bytes. Nothing is kept of a
	// frame, so it bounds no memory: more is no desktop's stream.
	MaxFrame = 16 << 20
)

// Control is a control frame, or an empty message, that has come. The zero value is none.
type Control struct {
	Op      byte
	Payload []byte // until the next call
	Code    int    // of OpClose; StatusNone: it had none
}

// Decoder takes a client's bytes apart. The zero value is ready for the first ones.
type Decoder struct {
	head    [maxHeader]byte
	have    uint8 // bytes of head
	op      byte  // of the frame that is under way
	last    bool  // it is the last of its message
	inside  bool  // a message has begun and not ended
	some    bool  // and it has payload
	begun   bool  // the header is complete
	closed  bool  // nothing may follow
	left    int   // bytes of payload still to come
	key     [4]byte
	at      int    // position in key
	control []byte // payload of a control frame, while it is incomplete
}

// Next takes bytes as they came off the wire. It returns the payload of data among
// them, unmasked, at the beginning of raw, and what is left of raw when a control
// frame ended there: call it again with that. An error is a *Violation, or ErrClosed;
// payload that came before it is returned as well.
func (d *Decoder) Next(raw []byte) (data, rest []byte, c Control, err error) {
	kept := 0
	for rest = raw; len(rest) > 0 && c.Op == 0; {
		n := 0
		switch {
		case d.closed:
			return raw[:kept], nil, Control{}, ErrClosed
		case !d.begun:
			n, err = d.header(rest)
		case d.op >= OpClose:
			n = d.unmask(rest)
			d.control = append(d.control, rest[:n]...)
		default:
			n = d.unmask(rest)
			d.some = d.some || n > 0
			kept += copy(raw[kept:], rest[:n])
		}
		rest = rest[n:]
		if err == nil && d.begun && d.left == 0 {
			c, err = d.end()
		}
		if err != nil {
			d.closed = true
			return raw[:kept], nil, Control{}, err
		}
	}
	return raw[:kept], rest, c, nil
}

// header takes bytes until the header is complete, and returns how many. It does not
// wait for more of a bad one.
func (d *Decoder) header(raw []byte) (n int, err error) {
	for n < len(raw) && !d.begun && err == nil {
		d.head[d.have] = raw[n]
		d.have++
		n++
		if d.have == 2 {
			err = d.checkFirst()
		} else if d.have > 2 && int(d.have) == headerSize(d.head[1]) {
			err = d.begin()
		}
	}
	return n, err
}

// headerSize is that of a masked frame whose second byte is b.
func headerSize(b byte) int {
	switch b &^ masked {
	case 126:
		return 2 + 2 + 4
	case 127:
		return 2 + 8 + 4
	default:
		return 2 + 4
	}
}

// checkFirst judges the first two bytes of a frame.
func (d *Decoder) checkFirst() error {
	op, short := d.head[0]&0x0f, d.head[1]&^masked
	switch {
	case d.head[0]&reserved != 0:
		return violation(StatusProtocol, "reserved bits are set")
	case op > opBinary && op < OpClose || op > OpPong:
		return violation(StatusProtocol, "an unknown opcode")
	case d.head[1]&masked == 0:
		return violation(StatusProtocol, "a frame of a client must be masked")
	case op == opText:
		return violation(StatusUnsupported, "binary frames only")
	case op == opBinary && d.inside:
		return violation(StatusProtocol, "a message begins inside another")
	case op == opContinuation && !d.inside:
		return violation(StatusProtocol, "a continuation of no message")
	case op >= OpClose && d.head[0]&fin == 0:
		return violation(StatusProtocol, "a control frame in parts")
	case op >= OpClose && short > maxControl:
		return violation(StatusProtocol, "a control frame of more than 125 bytes")
	}
	return nil
}

// begin reads a complete header.
func (d *Decoder) begin() error {
	length, least := uint64(d.head[1]&^masked), uint64(0)
	switch length {
	case 126:
		length, least = uint64(binary.BigEndian.Uint16(d.head[2:])), 126
	case 127:
		length, least = binary.BigEndian.Uint64(d.head[2:]), 1<<16
	}
	switch {
	case length>>63 != 0:
		return violation(StatusProtocol, "a negative length")
	case length < least:
		return violation(StatusProtocol, "a length in another form than the shortest")
	case length > MaxFrame:
		return violation(StatusTooBig, "a frame of more than 16 MiB")
	}
	copy(d.key[:], d.head[d.have-4:])
	d.op, d.last, d.left, d.at = d.head[0]&0x0f, d.head[0]&fin != 0, int(length), 0
	d.begun, d.control = true, d.control[:0]
	return nil
}

// unmask takes what of raw is payload of the frame, and returns how much that is. It
// is section 5.3, some bytes at a time.
func (d *Decoder) unmask(raw []byte) (n int) {
	b := raw[:min(d.left, len(raw))]
	var turned [8]byte
	for i := range turned {
		turned[i] = d.key[(d.at+i)&3]
	}
	word := binary.NativeEndian.Uint64(turned[:])
	for ; n+32 <= len(b); n += 32 {
		p := b[n : n+32 : n+32]
		binary.NativeEndian.PutUint64(p[0:], binary.NativeEndian.Uint64(p[0:])^word)
		binary.NativeEndian.PutUint64(p[8:], binary.NativeEndian.Uint64(p[8:])^word)
		binary.NativeEndian.PutUint64(p[16:], binary.NativeEndian.Uint64(p[16:])^word)
		binary.NativeEndian.PutUint64(p[24:], binary.NativeEndian.Uint64(p[24:])^word)
	}
	for ; n < len(b); n++ {
		b[n] ^= turned[n&7]
	}
	d.at, d.left = (d.at+n)&3, d.left-n
	return n
}

// end finishes the frame whose last byte has come.
func (d *Decoder) end() (c Control, err error) {
	d.begun, d.have = false, 0
	if d.op < OpClose {
		d.inside = !d.last
		if empty := !d.some; d.last {
			d.some = false
			if empty {
				c.Op = OpEmpty
			}
		}
		return c, nil
	}
	c = Control{Op: d.op, Payload: d.control}
	if d.op == OpClose {
		d.closed = true
		c.Code, err = closeCode(c.Payload)
	}
	return c, err
}
