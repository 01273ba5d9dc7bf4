package desktop

import (
	"fmt"
	"image"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func drawn(l layout, s scene, now time.Time) *canvas {
	c := newCanvas(l.screen.Dx(), l.screen.Dy())
	c.repaint(l.list(s, now), region{l.screen})
	return c
}

func press(s scene, text string) scene {
	for _, c := range text {
		s = s.step(noon, keyPress{uint32(c)})
	}
	return s
}

func TestTyping(t *testing.T) {
	start := []string{"Type here, click anywhere.", ""}
	for _, tc := range []struct {
		name string
		syms []uint32
		want []string // lines after the greeting
	}{
		{"letters", []uint32{'H', 'i', '!'}, []string{"Hi!"}},
		{"enter begins a line", []uint32{'a', symReturn, 'b', symKeypadEnter, 'c'}, []string{"a", "b", "c"}},
		{"backspace takes the last", []uint32{'a', 'b', symBackSpace}, []string{"a"}},
		{"backspace joins lines", []uint32{'a', symReturn, symBackSpace, 'b'}, []string{"ab"}},
		{"tab is a space", []uint32{'a', symTab, 'b'}, []string{"a b"}},
		{"keypad", []uint32{0xffb1, 0xffab, 0xffb9, 0xffaf}, []string{"1+9/"}},
		{"unicode keysym of ASCII", []uint32{symUnicode + 'x'}, []string{"x"}},
		{"Latin-1 and unicode are a box", []uint32{0xe9, symUnicode + 0x20ac}, []string{"\x7f\x7f"}},
		{"shift, arrows and unknown type nothing", []uint32{'a', 0xffe1, 0xff51, 0, 0x1f, symUnicode, 0xffffffff}, []string{"a"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLayout(Config{}.complete())
			s := newScene(l)
			for _, sym := range tc.syms {
				s = s.step(noon, keyPress{sym})
			}
			want := append(slices.Clone(start), tc.want...)
			if diff := cmp.Diff(want, s.page.lines[:s.page.last+1]); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTypingScrollsWraps(t *testing.T) {
	p := page{columns: 3, rows: 2}
	for _, c := range []byte("abcdefgh") {
		p = p.typed(c)
	}
	if diff := cmp.Diff([]string{"def", "gh"}, p.lines[:p.rows]); diff != "" {
		t.Errorf("a full page (-want +got):\n%s", diff)
	}
	for range 10 {
		p = p.typed(backspace)
	}
	if p.last != 0 || p.lines[0] != "" {
		t.Errorf("after backspacing all: got line %d, %q, want 0, empty", p.last, p.lines[0])
	}
}

func TestEscapeClears(t *testing.T) {
	s := press(newScene(newLayout(Config{}.complete())), "text")
	s = s.step(noon, keyPress{symEscape})
	if diff := cmp.Diff(make([]string, maxRows), s.page.lines[:]); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestPictureShowsWhatIsTyped(t *testing.T) {
	for _, size := range []Config{{}, {Width: 320, Height: 240}, {Width: 1920, Height: 1080}} {
		l := newLayout(size.complete())
		s := press(newScene(l), "\x1b")
		s = s.step(noon, keyPress{symEscape})
		s = press(s, "Qy_j{~")
		if got, want := readLine(l, drawn(l, s, noon.Add(600*time.Millisecond)).rgb, 0), "Qy_j{~"; got != want {
			t.Errorf("%dx%d: got %q, want %q", l.screen.Dx(), l.screen.Dy(), got, want)
		}
	}
}

func TestPictureIsAFunctionOfStateAndTime(t *testing.T) {
	l := newLayout(Config{}.complete())
	s := press(newScene(l), "same").step(noon, pointerAt{x: 90, y: 300, pressed: 1})
	if !slices.Equal(drawn(l, s, noon).pix, drawn(l, s, noon).pix) {
		t.Error("two pictures of one state and time differ")
	}
	if slices.Equal(drawn(l, s, noon).pix, drawn(l, s, noon.Add(50*time.Millisecond)).pix) {
		t.Error("nothing moves within 50 ms")
	}
}

func TestStepLeavesTheFormerScene(t *testing.T) {
	s := newScene(newLayout(Config{}.complete()))
	before := s
	press(s, "text").step(noon, pointerAt{1, 1, 1}).step(noon, clipboard{"c", 1}).step(noon, tick{frames: 9})
	if s != before {
		t.Error("step changed the scene it was called on")
	}
}

func TestClickMarksByButton(t *testing.T) {
	l := newLayout(Config{}.complete())
	for _, tc := range []struct {
		pressed uint8
		want    colour
	}{{1, inkCoral}, {2, inkMint}, {4, inkViolet}, {8, inkPaper}, {0, inkPaper}} {
		s := newScene(l).step(noon, pointerAt{x: 200, y: 400, pressed: tc.pressed})
		if got := drawn(l, s, noon.Add(trailLife)).rgb(200, 400); got != tc.want {
			t.Errorf("buttons %#x: got %06x, want %06x", tc.pressed, got, tc.want)
		}
	}
}

func TestTrailFades(t *testing.T) {
	l := newLayout(Config{}.complete())
	s := newScene(l).step(noon, pointerAt{x: 200, y: 400})
	if got := drawn(l, s, noon).rgb(200, 400); got == inkPaper {
		t.Error("no trail where the pointer is")
	}
	if got := drawn(l, s, noon.Add(trailLife)).rgb(200, 400); got != inkPaper {
		t.Errorf("after %v: got %06x, want the paper's %06x", trailLife, got, inkPaper)
	}
}

// What is painted piece by piece must be what is painted at once, whatever
// happens in between and off the screen.
func TestPiecesMakeTheWholePicture(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			l := newLayout(Config{Width: 400, Height: 300}.complete())
			s, now := newScene(l), noon
			c := newCanvas(400, 300)
			var shown []shape
			for i := range 150 {
				for range r.IntN(4) {
					s = s.step(now, anyEvent(r))
				}
				now = now.Add(time.Duration(r.IntN(300)) * time.Millisecond)
				list := l.list(s, now)
				c.repaint(list, difference(shown, list))
				shown = list
				if !slices.Equal(c.pix, drawn(l, s, now).pix) {
					t.Fatalf("picture %d differs from one painted at once", i)
				}
			}
		})
	}
}

func anyEvent(r *rand.Rand) event {
	switch r.IntN(5) {
	case 0:
		return keyPress{uint32(' ' + r.IntN(96))}
	case 1:
		return keyPress{[]uint32{symReturn, symBackSpace, symEscape}[r.IntN(3)]}
	case 2:
		return clipboard{"some text", r.IntN(100)}
	case 3:
		return tick{frames: r.Int64(), in: r.Int64(), out: r.Int64(), viewers: r.IntN(64)}
	default:
		return pointerAt{x: r.IntN(500), y: r.IntN(400), pressed: uint8(r.IntN(256))}
	}
}

func TestRegion(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 2))
		var g region
		var added []image.Rectangle
		for range 40 {
			x, y := r.IntN(100), r.IntN(100)
			added = append(added, image.Rect(x, y, x+r.IntN(12), y+r.IntN(12)))
			g.add(added[len(added)-1])
		}
		hole := image.Rect(20, 20, 70, 60)
		taken := g.take(hole)
		checkRegion(t, "left", g)
		checkRegion(t, "taken", taken)
		for _, a := range added {
			for y := a.Min.Y; y < a.Max.Y; y++ {
				for x := a.Min.X; x < a.Max.X; x++ {
					p := image.Rect(x, y, x+1, y+1)
					if in := p.In(hole); in && !taken.overlaps(p) || !in && !g.overlaps(p) {
						t.Fatalf("seed %d: lost pixel %d,%d", seed, x, y)
					}
				}
			}
		}
		for _, k := range taken {
			if !k.In(hole) {
				t.Errorf("seed %d: took %v, outside %v", seed, k, hole)
			}
		}
	}
}

func checkRegion(t *testing.T, name string, g region) {
	t.Helper()
	if len(g) > maxRegion {
		t.Errorf("%s: got %d rectangles, want at most %d", name, len(g), maxRegion)
	}
	for i, a := range g {
		for _, b := range g[i+1:] {
			if a.Overlaps(b) {
				t.Errorf("%s: %v overlaps %v", name, a, b)
			}
		}
	}
}

func TestConfigIsMovedIntoRange(t *testing.T) {
	long := string(make([]byte, 500))
	for _, tc := range []struct{ got, want Config }{
		{Config{}, Config{800, 600, "Sample desktop", 20}},
		{Config{1, 1, "x", 1000}, Config{320, 240, "x", 120}},
		{Config{99999, 99999, long, -5}, Config{3840, 2160, long[:128], 1}},
	} {
		if diff := cmp.Diff(tc.want, tc.got.complete()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}
