package desktop

import (
	"context"
	"encoding/binary"
	"image"
	"time"
)

const (
	framebufferUpdate  = 0
	setColourMap       = 1
	bandPixels         = 1 << 15 // pixels encoded in one go, under the lock
	flushBytes         = 1 << 16 // bytes gathered before they are written
	tileSide           = 16
	colourMapEntries   = 256
	rectangleHeaderLen = 12
)

// update is one answer to the client's requests. It keeps the format and the
// encoding it was begun with to its end.
type update struct {
	pixels  *converter
	hextile bool
	sendMap bool
	bands   []image.Rectangle
}

// write sends updates when there is something the client asked for.
func (c *client) write(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.ready:
		}
		if u, ok := c.take(); ok && c.send(u) != nil {
			return
		}
	}
}

// take turns what is wanted and out of date into an update; the client is
// then taken to have it. What changes while it is on its way is out of date
// again, and goes with the next one.
func (c *client) take() (update, bool) {
	c.desk.mu.Lock()
	defer c.desk.mu.Unlock()
	fresh := c.outOfDate.take(c.want)
	if len(fresh) == 0 {
		return update{}, false
	}
	u := update{pixels: c.pixels, hextile: c.hextile, sendMap: c.sendMap}
	for _, r := range fresh {
		u.bands = append(u.bands, bands(r)...)
	}
	c.want, c.sendMap = image.Rectangle{}, false
	return u, true
}

// bands cuts r into rectangles of about bandPixels, so that neither a buffer
// nor the time the lock is held grows with the screen.
func bands(r image.Rectangle) []image.Rectangle {
	rows := max(tileSide, bandPixels/r.Dx()/tileSide*tileSide)
	var all []image.Rectangle
	for y := r.Min.Y; y < r.Max.Y; y += rows {
		all = append(all, image.Rect(r.Min.X, y, r.Max.X, min(y+rows, r.Max.Y)))
	}
	return all
}

func (c *client) send(u update) error {
	c.buf = c.buf[:0]
	if u.sendMap {
		c.buf = appendColourMap(c.buf)
	}
	c.buf = append(c.buf, framebufferUpdate, 0)
	c.buf = binary.BigEndian.AppendUint16(c.buf, uint16(len(u.bands)))
	for _, r := range u.bands {
		c.encode(u, r)
		if len(c.buf) < flushBytes {
			continue
		}
		if err := c.flush(); err != nil {
			return err
		}
	}
	return c.flush()
}

func (c *client) flush() error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := c.conn.Write(c.buf)
	c.buf = c.buf[:0]
	return err
}

// encode appends one rectangle (RFC 6143 section 7.6.1).
func (c *client) encode(u update, r image.Rectangle) {
	c.desk.mu.Lock()
	defer c.desk.mu.Unlock()
	for _, v := range []int{r.Min.X, r.Min.Y, r.Dx(), r.Dy()} {
		c.buf = binary.BigEndian.AppendUint16(c.buf, uint16(v))
	}
	encoding := encodingRaw
	if u.hextile {
		encoding = encodingHex
	}
	c.buf = binary.BigEndian.AppendUint32(c.buf, uint32(encoding))
	if u.hextile {
		c.buf = appendHextile(c.buf, c.desk.canvas, r, u.pixels)
		return
	}
	for y := r.Min.Y; y < r.Max.Y; y++ {
		c.buf = u.pixels.appendAll(c.buf, c.desk.canvas.row(y, r.Min.X, r.Max.X))
	}
}

// appendColourMap is the message of RFC 6143 section 7.6.2: 256 entries that
// hold 3 bits of red, 3 of green and 2 of blue, as mapFormat counts them.
func appendColourMap(dst []byte) []byte {
	dst = append(dst, setColourMap, 0, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, colourMapEntries)
	for i := range uint32(colourMapEntries) {
		dst = binary.BigEndian.AppendUint16(dst, uint16((i>>5)*65535/7))
		dst = binary.BigEndian.AppendUint16(dst, uint16((i>>2&7)*65535/7))
		dst = binary.BigEndian.AppendUint16(dst, uint16((i&3)*65535/3))
	}
	return dst
}
