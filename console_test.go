package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/coder/websocket"

	"vdi-gateway/gateway/rfb/desktop"
	"vdi-gateway/tests/browser"
)

// startDesktop serves a sample desktop of its own.
func startDesktop(tb testing.TB, c desktop.Config) *net.TCPAddr {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = desktop.New(c).Serve(tb.Context(), l) }()
	tb.Cleanup(func() { <-done })
	return l.Addr().(*net.TCPAddr)
}

// link is a ticket for a desktop: what a user gets to see it.
type link struct {
	Ticket     string `json:"ticket"`
	ConsoleURL string `json:"console_url"`
}

func (n *child) link(tb testing.TB, vm *net.TCPAddr, name string) link {
	tb.Helper()
	return into[link](tb, n.call(tb, 201, call{path: "/v3/tickets/", body: keys{
		"vm_address": vm.IP.String(), "vm_port": vm.Port, "protocol": "vnc", "user": "user of " + name, "vm_id": name,
	}}))
}

// shows waits until a page shows a desktop of that width.
func shows(t *testing.T, b *browser.Browser, width string) {
	t.Helper()
	browser.Eventually(t, "the desktop is seen", func() bool { return b.Eval(t, "document.body.dataset.at") == "live" })
	if got := b.Eval(t, "document.querySelector('#place canvas').width"); got != width {
		t.Errorf("got a desktop %s pixels wide, want %s", got, width)
	}
}

// endsFor waits until a page has ended, for a reason.
func endsFor(t *testing.T, b *browser.Browser, why string) {
	t.Helper()
	browser.Eventually(t, "the page ends", func() bool { return b.Eval(t, "document.body.dataset.at") == "ended" })
	if got := b.Eval(t, "document.body.dataset.why"); got != why {
		t.Errorf("the page ends for %s, want %s", got, why)
	}
}

// TestConsoleInChromium opens the links of tickets as users do: the page, its requests
// and the desktops are all the real ones.
func TestConsoleInChromium(t *testing.T) {
	t.Parallel()
	for name, ssl := range map[string]bool{"http": false, "https": true} {
		t.Run(name, func(t *testing.T) {
			n := startNode(t, keys{"ssl": ssl})
			one, two := n.link(t, startDesktop(t, desktop.Config{Width: 640, Height: 480}), "one"), n.link(t, startDesktop(t, desktop.Config{Width: 1024, Height: 640}), "two")
			base := fmt.Sprintf("%s://%s:%d", name, n.addr, testAPIPort)
			if want := base + "/console/?token=" + one.Ticket; one.ConsoleURL != want {
				t.Fatalf("got %s, want %s", one.ConsoleURL, want)
			}
			b := browser.New(t, chromedp.Flag("ignore-certificate-errors", true))
			other := b.Tab(t)
			b.Do(t, chromedp.Navigate(one.ConsoleURL))
			other.Do(t, chromedp.Navigate(two.ConsoleURL))
			shows(t, b, "640")
			shows(t, other, "1024")
			if got := b.Eval(t, "location.href + document.title + document.cookie"); strings.Contains(got, one.Ticket) || strings.Contains(got, "vdi-console") {
				t.Errorf("the page shows a secret: %s", got)
			}
			for _, c := range append(b.Complaints(base), other.Complaints(base)...) {
				t.Error(c)
			}
			again := b.Tab(t)
			again.Do(t, chromedp.Navigate(one.ConsoleURL))
			endsFor(t, again, "used")
			for _, secret := range []string{one.Ticket, two.Ticket} {
				if strings.Contains(n.log.String(), secret) {
					t.Error("the log has a ticket")
				}
			}
		})
	}
}

// Behind the virtual address, any node.
func TestConsoleOfAClusterInChromium(t *testing.T) {
	t.Parallel()
	for scheme, ssl := range map[string]bool{"http": false, "https": true} {
		t.Run(scheme, func(t *testing.T) {
			g := startGroup(t, 2, keys{"ssl": ssl})
			l, base := g.nodes[1].link(t, startDesktop(t, desktop.Config{}), "any"), fmt.Sprintf("%s://%s:8002", scheme, g.virtual)
			l.opensInChromium(t, base)
		})
	}
}

func TestConsoleOverIPv6InChromium(t *testing.T) {
	t.Parallel()
	own := netip.IPv6Loopback()
	if l, err := net.Listen("tcp", netip.AddrPortFrom(own, 0).String()); err != nil {
		t.Skip("there is no IPv6 here")
	} else {
		_ = l.Close()
	}
	n := launch(t, newDatabase(t, testSettings(t, own, nil)), own)
	n.waitReady(t)
	n.link(t, startDesktop(t, desktop.Config{}), "any").opensInChromium(t, fmt.Sprintf("http://[::1]:%d", testAPIPort))
}

// opensInChromium opens a link that has to begin with base.
func (l link) opensInChromium(t *testing.T, base string) {
	t.Helper()
	if want := base + "/console/?token=" + l.Ticket; l.ConsoleURL != want {
		t.Fatalf("got %s, want %s", l.ConsoleURL, want)
	}
	b := browser.New(t, chromedp.Flag("ignore-certificate-errors", true))
	b.Do(t, chromedp.Navigate(l.ConsoleURL))
	shows(t, b, "800")
	for _, c := range b.Complaints(base) {
		t.Error(c)
	}
}

// browse is a request as a page of that origin makes it.
func (n *child) browse(t *testing.T, path, origin, body string) (status int, header http.Header, text []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, n.at(path), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", origin)
	req.Header.Set("Content-Type", "application/json")
	client := http.Client{Timeout: testPatience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err = io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, text
}

func (n *child) at(path string) string {
	return "http://" + netip.AddrPortFrom(n.addr, testAPIPort).String() + path
}

// attachAs opens a WebSocket as a page does that has this cookie, and tells the status of
// the answer.
func (n *child) attachAs(t *testing.T, path, origin, cookie string) (net.Conn, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testPatience)
	defer cancel()
	header := http.Header{"Cookie": {cookie}}
	if origin != "" {
		header.Set("Origin", origin)
	}
	ws, resp, err := websocket.Dial(ctx, strings.Replace(n.at(path), "http", "ws", 1), &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		if resp == nil {
			t.Fatal(err)
		}
		return nil, resp.StatusCode
	}
	t.Cleanup(func() { _ = ws.CloseNow() })
	return websocket.NetConn(context.WithoutCancel(t.Context()), ws, websocket.MessageBinary), resp.StatusCode
}

// A grant of one node, a page of another, its WebSocket at a third.
func TestConsoleAcrossNodes(t *testing.T) {
	t.Parallel()
	g, vm := startGroup(t, 3, nil), startVM(t)
	grant := g.nodes[0].open(t, vm, keys{"mode": "websocket"})
	origin := fmt.Sprintf("http://%s:8002", g.virtual)
	status, header, text := g.nodes[1].browse(t, "/console/session", origin, `{"ticket":"`+grant.Token+`"}`)
	var answer struct{ Session string }
	if err := json.Unmarshal(text, &answer); err != nil || status != 200 {
		t.Fatalf("got %d %s, want 200", status, text)
	}
	cookie, _, _ := strings.Cut(header.Get("Set-Cookie"), ";")
	for _, foreign := range []string{"http://evil.example", "null", "https://" + g.virtual.String() + ":8002"} {
		if _, status := g.nodes[2].attachAs(t, "/v3/connect/?session="+answer.Session, foreign, cookie); status != 403 {
			t.Errorf("from %s: got %d, want 403", foreign, status)
		}
	}
	conn, status := g.nodes[2].attachAs(t, "/v3/connect/?session="+answer.Session, origin, cookie)
	if status != 101 {
		t.Fatalf("got %d, want 101", status)
	}
	if err := (session{conn}).echo("through two nodes"); err != nil {
		t.Error(err)
	}
	for _, n := range g.nodes {
		if _, status := n.attachAs(t, "/v3/connect/?session="+answer.Session, origin, cookie); status != 409 {
			t.Errorf("the cookie again: got %d, want 409", status)
		}
	}
}

// Origins follow the settings, without a restart.
func TestOriginsFollowTheSettings(t *testing.T) {
	t.Parallel()
	n, vm := startNode(t, nil), startVM(t)
	begins := func(origin string, want int) {
		t.Helper()
		l := n.link(t, vm, "any")
		if status, _, text := n.browse(t, "/console/session", origin, `{"ticket":"`+l.Ticket+`"}`); status != want {
			t.Errorf("from %s: got %d %s, want %d", origin, status, text, want)
		}
	}
	begins(fmt.Sprintf("http://%s:%d", n.addr, testAPIPort), 200)
	begins(fmt.Sprintf("http://localhost:%d", testAPIPort), 200) // it came over loopback
	begins("http://localhost", 403)
	begins("https://bücher.example", 403)
	n.change(t, "", keys{"public_addr": "VDI.example.com", "console": keys{"allowed_origins": []string{"https://bücher.example", "https://[2001:DB8::1]:443"}}})
	begins("https://xn--bcher-kva.example", 200)
	begins("https://[2001:db8::1]", 200)
	begins(fmt.Sprintf("http://vdi.example.com:%d", testAPIPort), 200)
	if got, want := n.link(t, vm, "any").ConsoleURL, fmt.Sprintf("http://vdi.example.com:%d/console/?token=", testAPIPort); !strings.HasPrefix(got, want) {
		t.Errorf("got %s, want %s...", got, want)
	}
	r := n.call(t, 422, call{path: "/v3/change_settings/", body: keys{"console": keys{"allowed_origins": []string{"https://a.example", "*"}}}})
	if !strings.Contains(string(r.body), "console.allowed_origins[1]") {
		t.Errorf("got %s, want the entry by its index", r.body)
	}
	n.change(t, "", keys{"public_addr": "", "console": keys{}})
	begins("https://xn--bcher-kva.example", 403)
	begins(fmt.Sprintf("http://vdi.example.com:%d", testAPIPort), 403)
}

// The log of a node that tells all it can has requests, and no token.
func TestTokensAreNotLogged(t *testing.T) {
	t.Parallel()
	own, vm := loopback(t.Name()), startVM(t)
	n := launch(t, newDatabase(t, testSettings(t, own, nil)), own, "--log-level", "debug")
	n.waitReady(t)
	l, grant := n.link(t, vm, "any"), n.open(t, vm, keys{"mode": "websocket"})
	for _, path := range []string{"/console/?token=", "/console?token=", "/console/none?x=1&Token=", "//?token=", "/v3/connect/?token=", "/livez?%74oken=", "/swagger/index.html?token="} {
		if _, err := n.try(call{path: path + l.Ticket}); err != nil {
			t.Fatal(err)
		}
	}
	conn, status := n.attachAs(t, "/v3/connect/?token="+grant.Token, "", "")
	if status != 101 {
		t.Fatalf("got %d, want 101", status)
	}
	if err := (session{conn}).echo("hello"); err != nil {
		t.Error(err)
	}
	n.attachAs(t, "/v3/connect/?token="+grant.Token, "", "")
	_, header, _ := n.browse(t, "/console/session", "http://"+n.addr.String()+fmt.Sprint(":", testAPIPort), `{"ticket":"`+l.Ticket+`"}`)
	_, rest, _ := strings.Cut(header.Get("Set-Cookie"), "=")
	cookie, _, _ := strings.Cut(rest, ";")
	n.stop(t)
	text := n.log.String()
	for _, want := range []string{"path=/console/ ", `query="token=redacted"`, "path=/v3/connect/", "path=/console/session"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the log", want)
		}
	}
	for name, secret := range map[string]string{"the ticket": l.Ticket, "the token": grant.Token, "the cookie": cookie} {
		if len(secret) != 43 || strings.Contains(text, secret) {
			t.Errorf("%s is in the log, or was not made: %d characters", name, len(secret))
		}
	}
}

// Nobody's address is looked up: it would tell a name server who works when, and wait
// for it.
func TestNoReverseDNS(t *testing.T) {
	t.Setenv("GODEBUG", "netdns=go+2") // says every look-up
	vm := startVM(t)
	n := startNode(t, nil)
	from := loopback(t.Name() + " client")
	tunnel := n.openFrom(t, from, vm, nil)
	tunnel.dial(t, from).mustLive(t)
	n.call(t, 200, call{path: "/console/", from: from})
	l := n.link(t, vm, "any")
	n.call(t, 200, call{path: "/console/session", body: keys{"ticket": l.Ticket}, from: from})
	n.call(t, 200, call{path: "/v3/get_connections/", from: from})
	n.call(t, 403, call{path: "/console/session", body: keys{"ticket": "x"}, from: from})
	if text := n.log.String(); strings.Contains(text, "LookupOrder") {
		t.Errorf("a name or an address was looked up:\n%s", text)
	}
	n.try(call{path: "/v3/tickets/", body: keys{"vm_address": "name.invalid", "vm_port": 5900}}) //nolint:errcheck // what it answers does not matter
	eventually(t, "the look-up of a VM's name is said", func() bool { return strings.Contains(n.log.String(), "LookupOrder(name.invalid") })
}
