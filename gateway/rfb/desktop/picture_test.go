package desktop

import (
	"image"
	"image/color"
	"strings"
	"testing"
	"time"
)

// rgb is how tests look at a canvas and at a viewer's image alike.
type rgb func(x, y int) colour

func pixelsOf(img image.Image) rgb {
	return func(x, y int) colour {
		c := color.RGBAModel.Convert(img.At(x, y)).(color.RGBA)
		return colour(c.R)<<16 | colour(c.G)<<8 | colour(c.B)
	}
}

func (c *canvas) rgb(x, y int) colour { return c.pix[y*c.w+x] }

// readLine reads a line of the text area off the picture, as a person would.
func readLine(l layout, at rgb, row int) string {
	var b strings.Builder
	for col := range l.columns {
		x := l.text.Min.X + col*textWidth(" ", textScale)
		b.WriteByte(readGlyph(at, x, l.text.Min.Y+row*textPitch))
	}
	return strings.TrimRight(b.String(), " ")
}

// readGlyph finds the one character that looks like what is at x, y; ? when
// none does.
func readGlyph(at rgb, x, y int) byte {
	for char := byte(' '); char <= unknownGlyph; char++ {
		if looksLike(at, x, y, char) {
			return char
		}
	}
	return '?'
}

func looksLike(at rgb, x, y int, char byte) bool {
	for dy := range lineHeight {
		for dx := range glyphWidth {
			got := at(x+dx*textScale, y+dy*textScale) == inkText
			if got != dot(char, dx, dy) {
				return false
			}
		}
	}
	return true
}

// eventually updates the viewer until its picture is as wanted.
func eventually(t *testing.T, v *Viewer, what string, wanted func(at rgb) bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if _, err := v.Update(true); err != nil {
			t.Fatal(err)
		}
		if wanted(pixelsOf(v.Image())) {
			return
		}
	}
	t.Fatalf("the picture does not show within %v: %s", patience, what)
}

func typeText(t *testing.T, v *Viewer, text string) {
	t.Helper()
	for _, c := range text {
		if err := v.Key(uint32(c)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFontTellsItsCharactersApart(t *testing.T) {
	seen := map[string]byte{}
	for char := byte(' '); char <= unknownGlyph; char++ {
		var b strings.Builder
		for y := range lineHeight {
			for x := range glyphWidth {
				b.WriteByte('0' + flag(dot(char, x, y)))
			}
		}
		if twin, ok := seen[b.String()]; ok {
			t.Errorf("%q looks like %q", char, twin)
		}
		seen[b.String()] = char
	}
}

func TestFontLinesAreWhole(t *testing.T) {
	const width = glyphsPerLine*glyphAdvance - 1
	for i, block := range font {
		for y, line := range block {
			if len(line) != width || strings.Trim(line, ".# ") != "" {
				t.Errorf("block %d, line %d: got %q, want %d of \".# \"", i, y, line, width)
			}
		}
	}
}
