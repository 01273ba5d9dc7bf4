package rfb

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
)

// maxReason is how much of a reason is kept. What is longer is replaced: it is written for
// people, and nobody needs a page to say no.
const maxReason = 256

// peer is the other side of a handshake. It reads exactly what it is asked for, so that
// nothing that comes afterwards is lost with it.
type peer struct {
	conn net.Conn
	side Side
	step string // what is being done, for errors
	hint string // what may be behind it if the connection ends now
}

func (p *peer) fail(kind Kind, format string, args ...any) *Error {
	return failure(p.side, kind, format, args...)
}

// broken is what an error of the connection means.
func (p *peer) broken(err error) *Error {
	e := &Error{Side: p.side, Kind: Closed, Err: err}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		e.Kind, e.Text = Timeout, "the time was up during the "+p.step
	default:
		e.Text = "the connection ended during the " + p.step + p.hint
	}
	return e
}

func (p *peer) read(b []byte) error {
	if _, err := io.ReadFull(p.conn, b); err != nil {
		return p.broken(err)
	}
	return nil
}

func (p *peer) readByte() (byte, error) {
	var b [1]byte
	err := p.read(b[:])
	return b[0], err
}

func (p *peer) readU32() (uint32, error) {
	var b [4]byte
	err := p.read(b[:])
	return binary.BigEndian.Uint32(b[:]), err
}

func (p *peer) write(b ...byte) error {
	if _, err := p.conn.Write(b); err != nil {
		return p.broken(err)
	}
	return nil
}

func (p *peer) writeU32(n uint32) error {
	return p.write(binary.BigEndian.AppendUint32(nil, n)...)
}

// readReason reads why the other side says no, quoted. It does not fail: what it explains
// has happened already.
func (p *peer) readReason() string {
	size, err := p.readU32()
	switch {
	case err != nil || size == 0:
		return "no reason given"
	case size > maxReason:
		return fmt.Sprintf("a reason of %d bytes, not read", size)
	}
	text := make([]byte, size)
	if err := p.read(text); err != nil {
		return "no reason given"
	}
	return fmt.Sprintf("%q", bytes.TrimRight(text, "\x00\r\n ")) // QEMU counts C's zero
}

// hear reads the other side's version. The first bytes are looked at before the rest is
// waited for: who speaks something else may have said all it will.
func (p *peer) hear() (major, minor int, err error) {
	p.step = "version"
	var b [versionLength]byte
	const mark = len("RFB ")
	if n, err := io.ReadFull(p.conn, b[:mark]); string(b[:n]) != "RFB "[:n] {
		return 0, 0, p.stranger(b[:n])
	} else if err != nil {
		return 0, 0, p.broken(err)
	}
	if err := p.read(b[mark:]); err != nil {
		return 0, 0, err
	}
	major, minor, ok := parseVersion(b)
	if !ok {
		return 0, 0, p.stranger(b[:])
	}
	return major, minor, nil
}

// stranger is the error for who does not speak RFB.
func (p *peer) stranger(said []byte) *Error {
	role := "client"
	if p.side == VM {
		role = "server"
	}
	return p.fail(NotRFB, "this is not a VNC %s: it says %q%s", role, said, guess(said))
}

// guess names what a stranger speaks.
func guess(said []byte) string {
	for _, known := range []struct{ start, name string }{
		{"SSH-", "SSH"},
		{"HTTP", "HTTP"},
		{"GET ", "HTTP"},
		{"HEAD", "HTTP"},
		{"POST", "HTTP"},
		{"\x16\x03", "TLS"},
		{"\x15\x03", "TLS"},
		{"\x03\x00\x00", "RDP"},
	} {
		if len(said) >= len(known.start) && string(said[:len(known.start)]) == known.start {
			return ", which looks like " + known.name
		}
	}
	return ""
}
