package browser

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Context is what chromedp's own functions take.
func (b *Browser) Context() context.Context { return b.ctx }

// Do runs actions of chromedp on the page.
func (b *Browser) Do(t testing.TB, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// Eval is the text that a JavaScript expression gives; a promise is waited for.
func (b *Browser) Eval(t testing.TB, expression string) string {
	t.Helper()
	got, err := chromedp.Run(b.ctx, chromedp.Evaluate[string]("(async () => String(await ("+expression+")))()", chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return got
}

// Scheme makes pages see a user who prefers the colour scheme, light or dark.
func (b *Browser) Scheme(t testing.TB, scheme string) {
	t.Helper()
	feature := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}
	Call(t, b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: feature})
}

// Shot writes a picture of the whole page. VDI_SHOTS names a folder to keep it in.
func (b *Browser) Shot(t testing.TB, name string) {
	t.Helper()
	folder := os.Getenv("VDI_SHOTS")
	if folder == "" {
		folder = t.TempDir()
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), png, 0o600); err != nil {
		t.Fatal(err)
	}
	if len(png) < 10_000 {
		t.Errorf("the picture %s has %d bytes: the page is empty", name, len(png))
	}
}
