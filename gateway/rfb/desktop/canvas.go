package desktop

import (
	"image"
	"math"
)

// canvas is the picture everybody is shown, and the backdrop it is painted
// over.
type canvas struct {
	w, h     int
	pix      []colour
	backdrop []colour
}

func newCanvas(w, h int) *canvas {
	back := paintBackdrop(w, h)
	c := &canvas{w: w, h: h, pix: make([]colour, w*h), backdrop: back}
	copy(c.pix, back)
	return c
}

func (c *canvas) bounds() image.Rectangle { return image.Rect(0, 0, c.w, c.h) }

// row returns the pixels x0..x1 (exclusive) of a line, for reading or writing.
func (c *canvas) row(y, x0, x1 int) []colour { return c.pix[y*c.w+x0 : y*c.w+x1] }

// repaint paints the area anew: the backdrop, then the shapes in order.
func (c *canvas) repaint(list []shape, news region) {
	for _, r := range news {
		r = r.Intersect(c.bounds())
		for y := r.Min.Y; y < r.Max.Y; y++ {
			copy(c.row(y, r.Min.X, r.Max.X), c.backdrop[y*c.w+r.Min.X:])
		}
		for _, s := range list {
			if s == nil {
				continue
			}
			if part := s.bounds().Intersect(r); !part.Empty() {
				s.draw(c, part)
			}
		}
	}
}

// fill mixes ink into every pixel of r, which lies inside the canvas.
func (c *canvas) fill(r image.Rectangle, k ink) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		line := c.row(y, r.Min.X, r.Max.X)
		for i := range line {
			line[i] = k.over(line[i])
		}
	}
}

// ink is a colour and how much of it covers what is below: 255 is all.
type ink struct {
	colour
	opacity uint8
}

func solid(c colour) ink { return ink{c, 255} }

// thinned covers by a share of k: 0 is nothing, 1 is k.
func (k ink) thinned(share float64) ink {
	share = math.Max(0, math.Min(1, share))
	return ink{k.colour, uint8(share*float64(k.opacity) + 0.5)}
}

func (k ink) over(below colour) colour {
	if k.opacity == 255 {
		return k.colour
	}
	a := colour(k.opacity)
	mix := func(shift uint) colour {
		under, upper := below>>shift&255, k.colour>>shift&255
		return ((under*(255-a) + upper*a + 127) / 255) << shift
	}
	return mix(16) | mix(8) | mix(0)
}

// paintBackdrop is an evening: a sky and two ranges of hills. The sky is in
// bands as high as a tile, which cost next to nothing to send.
func paintBackdrop(w, h int) []colour {
	pix := make([]colour, w*h)
	far, near := colour(0x2c4a63), colour(0x213a50)
	for x := range w {
		t := float64(x) / float64(w)
		farTop := int(float64(h) * (0.80 + 0.035*math.Sin(t*7.3+0.4) + 0.015*math.Sin(t*19)))
		nearTop := int(float64(h) * (0.88 + 0.030*math.Sin(t*5.1+2.6) + 0.010*math.Sin(t*23+1)))
		for y := range h {
			p := sky(y/tileSide*tileSide, h)
			if y >= nearTop {
				p = near
			} else if y >= farTop {
				p = far
			}
			pix[y*w+x] = p
		}
	}
	return pix
}

func sky(y, h int) colour {
	return ink{0xc98f7a, uint8(200 * y / h)}.over(0x24385e)
}
