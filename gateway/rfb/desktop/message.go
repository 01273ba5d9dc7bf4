package desktop

import (
	"encoding/binary"
	"fmt"
	"image"
	"io"
	"time"
)

// Message types a client sends (RFC 6143 section 7.5).
const (
	setPixelFormat       = 0
	setEncodings         = 2
	updateRequest        = 3
	keyEvent             = 4
	pointerEvent         = 5
	clientCutText        = 6
	maxCutText           = 1 << 20
	cutTextShown         = 40
	encodingRaw    int32 = 0
	encodingHex    int32 = 5
)

// read handles the client's messages until it leaves or breaks the protocol.
func (c *client) read() error {
	for {
		if err := c.conn.SetReadDeadline(time.Time{}); err != nil {
			return err
		}
		kind, err := c.in.ReadByte()
		if err != nil {
			return err
		}
		if err := c.conn.SetReadDeadline(time.Now().Add(messageTimeout)); err != nil {
			return err
		}
		if err := c.message(kind); err != nil {
			return fmt.Errorf("message %d: %w", kind, err)
		}
	}
}

func (c *client) message(kind byte) error {
	switch kind {
	case setPixelFormat:
		return c.readPixelFormat()
	case setEncodings:
		return c.readEncodings()
	case updateRequest:
		return c.readUpdateRequest()
	case keyEvent:
		return c.readKey()
	case pointerEvent:
		return c.readPointer()
	case clientCutText:
		return c.readCutText()
	default:
		return fmt.Errorf("%w: unknown type", errProtocol)
	}
}

func (c *client) readPixelFormat() error {
	var b [19]byte
	if _, err := io.ReadFull(c.in, b[:]); err != nil {
		return err
	}
	f, err := parsePixelFormat([16]byte(b[3:]))
	if err != nil {
		return err
	}
	pixels := newConverter(f)
	c.desk.mu.Lock()
	defer c.desk.mu.Unlock()
	c.pixels, c.sendMap = pixels, !f.trueColour
	return nil
}

// readEncodings takes the first encoding of the list that is spoken here.
func (c *client) readEncodings() error {
	var head [3]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return err
	}
	chosen, known := encodingRaw, false
	for range binary.BigEndian.Uint16(head[1:]) {
		var b [4]byte
		if _, err := io.ReadFull(c.in, b[:]); err != nil {
			return err
		}
		e := int32(binary.BigEndian.Uint32(b[:]))
		if !known && (e == encodingRaw || e == encodingHex) {
			chosen, known = e, true
		}
	}
	c.desk.mu.Lock()
	defer c.desk.mu.Unlock()
	c.hextile = chosen == encodingHex
	return nil
}

// readUpdateRequest notes what the client wants. Requests that come before
// the answer are answered together, for the rectangle around them.
func (c *client) readUpdateRequest() error {
	var b [9]byte
	if _, err := io.ReadFull(c.in, b[:]); err != nil {
		return err
	}
	x, y := u16(b[1:]), u16(b[3:])
	d := c.desk
	asked := image.Rect(x, y, x+u16(b[5:]), y+u16(b[7:])).Intersect(d.canvas.bounds())
	if asked.Empty() {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	c.want = c.want.Union(asked)
	if b[0] == 0 {
		c.outOfDate.add(asked)
	}
	d.poke()
	return nil
}

func (c *client) readKey() error {
	var b [7]byte
	if _, err := io.ReadFull(c.in, b[:]); err != nil {
		return err
	}
	if b[0] != 0 {
		c.desk.happen(keyPress{sym: binary.BigEndian.Uint32(b[3:])})
	}
	return nil
}

func (c *client) readPointer() error {
	var b [5]byte
	if _, err := io.ReadFull(c.in, b[:]); err != nil {
		return err
	}
	pressed := b[0] &^ c.buttons
	c.buttons = b[0]
	c.desk.happen(pointerAt{x: u16(b[1:]), y: u16(b[3:]), pressed: pressed})
	return nil
}

// readCutText shows the beginning of the client's clipboard and reads over
// the rest, however long: the message's deadline bounds it.
func (c *client) readCutText() error {
	var b [7]byte
	if _, err := io.ReadFull(c.in, b[:]); err != nil {
		return err
	}
	size := int64(binary.BigEndian.Uint32(b[3:]))
	if size > maxCutText {
		_, err := io.CopyN(io.Discard, c.in, size)
		return err
	}
	text := make([]byte, min(size, cutTextShown))
	if _, err := io.ReadFull(c.in, text); err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, c.in, size-int64(len(text))); err != nil {
		return err
	}
	c.desk.happen(clipboard{text: string(text), size: int(size)})
	return nil
}

func u16(b []byte) int { return int(binary.BigEndian.Uint16(b)) }
