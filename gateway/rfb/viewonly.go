package rfb

import "encoding/binary"

// ViewOnly filters what a client says from ClientInit on (RFC 6143 sections 7.3.1 and 7.5),
// so that it sees the desktop and changes nothing there: keys, pointer and other input
// devices, clipboard, the size of the screen and the power switch are dropped; what asks for
// the picture and for sound passes. The zero value is ready for a new session. It holds some
// tens of bytes, and one goroutine may use it.
//
// A message that is not known ends the session: how long it is cannot be known either, and
// what was taken for its end could be a key.
type ViewOnly struct {
	Shared Shared // what becomes of the client's wish to share

	begun     bool              // ClientInit is over
	head      [longestHead]byte // a message's beginning, until its fate can be told
	have      int               // so many bytes of it
	rest      int64             // bytes that are left of the message after its head
	drop      bool              // what becomes of them
	encodings int               // heads of a SetEncodings that are left
	extended  bool              // PointerEvents may have a byte more
	err       error             // of before
}

// Append adds to dst what may pass of src, and returns it. How the stream is cut into src
// makes no difference to what passes in all. An error, which is an *Error, is final: what
// came before it has been added.
func (f *ViewOnly) Append(dst, src []byte) ([]byte, error) {
	for len(src) > 0 && f.err == nil {
		if f.rest > 0 {
			n := min(f.rest, int64(len(src)))
			if !f.drop {
				dst = append(dst, src[:n]...)
			}
			f.rest -= n
			src = src[n:]
			continue
		}
		n := copy(f.head[f.have:f.need()], src)
		f.have += n
		src = src[n:]
		if f.have == f.need() {
			dst = f.decide(dst)
		}
	}
	return dst, f.err
}

// need is how long the head is that f is in.
func (f *ViewOnly) need() int {
	switch {
	case !f.begun:
		return 1
	case f.encodings > 0:
		return encodingLength
	}
	return headLength(f.head[:f.have])
}

// decide deals with a complete head.
func (f *ViewOnly) decide(dst []byte) []byte {
	head := f.head[:f.have]
	f.have = 0
	switch {
	case !f.begun:
		f.begun = true
		return append(dst, f.Shared.Flag(head[0]))
	case f.encodings > 0:
		f.encodings--
		f.extended = f.extended || int32(binary.BigEndian.Uint32(head)) == extendedMouseButtons
		return append(dst, head...)
	}
	f.drop, f.rest, f.err = fate(head, f.extended)
	if f.err != nil || f.drop {
		return dst
	}
	if head[0] == setEncodings {
		// They pass one by one, and are looked at.
		f.encodings, f.rest = int(f.rest)/encodingLength, 0
	}
	return append(dst, head...)
}
