package console

import (
	"bytes"
	"encoding/base64"
	"image"
	_ "image/png" // what the page gives its picture as
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"vdi-gateway/gateway/rfb/desktop"
	"vdi-gateway/tests/browser"
)

// The sample desktop's size here.
const width, height = 1024, 640

// sample serves the sample desktop and returns its address.
func sample(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	d := desktop.New(desktop.Config{Width: width, Height: height, Name: "Sample desktop"})
	go func() { defer close(done); _ = d.Serve(t.Context(), l) }()
	t.Cleanup(func() { <-done })
	return l.Addr().String()
}

// live opens the page of a gateway and waits for the desktop.
func live(t *testing.T, b *browser.Browser, g *gateway) {
	t.Helper()
	open(t, b, g.page())
	reaches(t, b, "live")
}

func open(t *testing.T, b *browser.Browser, url string) {
	t.Helper()
	b.Do(t, chromedp.Navigate(url))
}

// reaches waits until the page is in a state.
func reaches(t *testing.T, b *browser.Browser, state string) {
	t.Helper()
	browser.Eventually(t, "the page is "+state, func() bool { return at(t, b) == state })
}

func at(t *testing.T, b *browser.Browser) string {
	t.Helper()
	return b.Eval(t, "document.body.dataset.at")
}

// textOf is what an element says, "" while it is hidden.
func textOf(t *testing.T, b *browser.Browser, id string) string {
	t.Helper()
	return b.Eval(t, "document.getElementById('"+id+"').checkVisibility() ? document.getElementById('"+id+"').textContent.trim() : ''")
}

// speak makes pages see a user who reads these languages.
func speak(t *testing.T, b *browser.Browser, languages string) {
	t.Helper()
	agent := b.Eval(t, "navigator.userAgent")
	browser.Call(t, b, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: agent, AcceptLanguage: languages})
}

// press clicks an element, as a mouse does.
func press(t *testing.T, b *browser.Browser, id string) {
	t.Helper()
	b.Do(t, chromedp.Click(chromedp.CSS("#"+id)))
}

// stroke presses and releases one key, as a keyboard with that letter on it does.
func stroke(t *testing.T, b *browser.Browser, letter, code string) {
	t.Helper()
	for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeKeyDown, input.DispatchKeyEventTypeKeyUp} {
		browser.Call(t, b, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: kind, Key: letter, Code: code})
	}
}

// picture is what the page shows of the desktop.
func picture(t *testing.T, b *browser.Browser) image.Image {
	t.Helper()
	url := b.Eval(t, "document.querySelector('#place canvas').toDataURL()")
	data, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(url, "data:image/png;base64,"))
	if err != nil {
		t.Fatal(err)
	}
	img, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// place is where a point of the desktop is in the window.
func place(t *testing.T, b *browser.Browser, p point) (x, y float64) {
	t.Helper()
	var left, top, scale float64
	parts := strings.Split(b.Eval(t, "(() => { const c = document.querySelector('#place canvas'), r = c.getBoundingClientRect(); return [r.left, r.top, r.width / c.width]; })()"), ",")
	for i, into := range []*float64{&left, &top, &scale} {
		*into = number(t, parts[i])
	}
	return left + (float64(p.x)+0.5)*scale, top + (float64(p.y)+0.5)*scale
}

func abs(n int) int { return max(n, -n) }

func number(t *testing.T, text string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// alike is the share of pixels of two pictures that are the same.
func alike(a, b image.Image) float64 {
	if a.Bounds() != b.Bounds() {
		return 0
	}
	same := 0
	for y := range b.Bounds().Dy() {
		for x := range b.Bounds().Dx() {
			r, g, bl, _ := a.At(x, y).RGBA()
			r2, g2, b2, _ := b.At(x, y).RGBA()
			if r>>8 == r2>>8 && g>>8 == g2>>8 && bl>>8 == b2>>8 {
				same++
			}
		}
	}
	return float64(same) / float64(b.Bounds().Dx()*b.Bounds().Dy())
}
