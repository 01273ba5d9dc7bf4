package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"time"

	"golang.org/x/sync/errgroup"

	"vdi-gateway/gateway/rfb/desktop"
	"vdi-gateway/tests/bench/figure"
)

const (
	// pageLoads is how often a round opens each page.
	pageLoads = 3
	// pageTime bounds all of a round.
	pageTime = time.Minute
)

// serveDesktop serves the sample desktop on the VM until stop.
func (c *consoles) serveDesktop() (stop func(), err error) {
	l, err := c.target.Listen(c.desktop.String())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var served errgroup.Group
	served.Go(func() error {
		return desktop.New(desktop.Config{Width: frameWidth, Height: frameHeight}).Serve(ctx, l)
	})
	return func() { cancel(); _ = served.Wait() }, nil // nil: it was stopped
}

// firstFrames measures the time from opening a page to the desktop in it. Without
// a page of ours there is nothing to compare.
func (c *consoles) firstFrames(ctx context.Context, round int) error {
	at := &c.pages
	if at.lost {
		return nil
	}
	err := c.pageThere(ctx)
	if err == nil {
		err = c.restart(ctx, at.theirs)
	}
	var ours, theirs float64
	if err == nil {
		ours, theirs, err = c.loadPages(ctx, round)
	}
	if err != nil {
		c.leave(at, err)
		return nil
	}
	c.sheet.Add(consoleFrame, ours, theirs)
	return nil
}

// pageThere tells whether the product serves its page, and runs.
func (c *consoles) pageThere(ctx context.Context) error {
	if c.plain.lost || c.plain.ours.run == nil {
		return errors.New("the gateway was not started")
	}
	client := http.Client{Transport: &http.Transport{DialContext: c.client.DialContext, DisableKeepAlives: true}, Timeout: wireTime}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.plain.ours.addr.String()+"/console/", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close() // the status says all
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET /console/ was answered %s: this gateway does not serve the page", resp.Status)
	}
	return nil
}

// loadPages opens both pages in turn, in one browser on the clients' host.
func (c *consoles) loadPages(ctx context.Context, round int) (ours, theirs float64, err error) {
	var links []string
	for range pageLoads {
		ticket, err := c.plain.ours.ticket(ctx, c.desktop, 1)
		if err != nil {
			return 0, 0, err
		}
		links = append(links, fmt.Sprintf("http://%s/console/?token=%s", c.plain.ours.addr, ticket))
	}
	turns := inTurn(round, links, fmt.Sprintf("http://%s/vnc.html?autoconnect=true&path=websockify", c.pages.theirs.addr))
	times, err := c.openPages(ctx, turns)
	if err != nil {
		return 0, 0, err
	}
	ours, theirs = apart(round, times)
	return ours, theirs, nil
}

// inTurn has their page once beside each of our links, first in odd rounds.
func inTurn(round int, links []string, page string) (all []string) {
	for _, link := range links {
		if round%2 == 0 {
			all = append(all, link, page)
		} else {
			all = append(all, page, link)
		}
	}
	return all
}

// apart is the median of each side's times, which came in turn.
func apart(round int, times []float64) (ours, theirs float64) {
	var sides [2][]float64
	for i, ms := range times {
		side := (i + round) % 2
		sides[side] = append(sides[side], ms)
	}
	return figure.Median(sides[0]), figure.Median(sides[1])
}

// openPages runs the browser, as a process on the clients' host.
func (c *consoles) openPages(ctx context.Context, urls []string) ([]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, pageTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", append([]string{"pages"}, urls...)...) //nolint:gosec // this program again
	cmd.Stderr = io.Discard                                                                  // what the browser says of itself
	out, err := c.client.Run(ctx, cmd)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Times []float64
		Error string
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		return nil, fmt.Errorf("the browser's process printed %q: %w", out, err)
	}
	if answer.Error != "" || len(answer.Times) != len(urls) {
		return nil, fmt.Errorf("%d of %d pages: %s", len(answer.Times), len(urls), answer.Error)
	}
	return answer.Times, nil
}
