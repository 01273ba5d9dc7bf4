package desktop

import "image"

// maxRegion is how many rectangles a region keeps apart.
const maxRegion = 16

// region is an area as rectangles that do not overlap. It is exact until
// there are too many; then near ones give way to the one around them.
type region []image.Rectangle

// add makes r part of the region. It ends: a union costs no area and leaves
// one rectangle fewer, a cut leaves less area to add.
func (g *region) add(r image.Rectangle) {
	if r.Empty() {
		return
	}
	i := g.overlapping(r)
	if i < 0 {
		g.append(r)
		return
	}
	have := (*g)[i]
	if both := have.Union(r); area(both) <= area(have)+area(r) {
		g.remove(i)
		g.add(both)
		return
	}
	for _, part := range without(r, r.Intersect(have)) {
		g.add(part)
	}
}

// append takes in r, which overlaps nothing. Without room for it, it grows
// until it has swallowed what is nearest and all that is then in its way.
func (g *region) append(r image.Rectangle) {
	for i := g.nearest(r); len(*g) == maxRegion || g.overlaps(r); i = g.overlapping(r) {
		r = r.Union((*g)[i])
		g.remove(i)
	}
	*g = append(*g, r)
}

func (g *region) remove(i int) {
	last := len(*g) - 1
	(*g)[i] = (*g)[last]
	*g = (*g)[:last]
}

func (g *region) overlapping(r image.Rectangle) int {
	for i, have := range *g {
		if have.Overlaps(r) {
			return i
		}
	}
	return -1
}

// nearest finds the rectangle that grows least when r is united with it.
func (g *region) nearest(r image.Rectangle) int {
	best, least := 0, -1
	for i, have := range *g {
		growth := area(have.Union(r)) - area(have)
		if least < 0 || growth < least {
			best, least = i, growth
		}
	}
	return best
}

func (g *region) overlaps(r image.Rectangle) bool { return g.overlapping(r) >= 0 }

// take removes the part inside r and returns it.
func (g *region) take(r image.Rectangle) region {
	var inside, outside region
	for _, have := range *g {
		cut := have.Intersect(r)
		if cut.Empty() {
			outside.add(have)
			continue
		}
		inside.add(cut)
		for _, rest := range without(have, cut) {
			outside.add(rest)
		}
	}
	*g = outside
	return inside
}

// without returns what surrounds cut, a part of r, as up to four rectangles.
func without(r, cut image.Rectangle) []image.Rectangle {
	return []image.Rectangle{
		image.Rect(r.Min.X, r.Min.Y, r.Max.X, cut.Min.Y),
		image.Rect(r.Min.X, cut.Max.Y, r.Max.X, r.Max.Y),
		image.Rect(r.Min.X, cut.Min.Y, cut.Min.X, cut.Max.Y),
		image.Rect(cut.Max.X, cut.Min.Y, r.Max.X, cut.Max.Y),
	}
}

func area(r image.Rectangle) int { return r.Dx() * r.Dy() }
