package statistics

import (
	"context"
	"fmt"
	"math"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser is a real one with a page open, and what it complained about.
type browser struct {
	ctx context.Context

	mu       sync.Mutex
	errors   []string
	requests []string
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed: tests/install.sh")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true), chromedp.WindowSize(1200, 900))
	allocator, cancelAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	limited, cancelLimit := context.WithTimeout(allocator, 2*time.Minute)
	ctx, cancel := chromedp.NewContext(limited)
	b := &browser{ctx: ctx}
	t.Cleanup(func() { b.close(t); cancel(); cancelLimit(); cancelAllocator() })
	if err := chromedp.Listen(ctx, b.note); err != nil {
		t.Fatalf("chromium does not start: %v", err)
	}
	invoke(t, b, network.Enable, network.EnableParams{})
	invoke(t, b, log.Enable, cdp.Empty{})
	invoke(t, b, runtime.Enable, cdp.Empty{})
	return b
}

// invoke runs one command of the DevTools protocol.
func invoke[P, R any](t *testing.T, b *browser, command cdp.Command[P, R], params P) {
	t.Helper()
	if _, err := chromedp.Call(b.ctx, command, params); err != nil {
		t.Fatal(err)
	}
}

// close ends chromium and looks that it is gone.
func (b *browser) close(t *testing.T) {
	c := chromedp.FromContext(b.ctx)
	if c.Browser == nil {
		return
	}
	process := c.Browser.Process()
	if err := chromedp.Cancel(b.ctx); err != nil {
		t.Logf("chromium is asked to end: %v", err)
	}
	eventually(t, "chromium ends", func() bool { return syscall.Kill(process.Pid, 0) != nil })
}

func (b *browser) note(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *runtime.EventExceptionThrown:
		b.errors = append(b.errors, e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		b.errors = append(b.errors, fmt.Sprint("console.", e.Type))
	case *log.EventEntryAdded:
		b.errors = append(b.errors, e.Entry.Text+" "+e.Entry.URL)
	}
}

// complaints are errors of the page, and requests to elsewhere than base.
func (b *browser) complaints(base string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	found := slices.Clone(b.errors)
	for _, r := range b.requests {
		if u, err := url.Parse(r); err != nil || u.Scheme != "data" && !strings.HasPrefix(r, base+"/") {
			found = append(found, "a request to "+r)
		}
	}
	return found
}

func (b *browser) do(t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// eval is the text that a JavaScript expression gives.
func (b *browser) eval(t *testing.T, expression string) string {
	t.Helper()
	got, err := chromedp.Run(b.ctx, chromedp.Evaluate[string]("String("+expression+")"))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (b *browser) open(t *testing.T, url, scheme string) {
	t.Helper()
	feature := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}
	invoke(t, b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: feature})
	b.do(t, chromedp.Navigate(url+"/"))
}

// shot writes a picture of the whole page. VDI_SHOTS names a folder to keep it in.
func (b *browser) shot(t *testing.T, name string) {
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

// lived fills the history of s with nine minutes of a working day, up to now.
func lived(s *Server, src *source) {
	now, snap := time.Now(), three()
	for n := range 540 {
		x := float64(n)
		snap.Sessions = 1180 + n/10 + int(30*math.Sin(x/37)+9*math.Sin(x/5))
		snap.Channels = 2*snap.Sessions - int(40*math.Cos(x/50))
		snap.BytesDown += uint64(7e7 + 3e7*math.Sin(x/29) + 9e6*math.Sin(x*1.7))
		snap.BytesUp += uint64(1.2e7 + 4e6*math.Sin(x/23) + 2e6*math.Sin(x*2.3))
		s.history.add(now.Add(time.Duration(n-540)*time.Second), snap)
	}
	src.change(func(s *Snapshot) { s.BytesUp, s.BytesDown = snap.BytesUp, snap.BytesDown })
}

// eventually polls until ok, for ten seconds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("%s: not after ten seconds", what)
}
