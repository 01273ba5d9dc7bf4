package pages

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"vdi-gateway/tests/node"
	"vdi-gateway/tests/xvnc"
)

// novnc is where Debian has it.
const novnc = "/usr/share/novnc"

// tunnel is a connection of mode websocket to a VM.
func (r *rig) tunnel(t *testing.T, c *node.Client, vm netip.AddrPort) node.Tunnel {
	t.Helper()
	tunnel, err := c.Open(soon(t), node.OpenRequest{VMAddress: vm.Addr().String(), VMPort: int(vm.Port()), Mode: "websocket"})
	if err != nil {
		t.Fatal(err)
	}
	return tunnel
}

func (r *rig) user(t *testing.T) *node.Client {
	t.Helper()
	c := r.nodes[0].Client(r.there)
	t.Cleanup(c.Close)
	return c
}

// TestAnOlderNoVNC comes from a server of its own, which has to be allowed, and attaches
// with the token in its `path`.
func TestAnOlderNoVNC(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(novnc); err != nil {
		t.Skip("noVNC is not installed: tests/install.sh")
	}
	const origin = "http://" + home + ":6080"
	r := newRig(t, 1, nil)
	d := r.plain(t, vmPort)
	l, err := r.there.Listen(home + ":6080")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.FileServer(http.Dir(novnc)), ReadHeaderTimeout: patience}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	visit := func(token string) string {
		q := url.Values{
			"host": {"10.99.0.1"}, "port": {fmt.Sprint(node.APIPort)}, "autoconnect": {"1"},
			"path": {"v3/connect/?token=" + token},
		}
		return origin + "/vnc.html?" + q.Encode()
	}
	b := r.browse(t)
	token := r.tunnel(t, r.user(t), d.Addr).Token
	b.Do(t, chromedp.Navigate(visit(token)))
	xvnc.Eventually(t, "noVNC hears that it may not", func() bool {
		return strings.Contains(strings.Join(b.Errors(), " "), "403")
	})
	try(t, r.dispatcher(t, 0).Call(soon(t), http.MethodPost, "/v3/change_settings/", map[string]any{"console": map[string]any{"allowed_origins": []string{origin}}}, nil))
	second := b.Tab(t)
	second.Do(t, chromedp.Navigate(visit(token))) // which is not spent
	const canvas = "document.querySelector('#noVNC_container canvas')"
	xvnc.Eventually(t, "noVNC shows the desktop", func() bool {
		return second.Eval(t, "(c => c ? c.width + 'x' + c.height : '')("+canvas+")") == fmt.Sprintf("%dx%d", d.Size.X, d.Size.Y)
	})
	events := d.Events(t)
	xvnc.Eventually(t, "what is typed there arrives", func() bool {
		second.Do(t, chromedp.Click(chromedp.CSS("#noVNC_container canvas")), chromedp.KeyEvent("a"))
		return strings.Contains(events.Output(), "(keysym 0x61, a)")
	})
}

// websockify's own library is a client, too. It drops the query of an address, so that the
// token is a subprotocol beside those that it knows, of which it wants to hear one.
// It can only listen: in Python 3 it fails to mask what it sends.
const pythonClient = `
import sys
from websockify.websocket import WebSocket
for protocols in (["binary"], ["base64", "binary"]):
    token = sys.stdin.readline().strip()
    ws = WebSocket()
    ws.connect("ws://10.99.0.1:8000/v3/connect/", protocols=protocols + ["vdi.token." + token])
    got = b""
    while len(got) < 12:
        got += ws.recv()
    print(got, ws.protocol)
`

func TestWebsockifysClient(t *testing.T) {
	t.Parallel()
	xvnc.Need(t, "websockify")
	if !full {
		t.Skip("it hears what came with the answer only when more comes: make e2e")
	}
	r := newRig(t, 1, nil)
	vm, c := r.sample(t, vmPort), r.user(t)
	tokens := ""
	for range 2 {
		tokens += r.tunnel(t, c, vm).Token + "\n"
	}
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", pythonClient) // the system's, which has the library
	cmd.Stdin = strings.NewReader(tokens)
	out, err := r.there.Run(soon(t), cmd)
	if err != nil {
		t.Fatal(err)
	}
	const hello = `b'RFB 003.008\n' `
	if want := hello + "binary\n" + hello + "binary\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

// TestHalfRequests: clients that never finish their upgrade keep nobody out.
func TestHalfRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, nil)
	vm := r.sample(t, vmPort)
	var half []net.Conn
	for range 1000 {
		c, err := r.there.Dial(netip.Addr{}, r.api(0), patience)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		_ = c.SetWriteDeadline(time.Now().Add(patience))
		if _, err := c.Write([]byte("GET /v3/connect/ HTTP/1.1\r\nHost: 10.99.0.1:8000\r\nConnection: Upgrade\r\nUpgrade: webso")); err != nil {
			t.Fatal(err)
		}
		half = append(half, c)
	}
	b := r.browse(t)
	began := time.Now()
	opens(t, b, r.link(t, vm, nil).ConsoleURL)
	t.Logf("a console beside %d half requests is there after %s", len(half), time.Since(began).Round(10*time.Millisecond))
	for _, c := range half {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		if _, err := c.Read(make([]byte, 1<<10)); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Fatal("a half request is waited for without end")
		}
	}
}
