package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// The sample desktop's size: the window has room for all of it, or noVNC's page
// would show a part.
const frameWidth, frameHeight = 1024, 640

// frameTime bounds one page.
const frameTime = 15 * time.Second

// watchFrame is run in a page before its own scripts. firstFrame is when the whole
// desktop is on the screen, in milliseconds since the navigation began: the frame
// after the one in which a canvas of its size has it everywhere. The desktop has
// no black pixel, and an empty canvas nothing else.
const watchFrame = `window.firstFrame = new Promise((done) => {
	const small = new OffscreenCanvas(32, 24).getContext("2d", { willReadFrequently: true });
	const painted = (canvas) => {
		small.clearRect(0, 0, 32, 24);
		small.drawImage(canvas, 0, 0, 32, 24);
		const data = small.getImageData(0, 0, 32, 24).data;
		for (let i = 0; i < data.length; i += 4) {
			if (data[i + 3] !== 255 || data[i] + data[i + 1] + data[i + 2] === 0) return false;
		}
		return true;
	};
	const look = () => {
		for (const canvas of document.querySelectorAll("canvas")) {
			if (canvas.width === %d && canvas.height === %d && painted(canvas)) {
				requestAnimationFrame(() => done(performance.now()));
				return;
			}
		}
		requestAnimationFrame(look);
	};
	requestAnimationFrame(look);
});`

// showPages opens pages in Chromium, each as a user who was never there, and prints
// the time until each shows the desktop. Why it could not is printed as well.
func showPages(ctx context.Context, urls []string) error {
	times, err := timePages(ctx, urls)
	answer := map[string]any{"Times": times}
	if err != nil {
		answer["Error"] = err.Error()
	}
	return json.NewEncoder(os.Stdout).Encode(answer)
}

func timePages(ctx context.Context, urls []string) (times []float64, err error) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return nil, fmt.Errorf("chromium is not installed (tests/install.sh installs it)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.WindowSize(1200, 900))
	ctx, cancelAllocator := chromedp.NewExecAllocator(ctx, options...)
	defer cancelAllocator()
	ctx, cancel := chromedp.NewContext(ctx)
	defer func() { _ = chromedp.Cancel(ctx); cancel() }() // it ends with this process at the latest
	if err := chromedp.Do(ctx); err != nil {
		return nil, fmt.Errorf("start chromium: %w", err)
	}
	for _, url := range urls {
		ms, err := timePage(ctx, url)
		if err != nil {
			return times, fmt.Errorf("%s: %w", url, err)
		}
		times = append(times, ms)
	}
	return times, nil
}

// timePage opens a page with nothing cached.
func timePage(ctx context.Context, url string) (float64, error) {
	ctx, cancelTime := context.WithTimeout(ctx, frameTime)
	defer cancelTime()
	ctx, cancel := chromedp.NewContext(ctx, chromedp.WithNewBrowserContext())
	defer cancel()
	watch := page.AddScriptToEvaluateOnNewDocumentParams{Source: fmt.Sprintf(watchFrame, frameWidth, frameHeight)}
	if err := chromedp.Do(ctx); err != nil {
		return 0, err
	}
	if _, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, watch); err != nil {
		return 0, err
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		return 0, err
	}
	return chromedp.Run(ctx, chromedp.Evaluate[float64]("window.firstFrame", chromedp.EvalAwaitPromise))
}
