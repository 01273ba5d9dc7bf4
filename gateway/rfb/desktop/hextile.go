package desktop

import "image"

// Bits of a tile's first byte (RFC 6143 section 7.7.4).
const (
	hexRaw = 1 << iota
	hexBackground
	hexForeground
	hexSubrects
	hexColoured
)

// maxTileColours is how many colours a tile may have before it goes raw:
// beyond, looking for rectangles of one colour is work for nothing.
const maxTileColours = 16

// hextile encodes the tiles of one rectangle. The background is carried from
// tile to tile, but never over a raw one: clients differ in what they keep.
type hextile struct {
	dst        []byte
	pixels     *converter
	background colour
	carried    bool // the client knows background

	tile   [tileSide * tileSide]colour
	w, h   int
	counts []colourCount
}

type colourCount struct {
	colour colour
	n      int
}

func appendHextile(dst []byte, c *canvas, r image.Rectangle, pixels *converter) []byte {
	h := hextile{dst: dst, pixels: pixels}
	for y := r.Min.Y; y < r.Max.Y; y += tileSide {
		for x := r.Min.X; x < r.Max.X; x += tileSide {
			h.load(c, image.Rect(x, y, min(x+tileSide, r.Max.X), min(y+tileSide, r.Max.Y)))
			h.append()
		}
	}
	return h.dst
}

func (h *hextile) load(c *canvas, r image.Rectangle) {
	h.w, h.h = r.Dx(), r.Dy()
	for y := range h.h {
		copy(h.tile[y*h.w:], c.row(r.Min.Y+y, r.Min.X, r.Max.X))
	}
}

// append writes the tile by the shortest way.
func (h *hextile) append() {
	whole := h.tile[:h.w*h.h]
	start := len(h.dst)
	raw := 1 + len(whole)*h.pixels.size
	if h.count(whole) {
		h.appendRects()
		if len(h.dst)-start < raw {
			return
		}
	}
	h.dst = append(h.dst[:start], hexRaw)
	h.dst = h.pixels.appendAll(h.dst, whole)
	h.carried = false
}

// count finds the tile's colours, the most frequent one first. It reports
// false when there are too many.
func (h *hextile) count(whole []colour) bool {
	h.counts = h.counts[:0]
next:
	for _, p := range whole {
		for i := range h.counts {
			if h.counts[i].colour == p {
				h.counts[i].n++
				continue next
			}
		}
		if len(h.counts) == maxTileColours {
			return false
		}
		h.counts = append(h.counts, colourCount{p, 1})
	}
	for i := range h.counts {
		if h.counts[i].n > h.counts[0].n {
			h.counts[0], h.counts[i] = h.counts[i], h.counts[0]
		}
	}
	return true
}

// appendRects writes the tile as its most frequent colour and rectangles of
// the others.
func (h *hextile) appendRects() {
	at := len(h.dst)
	h.dst = append(h.dst, 0)
	flags := byte(0)
	if most := h.counts[0].colour; !h.carried || most != h.background {
		flags |= hexBackground
		h.dst = h.pixels.append(h.dst, most)
		h.background, h.carried = most, true
	}
	switch len(h.counts) {
	case 1:
	case 2:
		flags |= hexForeground | hexSubrects
		h.dst = h.pixels.append(h.dst, h.counts[1].colour)
		h.appendSubrects(false)
	default:
		flags |= hexSubrects | hexColoured
		h.appendSubrects(true)
	}
	h.dst[at] = flags
}

// appendSubrects covers everything that is not background with rectangles of
// one colour: as wide as possible first, then as high.
func (h *hextile) appendSubrects(coloured bool) {
	at := len(h.dst)
	h.dst = append(h.dst, 0)
	left := h.tile
	for i, p := range left[:h.w*h.h] {
		if left[i] == h.background {
			continue
		}
		x, y := i%h.w, i/h.w
		w, high := h.grow(&left, x, y)
		if coloured {
			h.dst = h.pixels.append(h.dst, p)
		}
		h.dst = append(h.dst, byte(x<<4|y), byte((w-1)<<4|(high-1)))
		h.dst[at]++
	}
}

// grow finds the rectangle of one colour at x, y and takes it out of left.
func (h *hextile) grow(left *[tileSide * tileSide]colour, x, y int) (w, high int) {
	p := left[y*h.w+x]
	for w = 1; x+w < h.w && left[y*h.w+x+w] == p; w++ {
	}
	for high = 1; y+high < h.h && uniform(left[(y+high)*h.w+x:][:w], p); high++ {
	}
	for row := y; row < y+high; row++ {
		for col := x; col < x+w; col++ {
			left[row*h.w+col] = h.background
		}
	}
	return w, high
}

func uniform(all []colour, p colour) bool {
	for _, q := range all {
		if q != p {
			return false
		}
	}
	return true
}
