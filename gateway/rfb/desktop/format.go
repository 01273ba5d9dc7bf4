package desktop

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// colour is 0xRRGGBB.
type colour uint32

// pixelFormat is PIXEL_FORMAT of RFC 6143 section 7.4.
type pixelFormat struct {
	bitsPerPixel, depth             uint8
	bigEndian, trueColour           bool
	redMax, greenMax, blueMax       uint16
	redShift, greenShift, blueShift uint8
}

// nativeFormat is what clients get that ask for nothing else.
var nativeFormat = pixelFormat{
	bitsPerPixel: 32, depth: 24, trueColour: true,
	redMax: 255, greenMax: 255, blueMax: 255,
	redShift: 16, greenShift: 8, blueShift: 0,
}

// mapFormat gives the index into the colour map of appendColourMap.
var mapFormat = pixelFormat{redMax: 7, greenMax: 7, blueMax: 3, redShift: 5, greenShift: 2}

// parsePixelFormat refuses what cannot be a pixel: other sizes than 8, 16 and
// 32 bits, and colours that reach beyond the size.
func parsePixelFormat(b [16]byte) (pixelFormat, error) {
	f := pixelFormat{
		bitsPerPixel: b[0], depth: b[1], bigEndian: b[2] != 0, trueColour: b[3] != 0,
		redMax:   binary.BigEndian.Uint16(b[4:]),
		greenMax: binary.BigEndian.Uint16(b[6:]),
		blueMax:  binary.BigEndian.Uint16(b[8:]),
		redShift: b[10], greenShift: b[11], blueShift: b[12],
	}
	if f.bitsPerPixel != 8 && f.bitsPerPixel != 16 && f.bitsPerPixel != 32 {
		return f, fmt.Errorf("%w: %d bits per pixel", errProtocol, f.bitsPerPixel)
	}
	if !f.trueColour {
		return f, nil
	}
	reach := max(
		bits.Len16(f.redMax)+int(f.redShift),
		bits.Len16(f.greenMax)+int(f.greenShift),
		bits.Len16(f.blueMax)+int(f.blueShift))
	if reach > int(f.bitsPerPixel) {
		return f, fmt.Errorf("%w: %d bits of colour in pixels of %d", errProtocol, reach, f.bitsPerPixel)
	}
	return f, nil
}

func (f pixelFormat) append(dst []byte) []byte {
	dst = append(dst, f.bitsPerPixel, f.depth, flag(f.bigEndian), flag(f.trueColour))
	for _, most := range []uint16{f.redMax, f.greenMax, f.blueMax} {
		dst = binary.BigEndian.AppendUint16(dst, most)
	}
	return append(dst, f.redShift, f.greenShift, f.blueShift, 0, 0, 0)
}

func flag(set bool) byte {
	if set {
		return 1
	}
	return 0
}

// converter turns colours into a client's pixels by three tables.
type converter struct {
	size             int // bytes per pixel
	bigEndian        bool
	red, green, blue [256]uint32
}

func newConverter(f pixelFormat) *converter {
	c := &converter{size: int(f.bitsPerPixel) / 8, bigEndian: f.bigEndian}
	if !f.trueColour {
		f = mapFormat
	}
	for v := range uint32(256) {
		c.red[v] = scale(v, f.redMax) << f.redShift
		c.green[v] = scale(v, f.greenMax) << f.greenShift
		c.blue[v] = scale(v, f.blueMax) << f.blueShift
	}
	return c
}

// scale takes 0..255 to 0..most, to the nearest.
func scale(v uint32, most uint16) uint32 { return (v*uint32(most) + 127) / 255 }

func (c *converter) append(dst []byte, p colour) []byte {
	v := c.red[p>>16&255] | c.green[p>>8&255] | c.blue[p&255]
	switch {
	case c.size == 1:
		return append(dst, byte(v))
	case c.size == 2 && c.bigEndian:
		return append(dst, byte(v>>8), byte(v))
	case c.size == 2:
		return append(dst, byte(v), byte(v>>8))
	case c.bigEndian:
		return append(dst, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	default:
		return append(dst, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
	}
}

func (c *converter) appendAll(dst []byte, all []colour) []byte {
	for _, p := range all {
		dst = c.append(dst, p)
	}
	return dst
}
