package pages

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"vdi-gateway/tests/node"
	"vdi-gateway/tests/xvnc"
)

// TestAThousandIdleConsoles on one node: all live, another one works, and what one costs
// is in the log.
func TestAThousandIdleConsoles(t *testing.T) {
	if !full {
		t.Skip("a crowd: make e2e")
	}
	const many, pings = 1000, 3
	r := newRig(t, 1, node.Settings{"console": map[string]any{"ping_s": 2}})
	l, err := r.vms.Listen(r.vms.Addr().String() + ":7000")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
		}
	}()
	vm, c := netip.MustParseAddrPort(l.Addr().String()), r.user(t)
	before := memory(t, r.nodes[0])
	all := make([]idler, many)
	for i := range all {
		all[i].begin(t, r, r.tunnel(t, c, vm).Token)
	}
	xvnc.Eventually(t, "all have been pinged, and live", func() bool {
		for i := range all {
			if all[i].pings.Load() < pings {
				return false
			}
		}
		return true
	})
	t.Logf("a console that idles costs %.1f KiB", float64(memory(t, r.nodes[0])-before)/many)
	for i := range all {
		all[i].echo(t)
	}
	b := r.browse(t)
	opens(t, b, r.link(t, r.sample(t, vmPort), nil).ConsoleURL)
	acts(t, b, "one more")
}

// idler is a console that says nothing.
type idler struct {
	ws    *websocket.Conn
	pings atomic.Int32
	heard chan string
}

func (i *idler) begin(t *testing.T, r *rig, token string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DialContext: r.there.DialContext, DisableKeepAlives: true}}
	var err error
	i.ws, _, err = websocket.Dial(soon(t), "ws://"+r.api(0).String()+"/v3/connect/?token="+token, &websocket.DialOptions{
		HTTPClient: client, OnPingReceived: func(context.Context, []byte) bool { i.pings.Add(1); return true },
	})
	if err != nil {
		t.Fatal(err)
	}
	i.heard = make(chan string, 1)
	t.Cleanup(func() { _ = i.ws.CloseNow() })
	go func() {
		_, text, _ := i.ws.Read(context.Background())
		i.heard <- string(text)
	}()
}

func (i *idler) echo(t *testing.T) {
	t.Helper()
	if err := i.ws.Write(soon(t), websocket.MessageBinary, []byte("here")); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-i.heard:
		if got != "here" {
			t.Errorf("got %q back, want what was sent", got)
		}
	case <-soon(t).Done():
		t.Fatal("nothing comes back")
	}
}

// memory is what a node holds, in KiB.
func memory(t *testing.T, n *node.Node) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.PID()))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(text)
	if found == nil {
		t.Fatalf("got %s, want VmRSS", text)
	}
	kib, _ := strconv.Atoi(string(found[1])) // digits
	return kib
}
