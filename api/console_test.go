package api

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"vdi-gateway/gateway"
)

func TestThePageIsServed(t *testing.T) {
	n := newNamed(t)
	got := n.call("GET", "/console/?token=x", "")
	if got.status != 200 || !strings.HasPrefix(string(got.body), "<!doctype html>") {
		t.Fatalf("got %d %.60s, want the page", got.status, got.body)
	}
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
	} {
		if values := got.header.Values(name); len(values) != 1 || values[0] != want {
			t.Errorf("%s: got %q, want %q", name, values, want)
		}
	}
	if policy := got.header.Values("Content-Security-Policy"); len(policy) != 1 || !strings.Contains(policy[0], "connect-src 'self'") {
		t.Errorf("got policies %q, want that of the page", policy)
	}
	_, rest, _ := strings.Cut(string(got.body), `<link rel="stylesheet" href="`)
	style, _, _ := strings.Cut(rest, `"`)
	file := n.call("GET", style, "", "Accept-Encoding: gzip")
	if file.status != 200 || !strings.Contains(file.header.Get("Cache-Control"), "immutable") || file.header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%s: got %d %v, want it compressed and to be kept", style, file.status, file.header)
	}
	if head := n.call("HEAD", "/console/", ""); head.status != 200 || len(head.body) != 0 {
		t.Errorf("HEAD: got %d and %d bytes", head.status, len(head.body))
	}
	if gone := n.call("GET", "/console/session", ""); gone.status != 404 {
		t.Errorf("GET of the session: got %d, want 404", gone.status)
	}
}

func TestTheWayToThePage(t *testing.T) {
	n := newNamed(t)
	for path, want := range map[string]string{"/console": "/console/", "/console?token=a%2Fb&lang=en": "/console/?token=a%2Fb&lang=en"} {
		if got := n.call("GET", path, ""); got.status != 302 || got.header.Get("Location") != want || got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got %d to %q, want %q", path, got.status, got.header.Get("Location"), want)
		}
	}
}

func TestASessionOfAPage(t *testing.T) {
	for name, start := range map[string]func(*testing.T) *node{"http": func(t *testing.T) *node { return newNamed(t) }, "https": newSecure} {
		t.Run(name, func(t *testing.T) {
			n, target := start(t), vm(t)
			got := n.begin(n.ticket(target, `"user":"alice"`, `"vm_id":"desktop-17"`), "Accept-Encoding: gzip")
			p := pageOf(got)
			if diff := cmp.Diff(consoleAnswer{Desktop: "desktop-17", User: "alice", Resume: p.Resume, Session: p.Session}, p.consoleAnswer); diff != "" {
				t.Error(diff)
			}
			want := fmt.Sprintf("vdi-console-%s=%s; Path=/v3/connect/; Max-Age=60; HttpOnly%s; SameSite=Strict",
				p.Session, p.cookie.Value, map[string]string{"http": "", "https": "; Secure"}[name])
			if cookie := got.header.Get("Set-Cookie"); cookie != want || len(p.Session) != 16 || len(p.cookie.Value) != 43 {
				t.Errorf("got cookie %s, want %s", cookie, want)
			}
			if got.header.Get("Cache-Control") != "no-store" || got.header.Get("Content-Encoding") != "" || strings.Contains(string(got.body), p.cookie.Value) {
				t.Errorf("got %v %s, want it neither stored nor compressed, and the secret in the cookie alone", got.header, got.body)
			}
			up := n.handshake(p.path(), p.header())
			want = fmt.Sprintf("vdi-console-%s=; Path=/v3/connect/; Max-Age=0; HttpOnly%s; SameSite=Strict",
				p.Session, map[string]string{"http": "", "https": "; Secure"}[name])
			if up.status != 101 || up.header.Get("Set-Cookie") != want {
				t.Errorf("got %d and cookie %q, want %q", up.status, up.header.Get("Set-Cookie"), want)
			}
		})
	}
}

// What was spent stays spent, and what failed does not.
func TestReplays(t *testing.T) {
	n, target := newNamed(t), vm(t)
	ticket := n.ticket(target)
	p := pageOf(n.begin(ticket))
	n.begin(ticket).is(409, "GRANT_USED")
	ws := n.attachPage(p)
	n.handshake(p.path(), p.header()).is(409, "GRANT_USED")
	n.handshake("/v3/connect/?token="+p.cookie.Value).is(409, "GRANT_USED")
	n.begin(p.cookie.Value).is(409, "GRANT_USED")
	n.echo(ws, "the first stays")
	if got := n.handshake(p.path(), p.header()); got.header.Get("Set-Cookie") != "" {
		t.Errorf("a refusal sets %s", got.header.Get("Set-Cookie"))
	}
}

// A page whose connection breaks comes back, each time with another token.
func TestResuming(t *testing.T) {
	n := newNamed(t)
	p := n.opened(vm(t))
	ws := n.attachPage(p)
	for range 3 {
		n.echo(ws, "hello")
		_ = ws.CloseNow() // as a network does
		spent := `{"resume":"` + p.Resume + `"}`
		eventually(t, "the page is back", func() bool {
			got := n.call("POST", "/console/resume", spent, "Origin: http://"+gw)
			if got.status == 200 {
				p = pageOf(got)
			}
			return got.status == 200
		})
		ws = n.attachPage(p)
		if got := n.call("POST", "/console/resume", spent); got.status != 403 && got.status != 409 {
			t.Errorf("the token again: got %d %s, want it spent", got.status, got.body)
		}
	}
	n.echo(ws, "it goes on")
}

func TestAGrantForAPage(t *testing.T) {
	n, target := newNamed(t), vm(t)
	grant := n.open(target, `"mode":"websocket"`, `"protocol":"vnc"`)
	n.echo(n.attachPage(pageOf(n.begin(grant.Token))), "hello")
	n.begin(grant.Token).is(409, "GRANT_USED")
}

func TestWithoutItsSessionACookieIsNothing(t *testing.T) {
	n := newNamed(t)
	p := n.opened(vm(t))
	for _, path := range []string{
		"/v3/connect/", "/v3/connect/?session=", "/v3/connect/?session=x", "/v3/connect/?session=" + strings.ToUpper(p.Session) + "x",
		"/v3/connect/?session=0123456789abcdef", p.path() + "&session=0123456789abcdef", "/v3/connect/?session=" + p.Session + "%00", "/v3/connect/?Session=" + p.Session,
	} {
		n.handshake(path, p.header(), "Cookie: vdi-console-="+p.cookie.Value, "Cookie: vdi-console-x="+p.cookie.Value).is(401, "UNAUTHORIZED")
	}
	n.handshake(p.path(), "Cookie: session="+p.cookie.Value).is(401, "UNAUTHORIZED")
	n.echo(n.attachPage(p), "it was not spent")
}

func TestATokenWinsOverTheCookie(t *testing.T) {
	n, target := newNamed(t), vm(t)
	p := n.opened(target)
	n.handshake(p.path()+"&token=x", p.header()).is(401, "UNAUTHORIZED")
	n.handshake(p.path(), p.header(), "Sec-WebSocket-Protocol: vdi.token.x").is(401, "UNAUTHORIZED")
	grant := n.open(target, `"mode":"websocket"`)
	if got := n.handshake(p.path()+"&token="+grant.Token, p.header()); got.status != 101 || got.header.Get("Set-Cookie") != "" {
		t.Errorf("got %d and cookie %q, want the page's cookie to stay", got.status, got.header.Get("Set-Cookie"))
	}
	if got := n.handshake(p.path()+"&token=", p.header()); got.status != 101 {
		t.Errorf("an empty token: got %d %s, want the cookie", got.status, got.body)
	}
}

// Two pages of one browser begin at the same moment: each has its own desktop.
func TestTwoPagesOfOneBrowser(t *testing.T) {
	n := newNamed(t)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	t.Cleanup(browser.CloseIdleConnections)
	saying := func(word string) netip.AddrPort {
		return vmDoing(t, func(c net.Conn) { _, _ = c.Write([]byte(word)); _, _ = c.Read(make([]byte, 1)) })
	}
	names := []string{"one", "two", "three"}
	pages := make([]consoleAnswer, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		ticket := n.ticket(saying(name), `"vm_id":"`+name+`"`, `"user":"`+name+`"`)
		all.Go(func() {
			resp, err := browser.Post(n.base+"/console/session", "application/json", strings.NewReader(`{"ticket":"`+ticket+`"}`))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			pages[i] = decoded[consoleAnswer](t, resp)
		})
	}
	all.Wait()
	for i, name := range names {
		ws, resp, err := websocket.Dial(t.Context(), "ws://"+n.addr+"/v3/connect/?session="+pages[i].Session, &websocket.DialOptions{HTTPClient: browser})
		if err != nil {
			t.Fatal(err)
		}
		defer ws.CloseNow()
		if _, said, err := ws.Read(t.Context()); err != nil || string(said) != name || pages[i].Desktop != name {
			t.Errorf("%s: got %q of %q, %v", name, said, pages[i].Desktop, err)
		}
		jar.SetCookies(resp.Request.URL, resp.Cookies()) // the client does so for answers other than 101
	}
	if left := jar.Cookies(mustParse(t, n.base+"/v3/connect/")); len(left) > 0 {
		t.Errorf("got cookies %v left, want none", left)
	}
}

func TestConsoleURLs(t *testing.T) {
	n, target := newNamed(t), vm(t)
	const page = "http://" + gw + gwPort + "/console/?token="
	for _, tt := range []struct {
		members string
		ticket  bool
		grant   bool
	}{
		{`"protocol":"vnc"`, true, true},
		{`"protocol":"tcp"`, true, false},
		{`"protocol":"spice"`, false, false},
		{`"protocol":"rdp"`, false, false},
		{`"protocol":"loudplay"`, false, false},
	} {
		var ticket ticketAnswer
		n.api("POST", "/v3/tickets/", openText(target, tt.members)).into(201, &ticket)
		if want := map[bool]string{true: page + ticket.Ticket}[tt.ticket]; ticket.ConsoleURL != want {
			t.Errorf("ticket of %s: got %q, want %q", tt.members, ticket.ConsoleURL, want)
		}
		grant := n.open(target, tt.members)
		if want := map[bool]string{true: page + grant.Token}[tt.grant]; grant.ConsoleURL != want {
			t.Errorf("grant of %s: got %q, want %q", tt.members, grant.ConsoleURL, want)
		}
		grant = n.open(target, tt.members, `"mode":"websocket"`)
		if want := map[bool]string{true: page + grant.Token}[tt.ticket]; grant.ConsoleURL != want {
			t.Errorf("grant by WebSocket of %s: got %q, want %q", tt.members, grant.ConsoleURL, want)
		}
	}
	n.named(func(c *Config) { c.ConsoleURL = "" })
	if grant := n.open(target, `"protocol":"vnc"`); grant.ConsoleURL != "" {
		t.Errorf("nobody knows the address: got %q, want none", grant.ConsoleURL)
	}
	var ticket ticketAnswer
	n.api("POST", "/v3/tickets/", openText(target)).into(201, &ticket)
	if ticket.ConsoleURL != "" {
		t.Errorf("nobody knows the address: got %q, want none", ticket.ConsoleURL)
	}
}

// Guesses are bounded by their address, wherever they are tried; nobody else's are.
func TestGuessesAreBounded(t *testing.T) {
	n := newNode(t, trusting).named()
	target := vm(t)
	const client, other = "203.0.113.7", "203.0.113.8"
	begin := func(from, secret string) string {
		return n.status(from, "POST /console/session HTTP/1.1\r\nHost: x\r\n"+fmt.Sprintf("Content-Length: %d\r\n\r\n", len(secret)+13)+`{"ticket":"`+secret+`"}`)
	}
	attach := func(from, secret string) string {
		return n.status(from, "GET /v3/connect/?token="+secret+" HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	}
	resume := func(from, secret string) string {
		return n.status(from, "POST /console/resume HTTP/1.1\r\nHost: x\r\n"+fmt.Sprintf("Content-Length: %d\r\n\r\n", len(secret)+13)+`{"resume":"`+secret+`"}`)
	}
	fresh := func() string { return n.open(target, `"mode":"websocket"`).Token }
	for range 2 * wrongSecrets {
		if got := begin(client, fresh()); got != "200" {
			t.Fatalf("a good one: got %s, want 200", got)
		}
	}
	n.server.guesses = gateway.NewThrottle(1, wrongSecrets) // seldom does one come back in the time of this test
	for i := range wrongSecrets {
		try, want := begin, "403"
		switch i % 3 {
		case 1:
			try, want = attach, "401"
		case 2:
			try = resume
		}
		if got := try(client, fmt.Sprint("guess", i)); got != want {
			t.Fatalf("guess %d: got %s, want %s", i, got, want)
		}
	}
	// The machine may stand still until one has come back: it does not five times.
	refused := func(try func() string) (got string) {
		for range 5 {
			for n.server.guesses.Allow(netip.MustParseAddr(client)) {
			}
			if got = try(); got == "429" {
				break
			}
		}
		return got
	}
	for name, try := range map[string]func() string{
		"a guess":               func() string { return begin(client, "x") },
		"a guess at the tunnel": func() string { return attach(client, "x") },
		"a good one":            func() string { return begin(client, fresh()) },
		"a good one, tunnel":    func() string { return attach(client, fresh()) },
		"a resume token":        func() string { return resume(client, "x") },
	} {
		if got := refused(try); got != "429" {
			t.Errorf("over the limit, %s: got %s, want 429", name, got)
		}
	}
	if got := attach(other, fresh()); got != "101" {
		t.Errorf("another client: got %s, want 101", got)
	}
}

// status is that of a request that a proxy sends for a client; 429 says when to
// come again.
func (n *node) status(client, request string) string {
	n.t.Helper()
	conn := n.dialFrom(proxyAddr)
	defer conn.Close()
	if _, err := io.WriteString(conn, headerV2(n.t, client+":40000")+request); err != nil {
		n.t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		n.t.Fatal(err)
	}
	if resp.StatusCode == 429 && resp.Header.Get("Retry-After") == "" {
		n.t.Error("429 without Retry-After")
	}
	return fmt.Sprint(resp.StatusCode)
}

// The loopback is an origin for who is on this host, not for who was brought here by a
// proxy on it.
func TestLoopbackOriginsComeOverLoopback(t *testing.T) {
	n := newNode(t, trusting).named()
	port := n.server.Addrs()[0].Port()
	for client, want := range map[string]string{"127.0.0.9": "200", "203.0.113.7": "403"} {
		for _, host := range []string{"localhost", "127.0.0.1", "[::1]"} {
			body := `{"ticket":"` + n.ticket(vm(t)) + `"}`
			got := n.status(client, fmt.Sprintf("POST /console/session HTTP/1.1\r\nHost: localhost\r\nOrigin: http://%s:%d\r\nContent-Length: %d\r\n\r\n%s", host, port, len(body), body))
			if got != want {
				t.Errorf("%s for %s: got %s, want %s", host, client, got, want)
			}
		}
	}
}

func TestConsoleOfANodeThatIsOff(t *testing.T) {
	n := newNamed(t)
	ticket := n.ticket(vm(t))
	cfg := gatewayConfig()
	cfg.Enabled = false
	if err := n.gateway.Apply(cfg); err != nil {
		t.Fatal(err)
	}
	n.begin(ticket).is(423, "DISABLED")
	if got := n.call("GET", "/console/", ""); got.status != 200 {
		t.Errorf("the page: got %d, want 200", got.status)
	}
}
