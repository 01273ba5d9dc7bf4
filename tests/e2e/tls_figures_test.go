//go:build e2e

package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// figures are what a node uses.
type figures struct {
	sockets, goroutines int
	heap                int // bytes
}

// heapSlack is what the heap of a node may differ by from one moment to another.
const heapSlack = 4 << 20

// fetch asks for a page on a connection of its own.
func (p *place) fetch(url string, trust *tls.Config) (string, error) {
	c := &http.Client{Timeout: quick, Transport: &http.Transport{
		DialContext: p.client.DialContext, TLSClientConfig: trust, DisableKeepAlives: true,
	}}
	resp, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	return string(text), err
}

// figures reads them from the metrics, as a monitoring does.
func (p *place) figures(t *testing.T, trust *tls.Config) (f figures) {
	t.Helper()
	text, err := p.fetch("https://"+p.statsAt().String()+"/metrics", trust)
	if err == nil {
		f.sockets, err = p.node.Sockets()
	}
	if err != nil {
		t.Fatal(err)
	}
	f.goroutines, f.heap = figure(t, text, "go_goroutines"), figure(t, text, "go_memstats_heap_alloc_bytes")
	return f
}

func figure(t *testing.T, text, name string) int {
	t.Helper()
	found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("metrics: got no %s, want it: %s", name, text)
	}
	n, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return int(n)
}

// wantFigures waits until the node uses as much as before.
func (p *place) wantFigures(t *testing.T, trust *tls.Config, before figures) {
	t.Helper()
	var now figures
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		now = p.figures(t, trust)
		if now.sockets <= before.sockets+leakSlack && now.goroutines <= before.goroutines+leakSlack && now.heap <= before.heap+heapSlack {
			t.Logf("before: %+v, afterwards: %+v", before, now)
			return
		}
	}
	t.Errorf("what the node uses: got %+v, want it as before: %+v", now, before)
}
