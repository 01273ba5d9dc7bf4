package frames

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Status codes of section 7.4.1.
const (
	StatusNormal      = 1000
	StatusGoingAway   = 1001
	StatusProtocol    = 1002
	StatusUnsupported = 1003
	StatusNone        = 1005 // never sent: a close frame had no code
	StatusInvalidText = 1007
	StatusTooBig      = 1009
	StatusInternal    = 1011
)

// Violation is what a client did against the protocol, and the code to close with.
type Violation struct {
	Code   int
	Reason string
}

// Error says what it was.
func (v *Violation) Error() string { return fmt.Sprintf("WebSocket: %s (%d)", v.Reason, v.Code) }

func violation(code int, reason string) error { return &Violation{code, reason} }

// ErrClosed is what a Decoder says of bytes behind a close frame or a violation.
var ErrClosed = errors.New("WebSocket: bytes behind its end")

// closeCode reads the payload of a close frame, section 7.4.
func closeCode(p []byte) (int, error) {
	if len(p) == 0 {
		return StatusNone, nil
	}
	if len(p) == 1 {
		return 0, violation(StatusProtocol, "a close code of one byte")
	}
	code := int(binary.BigEndian.Uint16(p))
	switch {
	case !mayBeSent(code):
		return 0, violation(StatusProtocol, fmt.Sprintf("a close code that nobody may send: %d", code))
	case !utf8.Valid(p[2:]):
		return 0, violation(StatusInvalidText, "a reason that is no UTF-8")
	}
	return code, nil
}

// mayBeSent is the registry of section 7.4.1 with what was added since.
func mayBeSent(code int) bool {
	return code >= 1000 && code <= 1003 || code >= 1007 && code <= 1014 || code >= 3000 && code <= 4999
}
