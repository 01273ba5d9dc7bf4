package desktop

import (
	"fmt"
	"image"
	"math"
	"time"
)

// The colours of the picture, apart from the backdrop's.
const (
	inkDark   = colour(0x16233a)
	inkLight  = colour(0xf4f1ea)
	inkPaper  = colour(0xfbf8f1)
	inkText   = colour(0x2b3546)
	inkTitle  = colour(0x35618a)
	inkSun    = colour(0xf2c572)
	inkCoral  = colour(0xe2725b)
	inkMint   = colour(0x6fbf9c)
	inkViolet = colour(0x9a86d6)
)

const (
	barHeight   = 26
	titleHeight = 28
	textPitch   = 20 // from line to line
	textScale   = 2
)

// layout is where things stand on a screen of a given size.
type layout struct {
	name               string
	screen             image.Rectangle
	window, text       image.Rectangle
	clock, sky         image.Rectangle
	clockScale         int
	columns, rows      int
	skyRadius, dotSize float64
}

func newLayout(cfg Config) layout {
	w, h := cfg.Width, cfg.Height
	gap := w / 28
	split := gap + (w-3*gap)*64/100
	l := layout{name: printable(cfg.Name), screen: image.Rect(0, 0, w, h)}
	l.window = image.Rect(gap, barHeight+gap, split, h-barHeight-gap)
	l.clock = image.Rect(split+gap, barHeight+gap, w-gap, barHeight+gap+h/6)
	l.sky = image.Rect(split+gap, l.clock.Max.Y+gap, w-gap, h-barHeight-gap)
	l.text = image.Rect(l.window.Min.X+14, l.window.Min.Y+titleHeight+14, l.window.Max.X-14, l.window.Max.Y-10)
	l.columns = l.text.Dx() / textWidth(" ", textScale)
	l.rows = min(maxRows, l.text.Dy()/textPitch)
	l.clockScale = max(1, min(l.clock.Dx()/textWidth("00:00:00  ", 1), l.clock.Dy()/18))
	l.skyRadius = float64(min(l.sky.Dx(), l.sky.Dy()))/2 - 12
	l.dotSize = max(3, l.skyRadius/10)
	return l
}

// list is the picture of s at now. Every thing has its slot, shown or not, so
// that lists of two moments can be compared.
func (l layout) list(s scene, now time.Time) []shape {
	list := make([]shape, 0, 96)
	list = l.appendBars(list, s)
	list = l.appendWindow(list, s, now)
	list = l.appendClock(list, now)
	list = l.appendSky(list, now)
	list = l.appendMarks(list, s)
	return l.appendTrail(list, s, now)
}

func (l layout) appendBars(list []shape, s scene) []shape {
	top, bottom := l.screen, l.screen
	top.Max.Y, bottom.Min.Y = barHeight, bottom.Max.Y-barHeight
	shade, pale := ink{inkDark, 150}, solid(inkLight)
	viewers := fmt.Sprintf("viewers %d", s.status.viewers)
	counts := fmt.Sprintf("frames %d   bytes in %s   out %s",
		s.status.frames, size(s.status.in), size(s.status.out))
	var keys shape
	if k := l.right(fmt.Sprintf("keys %d   last 0x%04x", s.keys, s.lastKey), bottom.Min.Y+9, pale); k.x > 36+textWidth(counts, 1) {
		keys = k // there is room for both
	}
	return append(list,
		panel{top, 0, shade}, panel{bottom, 0, shade},
		label{12, 9, "RFB 3.8 sample desktop", 1, pale},
		l.right(viewers, 9, pale),
		label{12, bottom.Min.Y + 9, counts, 1, pale},
		keys)
}

func (l layout) right(text string, y int, k ink) label {
	return label{l.screen.Max.X - 12 - textWidth(text, 1), y, text, 1, k}
}

func (l layout) appendWindow(list []shape, s scene, now time.Time) []shape {
	w := l.window
	title := image.Rect(w.Min.X, w.Min.Y, w.Max.X, w.Min.Y+titleHeight)
	body := image.Rect(w.Min.X, title.Max.Y-9, w.Max.X, w.Max.Y)
	middle := float64(w.Min.Y) + titleHeight/2
	left := float64(w.Min.X) + 16
	name := l.name[:min(len(l.name), max(0, (w.Dx()-84)/textWidth(" ", textScale)))]
	list = append(list,
		panel{w.Inset(-3).Add(image.Pt(0, 4)), 12, ink{0x0c1422, 70}},
		panel{title.Union(image.Rect(w.Min.X, w.Min.Y, w.Max.X, w.Min.Y+titleHeight+8)), 8, solid(inkTitle)},
		panel{body, 8, solid(inkPaper)},
		panel{image.Rect(w.Min.X, body.Min.Y, w.Max.X, title.Max.Y), 0, solid(inkTitle)},
		disc(left, middle, 5, solid(inkCoral)),
		disc(left+16, middle, 5, solid(inkSun)),
		disc(left+32, middle, 5, solid(inkMint)),
		label{w.Min.X + 66, w.Min.Y + 6, name, textScale, solid(inkLight)})
	return l.appendText(list, s, now)
}

func (l layout) appendText(list []shape, s scene, now time.Time) []shape {
	for i := range l.rows {
		list = append(list, label{
			l.text.Min.X, l.text.Min.Y + i*textPitch, s.page.lines[i], textScale, solid(inkText),
		})
	}
	x := l.text.Min.X + textWidth(s.page.lines[s.page.last], textScale)
	y := l.text.Min.Y + s.page.last*textPitch
	var cursor shape
	if now.Nanosecond() < int(500*time.Millisecond) {
		cursor = panel{image.Rect(x, y-2, x+2, y+16), 0, solid(inkCoral)}
	}
	var clip shape
	if s.clipboard.size > 0 {
		note := fmt.Sprintf("clipboard, %d bytes: %s", s.clipboard.size, printable(s.clipboard.text))
		clip = label{l.text.Min.X, l.window.Max.Y - 14, note[:min(len(note), l.text.Dx()/glyphAdvance)], 1, ink{inkText, 150}}
	}
	return append(list, cursor, clip)
}

func (l layout) appendClock(list []shape, now time.Time) []shape {
	r := l.clock
	middle := (r.Min.X + r.Max.X) / 2
	face, date := now.Format("15:04:05"), now.Format("Mon 2 Jan 2006")
	dateScale := 1
	if textWidth(date, 2) < r.Dx()-8 && r.Dy() > 80 {
		dateScale = 2
	}
	high := glyphHeight * (l.clockScale + dateScale)
	top := r.Min.Y + (r.Dy()-high-12)/2
	return append(list,
		panel{r, 10, ink{inkDark, 150}},
		label{middle - (textWidth(face, l.clockScale)-l.clockScale)/2, top, face, l.clockScale, solid(inkLight)},
		label{middle - (textWidth(date, dateScale)-dateScale)/2, top + 12 + glyphHeight*l.clockScale, date, dateScale, ink{inkLight, 190}})
}

// planet is a moving object: its orbit and size are shares of the sky's, its
// year is in milliseconds.
type planet struct {
	orbit, size float64
	year        int64
	colour      colour
}

var planets = [...]planet{
	{0.42, 0.8, 3000, inkCoral},
	{0.68, 1.2, 7000, inkMint},
	{0.92, 1.0, 13000, inkViolet},
}

// appendSky draws a sun and its planets, which stand where now puts them.
func (l layout) appendSky(list []shape, now time.Time) []shape {
	x := float64(l.sky.Min.X+l.sky.Max.X) / 2
	y := float64(l.sky.Min.Y+l.sky.Max.Y) / 2
	list = append(list,
		panel{l.sky, 10, ink{inkDark, 150}},
		disc(x, y, l.skyRadius*0.17, ink{inkSun, 60}),
		disc(x, y, l.skyRadius*0.13, solid(inkSun)))
	for _, p := range planets {
		r := l.skyRadius * p.orbit
		list = append(list, ring{x, y, r - 0.5, r + 0.5, ink{inkLight, 60}})
	}
	for _, p := range planets {
		r := l.skyRadius * p.orbit
		sin, cos := math.Sincos(2 * math.Pi * float64(now.UnixMilli()%p.year) / float64(p.year))
		list = append(list, disc(x+r*cos, y+r*sin, l.dotSize*p.size, solid(p.colour)))
	}
	return list
}

func (l layout) appendMarks(list []shape, s scene) []shape {
	for _, m := range s.marks {
		var outer, inner shape
		if m.button != 0 {
			x, y, k := float64(m.x)+0.5, float64(m.y)+0.5, solid(buttonColour(m.button))
			outer, inner = ring{x, y, 8, 11, k}, disc(x, y, 3, k)
		}
		list = append(list, outer, inner)
	}
	return list
}

func buttonColour(pressed uint8) colour {
	switch {
	case pressed&1 != 0:
		return inkCoral
	case pressed&4 != 0:
		return inkViolet
	default:
		return inkMint
	}
}

// appendTrail lets footprints shrink and fade in four steps.
func (l layout) appendTrail(list []shape, s scene, now time.Time) []shape {
	for _, f := range s.trail {
		var step shape
		if age := now.Sub(f.at); age >= 0 && age < trailLife {
			left := 4 - int(4*age/trailLife)
			step = disc(float64(f.x)+0.5, float64(f.y)+0.5, 1+float64(left), ink{inkSun, uint8(50 * left)})
		}
		list = append(list, step)
	}
	return list
}

// size is a number of bytes in words of at most five digits.
func size(n int64) string {
	switch {
	case n < 10_000:
		return fmt.Sprintf("%d", n)
	case n < 10_000_000:
		return fmt.Sprintf("%d k", n/1000)
	default:
		return fmt.Sprintf("%.1f M", float64(n)/1e6)
	}
}

// printable replaces what the font has no glyph for.
func printable(text string) string {
	b := make([]byte, 0, len(text))
	for _, r := range text {
		if r < ' ' || r > '~' {
			r = unknownGlyph
		}
		b = append(b, byte(r))
	}
	return string(b)
}
