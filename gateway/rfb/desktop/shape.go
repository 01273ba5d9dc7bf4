package desktop

import (
	"image"
	"math"
)

// shape is a part of the picture. Shapes are comparable values: two that are
// equal look the same.
type shape interface {
	bounds() image.Rectangle
	draw(c *canvas, clip image.Rectangle) // clip lies inside bounds and canvas
}

// difference is the area in which two pictures may differ. The lists hold the
// same things in the same slots; nil is a slot with nothing in it.
func difference(former, latter []shape) region {
	var g region
	for i := range max(len(former), len(latter)) {
		before, after := slot(former, i), slot(latter, i)
		if before == after {
			continue
		}
		if before != nil {
			g.add(before.bounds())
		}
		if after != nil {
			g.add(after.bounds())
		}
	}
	return g
}

func slot(list []shape, i int) shape {
	if i < len(list) {
		return list[i]
	}
	return nil
}

// panel is a rectangle with round corners.
type panel struct {
	image.Rectangle
	radius int
	ink    ink
}

func (p panel) bounds() image.Rectangle { return p.Rectangle }

func (p panel) draw(c *canvas, clip image.Rectangle) {
	for y := clip.Min.Y; y < clip.Max.Y; y++ {
		line := c.row(y, clip.Min.X, clip.Max.X)
		if y >= p.Min.Y+p.radius && y < p.Max.Y-p.radius {
			c.fill(image.Rect(clip.Min.X, y, clip.Max.X, y+1), p.ink)
			continue
		}
		for i := range line {
			line[i] = p.ink.thinned(p.cover(clip.Min.X+i, y)).over(line[i])
		}
	}
}

// cover is how much of the pixel lies inside, by its distance to the corner.
func (p panel) cover(x, y int) float64 {
	r := float64(p.radius)
	dx := outside(x, p.Min.X, p.Max.X, r)
	dy := outside(y, p.Min.Y, p.Max.Y, r)
	if dx == 0 || dy == 0 {
		return 1
	}
	return r - math.Hypot(dx, dy) + 0.5
}

// outside is how far a pixel's middle is beyond what the corners leave.
func outside(at, least, most int, radius float64) float64 {
	middle := float64(at) + 0.5
	return max(0, float64(least)+radius-middle, middle-float64(most)+radius)
}

// ring is what lies between two circles around one point; a disc when the
// inner one is below zero.
type ring struct {
	x, y         float64
	inner, outer float64
	ink          ink
}

func disc(x, y, radius float64, k ink) ring { return ring{x, y, -1, radius, k} }

func (g ring) bounds() image.Rectangle {
	reach := g.outer + 1
	return image.Rect(
		int(math.Floor(g.x-reach)), int(math.Floor(g.y-reach)),
		int(math.Ceil(g.x+reach)), int(math.Ceil(g.y+reach)))
}

func (g ring) draw(c *canvas, clip image.Rectangle) {
	for y := clip.Min.Y; y < clip.Max.Y; y++ {
		line := c.row(y, clip.Min.X, clip.Max.X)
		for i := range line {
			from := math.Hypot(float64(clip.Min.X+i)+0.5-g.x, float64(y)+0.5-g.y)
			share := math.Min(g.outer-from, from-g.inner) + 0.5
			if share > 0 {
				line[i] = g.ink.thinned(share).over(line[i])
			}
		}
	}
}

// label is a line of text; x, y is its upper left corner.
type label struct {
	x, y  int
	text  string
	scale int // pixels per dot of the font
	ink   ink
}

func (l label) bounds() image.Rectangle {
	return image.Rect(l.x, l.y, l.x+textWidth(l.text, l.scale), l.y+lineHeight*l.scale)
}

func (l label) draw(c *canvas, clip image.Rectangle) {
	step := glyphAdvance * l.scale
	for i := range len(l.text) {
		cell := image.Rect(l.x+i*step, l.y, l.x+i*step+glyphWidth*l.scale, l.y+lineHeight*l.scale)
		if part := cell.Intersect(clip); !part.Empty() {
			l.drawGlyph(c, l.text[i], cell.Min, part)
		}
	}
}

func (l label) drawGlyph(c *canvas, char byte, at image.Point, clip image.Rectangle) {
	for y := clip.Min.Y; y < clip.Max.Y; y++ {
		line := c.row(y, clip.Min.X, clip.Max.X)
		for i := range line {
			if dot(char, (clip.Min.X+i-at.X)/l.scale, (y-at.Y)/l.scale) {
				line[i] = l.ink.over(line[i])
			}
		}
	}
}

// textWidth is in pixels, the gap after the last character included.
func textWidth(text string, scale int) int { return len(text) * glyphAdvance * scale }
