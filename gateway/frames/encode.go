package frames

import (
	"encoding/binary"
	"strings"
)

// HeaderMax is the most that AppendHeader appends: a server masks nothing.
const HeaderMax = 10

// AppendHeader appends the header of a binary message of n bytes, which follow.
func AppendHeader(b []byte, n int) []byte { return appendHeader(b, opBinary, n) }

func appendHeader(b []byte, op byte, n int) []byte {
	b = append(b, fin|op)
	switch {
	case n < 126:
		return append(b, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(b, 127), uint64(n)) //nolint:gosec // a length is not negative
	}
}

// AppendControl appends a ping or pong. Of a payload over 125 bytes nothing is left.
func AppendControl(b []byte, op byte, payload []byte) []byte {
	if len(payload) > maxControl {
		payload = nil
	}
	return append(appendHeader(b, op, len(payload)), payload...)
}

// AppendClose appends a close frame; StatusNone is one without a code. A reason that
// does not fit is cut.
func AppendClose(b []byte, code int, reason string) []byte {
	if code == StatusNone {
		return appendHeader(b, OpClose, 0)
	}
	if len(reason) > maxControl-2 {
		reason = strings.ToValidUTF8(reason[:maxControl-2], "")
	}
	b = appendHeader(b, OpClose, 2+len(reason))
	return append(binary.BigEndian.AppendUint16(b, uint16(code)), reason...) //nolint:gosec // codes have 16 bits
}
