package pages

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"image"
	_ "image/png" // what the page gives its picture as
	"maps"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"vdi-gateway/gateway/rfb/desktop"
	"vdi-gateway/tests/browser"
	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
	"vdi-gateway/tests/xvnc"
)

const (
	patience = 40 * time.Second // bounds every wait; what is waited for takes a fraction of it
	frontAPI = 8002
	virtual  = "10.99.0.100"
	home     = "10.99.0.10" // where the browser is
	vmPort   = 5901
)

// rig is a gateway of one node or more, a host for VMs and one for the browser.
type rig struct {
	network    *lab.Network
	gates      []*lab.Host
	configs    []node.Config
	nodes      []*node.Node
	vms, there *lab.Host // there: the user
}

// newRig starts nodes. Several have a virtual address.
func newRig(t *testing.T, nodes int, over node.Settings) *rig {
	t.Helper()
	n := lab.New(t)
	r := &rig{network: n, vms: n.Host("vm", "10.99.0.20/24"), there: n.Host("user", home+"/24")}
	var addrs []string
	for i := range nodes {
		addrs = append(addrs, fmt.Sprintf("10.99.0.%d", i+1))
	}
	settings := node.Settings{"internal_addrs": addrs}
	if nodes > 1 {
		maps.Copy(settings, node.Settings{
			"virtual_addr": virtual, "balancer_api_port": frontAPI,
			"vrrp": map[string]any{"version": 3, "router_id": 51, "advert_ms": 100},
		})
	}
	maps.Copy(settings, over)
	for i, a := range addrs {
		name := fmt.Sprintf("node%d", i+1)
		r.gates = append(r.gates, n.Host(name, a+"/24"))
		r.nodes = append(r.nodes, nil)
		r.configs = append(r.configs, node.Config{
			Binary: node.Binary(), DB: filepath.Join(t.TempDir(), name, "settings.db"),
			Settings: settings,
		})
		r.start(t, i)
	}
	if nodes > 1 {
		r.together(t)
	}
	return r
}

// start starts a node for the first time.
func (r *rig) start(t *testing.T, i int) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(r.configs[i].DB), 0o700)
	if err == nil {
		r.nodes[i], err = node.Start(r.gates[i], r.configs[i])
	}
	if err != nil {
		t.Fatal(err)
	}
	n := r.nodes[i]
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log of node %d:\n%s", i+1, n.Log())
		}
	})
}

// together waits until one node has the virtual address and all know each other.
func (r *rig) together(t *testing.T) {
	t.Helper()
	for _, n := range r.nodes {
		xvnc.Eventually(t, "all nodes are alive for each other, and one is active", func() bool {
			h := healthOf(t, n)
			return h.alive() == len(r.nodes) && h.active().IsValid()
		})
	}
}

type health struct {
	Cluster []struct {
		Addr  netip.Addr
		Alive bool
		Role  string
	}
}

func healthOf(t *testing.T, n *node.Node) (h health) {
	t.Helper()
	d := n.Dispatcher()
	defer d.Close()
	if err := d.Call(soon(t), http.MethodGet, "/v3/health/", nil, &h); err != nil {
		t.Log(err)
	}
	return h
}

func (h health) alive() (n int) {
	for _, m := range h.Cluster {
		if m.Alive {
			n++
		}
	}
	return n
}

// active is the node that has the virtual address.
func (h health) active() netip.Addr {
	for _, m := range h.Cluster {
		if m.Alive && m.Role == "active" {
			return m.Addr
		}
	}
	return netip.Addr{}
}

// link is what a user gets to see a desktop.
type link struct {
	Ticket     string `json:"ticket"`
	ConsoleURL string `json:"console_url"`
}

// link is a ticket for a VM; more are further fields of it.
func (r *rig) link(t *testing.T, vm netip.AddrPort, more map[string]any) (l link) {
	t.Helper()
	d := r.nodes[0].Dispatcher()
	defer d.Close()
	return linkFrom(t, d, vm, more)
}

func linkFrom(t *testing.T, d *node.Client, vm netip.AddrPort, more map[string]any) (l link) {
	t.Helper()
	body := map[string]any{"vm_address": vm.Addr().String(), "vm_port": vm.Port(), "protocol": "vnc", "vm_id": "a desktop"}
	maps.Copy(body, more)
	if err := d.Call(soon(t), http.MethodPost, "/v3/tickets/", body, &l); err != nil {
		t.Fatal(err)
	}
	return l
}

// dispatcher calls a node with api_key.
func (r *rig) dispatcher(t *testing.T, i int) *node.Client {
	t.Helper()
	d := r.nodes[i].Dispatcher()
	t.Cleanup(d.Close)
	return d
}

// browse starts the user's browser.
func (r *rig) browse(t *testing.T, more ...chromedp.ExecAllocatorOption) *browser.Browser {
	t.Helper()
	return browser.New(t, append(more, browser.Inside(t, r.there.Path()))...)
}

// sample serves the sample desktop on the host of VMs.
func (r *rig) sample(t *testing.T, port uint16) netip.AddrPort {
	t.Helper()
	at := netip.AddrPortFrom(r.vms.Addr(), port)
	l, err := r.vms.Listen(at.String())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	d := desktop.New(desktop.Config{Width: 640, Height: 480, Name: "Sample desktop"})
	go func() { defer close(done); _ = d.Serve(t.Context(), l) }()
	t.Cleanup(func() { <-done })
	return at
}

// opens has a page show the desktop of a link.
func opens(t *testing.T, b *browser.Browser, url string) {
	t.Helper()
	b.Do(t, chromedp.Navigate(url))
	reaches(t, b, "live")
}

// reaches waits until a page is in a state.
func reaches(t *testing.T, b *browser.Browser, state string) {
	t.Helper()
	xvnc.Eventually(t, "the page is "+state, func() bool { return at(t, b) == state })
}

func at(t *testing.T, b *browser.Browser) string {
	t.Helper()
	return b.Eval(t, "document.body.dataset.at")
}

// textOf is what an element says, "" while it is hidden.
func textOf(t *testing.T, b *browser.Browser, id string) string {
	t.Helper()
	return b.Eval(t, "(e => e.checkVisibility() ? e.textContent.trim() : '')(document.getElementById('"+id+"'))")
}

// endsWith waits until a page has ended, and compares its words and its button.
func endsWith(t *testing.T, b *browser.Browser, headline, button string) {
	t.Helper()
	reaches(t, b, "ended")
	if got := textOf(t, b, "headline"); got != headline {
		t.Errorf("the page says %q, want %q", got, headline)
	}
	if got := textOf(t, b, "again"); got != button {
		t.Errorf("the page has the button %q, want %q", got, button)
	}
}

// picture is what a page shows of its desktop.
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

// acts clicks into the middle of the desktop and types a letter.
func acts(t *testing.T, b *browser.Browser, text string) {
	t.Helper()
	b.Do(t, chromedp.Click(chromedp.CSS("#place canvas")), chromedp.KeyEvent(text))
}

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// uncomplaining checks what the pages said on their consoles, and where they went.
func uncomplaining(t *testing.T, url string, pages ...*browser.Browser) {
	t.Helper()
	base, _, _ := strings.Cut(url, "/console/")
	for _, b := range pages {
		for _, c := range b.Complaints(base) {
			// What a browser and noVNC say of every page without TLS.
			if !strings.Contains(c, "Cross-Origin-Opener-Policy") && !strings.Contains(c, "noVNC requires a secure context") {
				t.Error(c)
			}
		}
	}
}
