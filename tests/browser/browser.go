package browser

import (
	"context"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

const (
	// lifetime bounds what one test does with a browser.
	lifetime = 3 * time.Minute
	// patience is what Eventually waits at most.
	patience = 40 * time.Second
)

// Browser is a real one with a page open, and what it complained about.
type Browser struct {
	ctx context.Context

	mu       sync.Mutex
	errors   []string
	requests []string
	traffic  traffic
}

// New starts Chromium, with options of its own if there are any; it ends with the
// test.
func New(t testing.TB, more ...chromedp.ExecAllocatorOption) *Browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed: tests/install.sh")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true), chromedp.WindowSize(1200, 900))
	options = append(options, more...)
	allocator, cancelAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	limited, cancelLimit := context.WithTimeout(allocator, lifetime)
	ctx, cancel := chromedp.NewContext(limited)
	b := &Browser{ctx: ctx}
	t.Cleanup(func() { b.close(t); cancel(); cancelLimit(); cancelAllocator() })
	b.watch(t)
	return b
}

// Tab opens another page in the same browser, which has its cookies in common with
// the first.
func (b *Browser) Tab(t testing.TB) *Browser {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	t.Cleanup(cancel)
	tab := &Browser{ctx: ctx}
	tab.watch(t)
	return tab
}

// watch notes what the page does from now on.
func (b *Browser) watch(t testing.TB) {
	t.Helper()
	if err := chromedp.Listen(b.ctx, b.note); err != nil {
		t.Fatalf("chromium does not start: %v", err)
	}
	Call(t, b, network.Enable, network.EnableParams{})
	Call(t, b, log.Enable, cdp.Empty{})
	Call(t, b, runtime.Enable, cdp.Empty{})
}

// close ends chromium and looks that it is gone.
func (b *Browser) close(t testing.TB) {
	c := chromedp.FromContext(b.ctx)
	if c.Browser == nil {
		return
	}
	process := c.Browser.Process()
	if err := chromedp.Cancel(b.ctx); err != nil {
		t.Logf("chromium is asked to end: %v", err)
	}
	Eventually(t, "chromium ends", func() bool { return syscall.Kill(process.Pid, 0) != nil })
}

// Call runs one command of the DevTools protocol.
func Call[P, R any](t testing.TB, b *Browser, command cdp.Command[P, R], params P) R {
	t.Helper()
	result, err := chromedp.Call(b.ctx, command, params)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// CallBrowser runs one command that is for the browser, not for its page.
func CallBrowser[P, R any](t testing.TB, b *Browser, command cdp.Command[P, R], params P) R {
	t.Helper()
	result, err := chromedp.CallBrowser(b.ctx, command, params)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// Eventually polls until ok, for 40 seconds: a page on a busy machine looks
// seldom whether its connection lives, and counts half a second a look.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("%s: not after %s", what, patience)
}
