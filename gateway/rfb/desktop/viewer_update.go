package desktop

import (
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"io"
)

// Message types a server sends (RFC 6143 section 7.6), those of update.go
// apart.
const (
	bell          = 2
	serverCutText = 3
)

// readUpdate applies the next update; what else the server says before it is
// read over.
func (v *Viewer) readUpdate() (Frame, error) {
	for {
		start := v.took - int64(v.in.Buffered())
		kind, err := v.in.ReadByte()
		if err != nil {
			return Frame{}, err
		}
		if kind != framebufferUpdate {
			if err := v.skip(kind); err != nil {
				return Frame{}, err
			}
			continue
		}
		rects, err := v.readRects()
		return Frame{Rects: rects, Bytes: v.took - int64(v.in.Buffered()) - start}, err
	}
}

func (v *Viewer) skip(kind byte) error {
	switch kind {
	case bell:
		return nil
	case setColourMap:
		var b [5]byte
		if err := v.read(b[:]); err != nil {
			return err
		}
		return v.discard(6 * int64(u16(b[3:])))
	case serverCutText:
		var b [7]byte
		if err := v.read(b[:]); err != nil {
			return err
		}
		size := binary.BigEndian.Uint32(b[3:])
		if size > maxCutText {
			return fmt.Errorf("%w: a clipboard of %d bytes", errProtocol, size)
		}
		return v.discard(int64(size))
	default:
		return fmt.Errorf("%w: message of unknown type %d", errProtocol, kind)
	}
}

func (v *Viewer) discard(n int64) error {
	_, err := io.CopyN(io.Discard, v.in, n)
	return err
}

func (v *Viewer) readRects() (int, error) {
	var b [3]byte
	if err := v.read(b[:]); err != nil {
		return 0, err
	}
	count := u16(b[1:])
	for i := range count {
		if err := v.readRect(); err != nil {
			return i, fmt.Errorf("rectangle %d of %d: %w", i+1, count, err)
		}
	}
	return count, nil
}

func (v *Viewer) readRect() error {
	var b [rectangleHeaderLen]byte
	if err := v.read(b[:]); err != nil {
		return err
	}
	x, y := u16(b[0:]), u16(b[2:])
	r := image.Rect(x, y, x+u16(b[4:]), y+u16(b[6:]))
	if !r.In(v.img.Rect) {
		return fmt.Errorf("%w: %v is outside the desktop", errProtocol, r)
	}
	switch e := int32(binary.BigEndian.Uint32(b[8:])); e {
	case encodingRaw:
		return v.readRaw(r)
	case encodingHex:
		return v.readHextile(r)
	default:
		return fmt.Errorf("%w: encoding %d was not asked for", errProtocol, e)
	}
}

func (v *Viewer) readRaw(r image.Rectangle) error {
	for y := r.Min.Y; y < r.Max.Y && r.Dx() > 0; y++ {
		at := v.img.PixOffset(r.Min.X, y)
		line := v.img.Pix[at : at+4*r.Dx()]
		if err := v.read(line); err != nil {
			return err
		}
		for i := 3; i < len(line); i += 4 {
			line[i] = 255
		}
	}
	return nil
}

func (v *Viewer) readPixel() (color.RGBA, error) {
	var b [4]byte
	err := v.read(b[:])
	return color.RGBA{b[0], b[1], b[2], 255}, err
}

// inks are the two colours hextile carries from tile to tile.
type inks struct{ background, foreground color.RGBA }

func (v *Viewer) readHextile(r image.Rectangle) error {
	var carried inks
	for y := r.Min.Y; y < r.Max.Y; y += tileSide {
		for x := r.Min.X; x < r.Max.X; x += tileSide {
			tile := image.Rect(x, y, min(x+tileSide, r.Max.X), min(y+tileSide, r.Max.Y))
			if err := v.readTile(tile, &carried); err != nil {
				return err
			}
		}
	}
	return nil
}

func (v *Viewer) readTile(tile image.Rectangle, carried *inks) error {
	flags, err := v.in.ReadByte()
	if err != nil {
		return err
	}
	if flags&hexRaw != 0 {
		return v.readRaw(tile)
	}
	if flags&hexBackground != 0 {
		if carried.background, err = v.readPixel(); err != nil {
			return err
		}
	}
	if flags&hexForeground != 0 {
		if carried.foreground, err = v.readPixel(); err != nil {
			return err
		}
	}
	v.fill(tile, carried.background)
	if flags&hexSubrects == 0 {
		return nil
	}
	return v.readSubrects(tile, carried.foreground, flags&hexColoured != 0)
}

func (v *Viewer) readSubrects(tile image.Rectangle, k color.RGBA, coloured bool) error {
	count, err := v.in.ReadByte()
	if err != nil {
		return err
	}
	for range count {
		if coloured {
			if k, err = v.readPixel(); err != nil {
				return err
			}
		}
		var b [2]byte
		if err := v.read(b[:]); err != nil {
			return err
		}
		at := tile.Min.Add(image.Pt(int(b[0]>>4), int(b[0]&15)))
		sub := image.Rect(at.X, at.Y, at.X+int(b[1]>>4)+1, at.Y+int(b[1]&15)+1)
		v.fill(sub.Intersect(tile), k)
	}
	return nil
}

func (v *Viewer) fill(r image.Rectangle, k color.RGBA) {
	draw.Draw(v.img, r, image.NewUniform(k), image.Point{}, draw.Src)
}
