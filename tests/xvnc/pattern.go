package xvnc

import (
	"fmt"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The pattern is a tile of two colours that looks the same neither turned nor
// mirrored nor moved, so that a picture shows when anything went astray.
const tileWidth, tileHeight = 16, 12

func tile() [tileHeight]uint16 {
	return [tileHeight]uint16{
		0x8001, 0x0003, 0x5507, 0xaa0f, 0x1111, 0x2222, 0x007f, 0x0ff0, 0x3c00, 0x7e18, 0x0180, 0xfffe,
	}
}

// writePattern writes the tile as an X bitmap, lowest bit left.
func writePattern(t testing.TB) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "#define t_width %d\n#define t_height %d\nstatic char t_bits[] = {\n", tileWidth, tileHeight)
	for _, row := range tile() {
		fmt.Fprintf(&b, "0x%02x, 0x%02x,\n", row&0xff, row>>8)
	}
	b.WriteString("};\n")
	file := filepath.Join(t.TempDir(), "tile.xbm")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// patternAt is the colour that was drawn at a place.
func patternAt(x, y int) color.RGBA {
	if tile()[y%tileHeight]>>(x%tileWidth)&1 == 1 {
		return color.RGBA{0xff, 0x80, 0x40, 0xff}
	}
	return color.RGBA{0x00, 0x40, 0xc0, 0xff}
}

// Exact is the distance of colours when none is lost.
const Exact = 0

// WantPattern compares every pixel with what a desktop of that size shows; a channel may be
// off by slack.
func WantPattern(t testing.TB, img image.Image, size image.Point, slack int) {
	t.Helper()
	if got, want := img.Bounds(), (image.Rectangle{Max: size}); got != want {
		t.Fatalf("picture: got %v, want %v", got, want)
	}
	if wrong, at := wrongPixels(img, image.Point{}, size, slack); wrong > 0 {
		t.Errorf("got %d wrong pixels of %d, the first at %v: %v, want %v", wrong, size.X*size.Y, at, img.At(at.X, at.Y), patternAt(at.X, at.Y))
	}
}

// wrongPixels counts what is not as it was drawn in a picture that shows the
// desktop from a place on, and tells the first of them.
func wrongPixels(img image.Image, from, size image.Point, slack int) (wrong int, first image.Point) {
	for y := range size.Y {
		for x := range size.X {
			got, want := color.RGBAModel.Convert(img.At(from.X+x, from.Y+y)).(color.RGBA), patternAt(x, y)
			if far(got.R, want.R, slack) || far(got.G, want.G, slack) || far(got.B, want.B, slack) {
				if wrong++; wrong == 1 {
					first = image.Pt(x, y)
				}
			}
		}
	}
	return wrong, first
}

func far(a, b uint8, slack int) bool { return max(int(a)-int(b), int(b)-int(a)) > slack }
