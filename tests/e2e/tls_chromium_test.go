//go:build e2e

package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"vdi-gateway/tests/browser"
	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

// newBrowser starts chromium on a host. It believes certificates with a public key
// whose pin is given, and those of the system.
func newBrowser(t *testing.T, h *lab.Host, pin string) *browser.Browser {
	t.Helper()
	return browser.New(t, chromedp.Flag("ignore-certificate-errors-spki-list", pin), browser.Inside(t, h.Path()))
}

// visit goes to a page and wants to arrive at another address of it.
func visit(t *testing.T, b *browser.Browser, url, want string) {
	t.Helper()
	b.Do(t, chromedp.Navigate(url))
	if got := b.Eval(t, "location.href"); got != want {
		t.Errorf("%s: got to %s, want %s", url, got, want)
	}
}

// pageExchange is JavaScript that sends bytes through a tunnel, and tells how many came
// back as they were, and how the connection was and ended.
const pageExchange = `new Promise(done => {
	const ws = new WebSocket('wss://%s/v3/connect/', ['binary', 'vdi.token.%s']);
	const want = crypto.getRandomValues(new Uint8Array(65536)), times = 20;
	let good = 0;
	ws.binaryType = 'arraybuffer';
	ws.onopen = () => { for (let i = 0; i < times; i++) ws.send(want); };
	ws.onmessage = m => {
		for (const b of new Uint8Array(m.data)) if (b === want[good %% want.length]) good++; else ws.close(4000);
		if (good === times * want.length) ws.close(1000);
	};
	ws.onclose = e => done([good, ws.protocol, e.code, e.wasClean].join(' '));
})`

func TestTLSChromium(t *testing.T) {
	p := newPlace(t, node.Config{Settings: node.Settings{"ssl": true}})
	v := serve(t, p.vmHost, vmAddr+":7000", echo)
	shownCert, err := run(t, p.gate, "", node.Binary(), "cert", "show", "--db", p.node.Path("settings.db"))
	if err != nil {
		t.Fatal(err)
	}
	pin := regexp.MustCompile(`key pin\s+sha256/(\S+)`).FindStringSubmatch(shownCert)
	if pin == nil {
		t.Fatalf("cert show: got %q, want a key pin in it", shownCert)
	}
	b := newBrowser(t, p.client, pin[1])
	const api, stats = "10.99.0.1:8000", "10.99.0.1:8003"
	visit(t, b, "https://"+stats+"/", "https://"+stats+"/")
	eventually(t, "the page of statistics shows figures", func() bool {
		return b.Eval(t, "document.querySelector('[data-is=sessions]').textContent") == "0"
	})
	tunnel := open(t, p.node.Client(p.client).Secure(selfSigned(t, p)), v.addr)
	c := enter(t, p.client, tunnel)
	if err := echoes(c); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the page of statistics is live", func() bool {
		return b.Eval(t, "document.querySelector('[data-is=sessions]').textContent") == "1"
	})
	visit(t, b, "http://"+stats+"/", "https://"+stats+"/")
	visit(t, b, "http://"+api+"/swagger/index.html?a=b", "https://"+api+"/swagger/index.html?a=b")
	eventually(t, "Swagger UI shows operations", func() bool {
		return b.Eval(t, "document.querySelectorAll('.opblock-summary-path').length > 10") == "true"
	})
	has(t, "Swagger UI", b.Eval(t, "document.body.innerText"), "/v3/open_connection/", "/v3/health/")
	exchangeByPage(t, b, p, v, api)
	if errors := b.Errors(); len(errors) > 0 {
		t.Errorf("chromium complains: got %q, want nothing", errors)
	}
}

// exchangeByPage uses a tunnel through a WebSocket of the page that is open.
func exchangeByPage(t *testing.T, b *browser.Browser, p *place, v *vm, api string) {
	t.Helper()
	client := p.node.Client(p.client).Secure(selfSigned(t, p))
	t.Cleanup(client.Close)
	tunnel, err := client.Open(t.Context(), node.OpenRequest{VMAddress: vmAddr, VMPort: int(v.addr.Port()), Mode: "websocket"})
	if err != nil {
		t.Fatal(err)
	}
	const want = "1310720 binary 1000 true"
	if got := b.Eval(t, fmt.Sprintf(pageExchange, api, tunnel.Token)); got != want {
		t.Errorf("WebSocket: got %s (bytes that came back, subprotocol, code, clean), want %s", got, want)
	}
	line := closedFor(t, p.node, tunnel)
	wantIn(t, line, "reason=client_closed", "bytes_up=1310720", "bytes_down=1310720")
}

// Chromium believes nobody else.
func TestTLSChromiumRefusesAnotherKey(t *testing.T) {
	p := newPlace(t, node.Config{Settings: node.Settings{"ssl": true}})
	b := newBrowser(t, p.client, strings.Repeat("A", 43)+"=")
	err := chromedp.Do(b.Context(), chromedp.Navigate("https://10.99.0.1:8000/swagger/index.html"))
	if err == nil || !strings.Contains(err.Error(), "ERR_CERT_AUTHORITY_INVALID") {
		t.Errorf("with another pin: got %v, want ERR_CERT_AUTHORITY_INVALID", err)
	}
}
