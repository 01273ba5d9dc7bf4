package desktop

import (
	"encoding/binary"
	"image"
	"math"
	"math/rand/v2"
	"testing"
)

var formats = map[string]pixelFormat{
	"32 bits, native":             nativeFormat,
	"32 bits, the viewer's":       viewerFormat,
	"32 bits, big-endian":         {32, 24, true, true, 255, 255, 255, 16, 8, 0},
	"32 bits, high byte":          {32, 24, false, true, 255, 255, 255, 24, 16, 8},
	"32 bits, 10 each":            {32, 30, false, true, 1023, 1023, 1023, 20, 10, 0},
	"32 bits, red of 16":          {32, 32, true, true, 65535, 255, 255, 0, 16, 24},
	"16 bits, 565":                {16, 16, false, true, 31, 63, 31, 11, 5, 0},
	"16 bits, 565 big-endian":     {16, 16, true, true, 31, 63, 31, 11, 5, 0},
	"16 bits, 555 blue first":     {16, 15, false, true, 31, 31, 31, 0, 5, 10},
	"16 bits, 444":                {16, 12, true, true, 15, 15, 15, 8, 4, 0},
	"8 bits, 332":                 {8, 8, false, true, 7, 7, 3, 5, 2, 0},
	"8 bits, BGR 233":             {8, 8, true, true, 7, 7, 3, 0, 3, 6},
	"8 bits, 222":                 {8, 6, false, true, 3, 3, 3, 4, 2, 0},
	"8 bits, most no power of 2":  {8, 8, false, true, 5, 5, 5, 5, 2, 0}, // as few servers meet
	"8 bits, two colours":         {8, 1, false, true, 1, 0, 0, 0, 0, 0},
	"32 bits, depth nobody meant": {32, 0, false, true, 255, 255, 255, 0, 8, 16},
}

// wanted is the pixel by the RFC's words, in floating point.
func wanted(f pixelFormat, p colour) uint32 {
	part := func(v colour, most uint16, shift uint8) uint32 {
		return uint32(math.Floor(float64(v&255)*float64(most)/255+0.5)) << shift
	}
	return part(p>>16, f.redMax, f.redShift) | part(p>>8, f.greenMax, f.greenShift) | part(p, f.blueMax, f.blueShift)
}

func readPixels(b []byte, f pixelFormat) []uint32 {
	var order binary.ByteOrder = binary.LittleEndian
	if f.bigEndian {
		order = binary.BigEndian
	}
	var all []uint32
	for size := int(f.bitsPerPixel) / 8; len(b) >= size; b = b[size:] {
		switch size {
		case 1:
			all = append(all, uint32(b[0]))
		case 2:
			all = append(all, uint32(order.Uint16(b)))
		case 4:
			all = append(all, order.Uint32(b))
		}
	}
	return all
}

func TestEveryFormatConvertsRight(t *testing.T) {
	l := newLayout(Config{}.complete())
	c := drawn(l, press(newScene(l), "text").step(noon, pointerAt{300, 300, 1}), noon)
	for name, f := range formats {
		t.Run(name, func(t *testing.T) {
			parsed, err := parsePixelFormat([16]byte(f.append(nil)))
			if err != nil || parsed != f {
				t.Fatalf("parsed: got %+v, %v, want %+v", parsed, err, f)
			}
			got := readPixels(newConverter(f).appendAll(nil, c.pix), f)
			compare(t, c, c.bounds(), f, got)
		})
	}
}

func TestEveryFormatThroughHextile(t *testing.T) {
	l := newLayout(Config{}.complete())
	c := drawn(l, press(newScene(l), "text").step(noon, pointerAt{300, 300, 1}), noon)
	noise := newCanvas(50, 35)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range noise.pix { // from one colour per tile to dozens
		noise.pix[i] = colour(r.IntN(1 + i%50/16*i/35/3))
	}
	for name, f := range formats {
		t.Run(name, func(t *testing.T) {
			for _, area := range []image.Rectangle{image.Rect(3, 5, 800, 600), image.Rect(500, 170, 533, 203), image.Rect(9, 9, 10, 10)} {
				b := appendHextile(nil, c, area, newConverter(f))
				compare(t, c, area, f, readHextile(t, b, area.Dx(), area.Dy(), f))
			}
			b := appendHextile(nil, noise, noise.bounds(), newConverter(f))
			compare(t, noise, noise.bounds(), f, readHextile(t, b, noise.w, noise.h, f))
		})
	}
}

func compare(t *testing.T, c *canvas, area image.Rectangle, f pixelFormat, got []uint32) {
	t.Helper()
	if len(got) != area.Dx()*area.Dy() {
		t.Fatalf("got %d pixels of %v", len(got), area)
	}
	for i, pixel := range got {
		x, y := area.Min.X+i%area.Dx(), area.Min.Y+i/area.Dx()
		if want := wanted(f, c.rgb(x, y)); pixel != want {
			t.Fatalf("pixel %d,%d: got %#x, want %#x", x, y, pixel, want)
		}
	}
}

// readHextile decodes by the words of RFC 6143 section 7.7.4.
func readHextile(t *testing.T, b []byte, w, h int, f pixelFormat) []uint32 {
	t.Helper()
	size := int(f.bitsPerPixel) / 8
	next := func(n int) []byte {
		if len(b) < n {
			t.Fatal("hextile data end early")
		}
		head := b[:n]
		b = b[n:]
		return head
	}
	pixel := func() uint32 { return readPixels(next(size), f)[0] }
	all := make([]uint32, w*h)
	var back, fore uint32
	for ty := 0; ty < h; ty += 16 {
		for tx := 0; tx < w; tx += 16 {
			tw, th := min(16, w-tx), min(16, h-ty)
			paint := func(x, y, pw, ph int, p uint32) {
				if x+pw > tw || y+ph > th {
					t.Fatalf("a rectangle leaves its tile: %d,%d %dx%d of %dx%d", x, y, pw, ph, tw, th)
				}
				for i := range pw * ph {
					all[(ty+y+i/pw)*w+tx+x+i%pw] = p
				}
			}
			flags := next(1)[0]
			if flags&1 != 0 {
				for i := range tw * th {
					paint(i%tw, i/tw, 1, 1, pixel())
				}
				back, fore = 0xdeadbeef, 0xdeadbeef // not to be relied on
				continue
			}
			if flags&2 != 0 {
				back = pixel()
			}
			if flags&4 != 0 {
				fore = pixel()
			}
			paint(0, 0, tw, th, back)
			if flags&8 == 0 {
				continue
			}
			for range next(1)[0] {
				p := fore
				if flags&16 != 0 {
					p = pixel()
				}
				at := next(2)
				paint(int(at[0]>>4), int(at[0]&15), int(at[1]>>4)+1, int(at[1]&15)+1, p)
			}
		}
	}
	if len(b) != 0 {
		t.Fatalf("%d bytes left after the last tile", len(b))
	}
	return all
}

func TestFlatPicturesAreSmallInHextile(t *testing.T) {
	l := newLayout(Config{}.complete())
	c := drawn(l, newScene(l), noon)
	got, raw := len(appendHextile(nil, c, c.bounds(), newConverter(nativeFormat))), 4*len(c.pix)
	if got > raw/8 {
		t.Errorf("the whole picture takes %d bytes, want at most an eighth of %d", got, raw)
	}
}
