package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"vdi-gateway/gateway"
)

// TestConsoleCases has, one by one, what proxies in front of desktops were got wrong
// at by others: origin, token and host of real requests to a real server.
func TestConsoleCases(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"token in query accepted":                             caseTokenInQuery,
		"IPv6 host and origin":                                caseIPv6,
		"invalid token refused":                               caseInvalidToken,
		"VM gone refused":                                     caseVMGone,
		"foreign origin refused":                              caseForeignOrigin,
		"second entry of the allow-list accepted":             caseSecondEntry,
		"blank origin refused":                                caseBlankOrigin,
		"no origin (not a browser) accepted with a token":     caseNoOrigin,
		"https page with http origin refused":                 caseHTTPOriginByTLS,
		"http origin accepted and https refused at plain ws":  casePlainTarget,
		"forwarded scheme believed only from nodes":           caseForwardedScheme,
		"malformed cookie beside a good one accepted":         caseMalformedCookie,
		"//example.com/%2F.. and /// are 400":                 caseOddPaths,
		"Host does not poison the allow-list":                 caseHostDoesNotPoison,
		"a former Host does not bypass it":                    caseFormerHost,
		"session timer armed, and not armed beside it":        caseSessionTimer,
		"token masked in the log":                             caseTokenMasked,
		"subprotocols: none, binary, base64 and many a blank": caseSubprotocols,
	} {
		t.Run(name, test)
	}
}

// comes attaches with a fresh token and wants a status.
func (n *node) comes(target netip.AddrPort, want int, headers ...string) {
	n.t.Helper()
	grant := n.open(target, `"mode":"websocket"`, `"probe":false`)
	got := n.handshake("/v3/connect/?token="+grant.Token, headers...)
	if got.status != want {
		n.t.Errorf("%q: got %d %s, want %d", headers, got.status, got.body, want)
	}
	if want == 403 {
		got.is(403, "FORBIDDEN")
	}
}

// begins asks for a session with a fresh ticket and wants a status.
func (n *node) begins(target netip.AddrPort, want int, headers ...string) {
	n.t.Helper()
	if got := n.begin(n.ticket(target), headers...); got.status != want {
		n.t.Errorf("session, %q: got %d %s, want %d", headers, got.status, got.body, want)
	}
	if got := n.call("POST", "/console/resume", `{"resume":"x"}`, headers...); got.status != 403 || (want == 403) != strings.Contains(string(got.body), "this origin") {
		n.t.Errorf("resume, %q: got %d %s, want the origin refused: %t", headers, got.status, got.body, want == 403)
	}
}

func caseTokenInQuery(t *testing.T) {
	n, target := newNamed(t), vm(t)
	n.comes(target, 101, "Origin: http://"+gw+gwPort)
	n.comes(target, 101, "Host: "+gw+gwPort, "Origin: http://"+gw+gwPort)
}

func caseIPv6(t *testing.T) {
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skip("there is no IPv6 here")
	} else {
		_ = l.Close()
	}
	n := newNode(t, func(c *Config, _ *gateway.Config) { c.Listen = []netip.AddrPort{netip.MustParseAddrPort("[::1]:0")} }).named()
	target := vm(t)
	for origin, want := range map[string]int{
		"http://[2001:db8::1]:6080": 101, "http://[2001:DB8:0:0::1]:6080": 101, "http://[2001:db8::1]": 101,
		"http://[2001:db8::2]:6080": 403, "http://[2001:db8::1]:6081": 403, "http://2001:db8::1:6080": 403, "https://[2001:db8::1]:6080": 403,
	} {
		n.comes(target, want, "Host: [2001:db8::1]:6080", "Origin: "+origin)
	}
	n.begins(target, 200, "Origin: http://[2001:db8::1]:6080")
	n.begins(target, 200, "Origin: http://"+n.addr) // over loopback
	n.begins(target, 403, "Origin: http://[2001:db8::2]:6080")
}

func caseInvalidToken(t *testing.T) {
	n := newNamed(t)
	n.handshake("/v3/connect/?token="+strings.Repeat("A", 43), "Origin: http://"+gw).is(401, "UNAUTHORIZED")
	n.handshake("/v3/connect/?session=0123456789abcdef", "Cookie: vdi-console-0123456789abcdef=AAAA").is(401, "UNAUTHORIZED")
	n.begin(strings.Repeat("A", 43)).is(403, "FORBIDDEN")
	n.call("POST", "/console/resume", `{"resume":"AAAA"}`).is(403, "FORBIDDEN")
}

func caseVMGone(t *testing.T) {
	n := newNamed(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := netip.MustParseAddrPort(l.Addr().String())
	ticket, begun := n.ticket(target), n.opened(target)
	_ = l.Close()
	for range 2 { // nothing is spent
		for _, got := range []answer{
			n.begin(ticket), n.handshake(begun.path(), begun.header()), n.cli("POST", "/v3/open_connection/", `{"ticket":"`+ticket+`"}`),
		} {
			got.is(502, "VM_UNREACHABLE")
			if strings.Contains(string(got.body), target.String()) {
				t.Errorf("got %s: where desktops are is not for their users", got.body)
			}
		}
	}
}

func caseForeignOrigin(t *testing.T) {
	n, target := newNamed(t), vm(t)
	for _, origin := range []string{"http://evil.example", "http://evil.example" + gwPort, "http://" + gw + ".evil.example" + gwPort, "http://" + gw + ":6081", "null"} {
		n.comes(target, 403, "Origin: "+origin)
		n.begins(target, 403, "Origin: "+origin)
	}
	n.comes(target, 403, "Origin: http://"+gw+"\r\nOrigin: http://evil.example")
	page := n.opened(target)
	n.handshake(page.path(), page.header(), "Origin: http://evil.example").is(403, "FORBIDDEN")
	n.echo(n.attachPage(page), "it was not spent")
}

func caseSecondEntry(t *testing.T) {
	n := newNamed(t, withOrigins(t, "https://one.example", "https://Two.example:8443"))
	target := vm(t)
	for origin, want := range map[string]int{
		"https://one.example": 101, "https://two.example:8443": 101,
		"http://two.example:8443": 403, "https://two.example": 403, "https://three.example": 403,
	} {
		n.comes(target, want, "Origin: "+origin)
	}
	n.begins(target, 200, "Origin: https://two.example:8443")
	n.named() // applied live
	n.comes(target, 403, "Origin: https://two.example:8443")
}

func caseBlankOrigin(t *testing.T) {
	n, target := newNamed(t), vm(t)
	n.comes(target, 403, "Origin: ")
	n.comes(target, 403, "Origin:    ")
	n.begins(target, 403, "Origin: ")
}

func caseNoOrigin(t *testing.T) {
	n, target := newNamed(t), vm(t)
	n.comes(target, 101)
	n.begins(target, 200)
	n.handshake("/v3/connect/").is(401, "UNAUTHORIZED")
}

func caseHTTPOriginByTLS(t *testing.T) {
	n, target := newSecure(t), vm(t)
	n.comes(target, 403, "Origin: http://"+gw+gwPort)
	n.comes(target, 101, "Origin: https://"+gw+gwPort)
	n.begins(target, 403, "Origin: http://"+gw+gwPort)
	n.begins(target, 200, "Origin: https://"+gw+gwPort)
	n.begins(target, 200, "Origin: https://"+n.addr) // over loopback
}

func casePlainTarget(t *testing.T) {
	n, target := newNamed(t), vm(t)
	n.comes(target, 101, "Origin: http://"+gw+gwPort)
	n.comes(target, 403, "Origin: https://"+gw+gwPort)
	n.begins(target, 200, "Origin: http://"+gw+gwPort)
	n.begins(target, 403, "Origin: https://"+gw+gwPort)
}

func caseForwardedScheme(t *testing.T) {
	n, target := newNamed(t), vm(t)
	for _, forged := range []string{"X-Forwarded-Proto: https", "Forwarded: proto=https;host=" + gw, "X-Forwarded-Host: " + gw, "X-Forwarded-Ssl: on", hopHeader + ": 1"} {
		n.comes(target, 403, "Origin: https://"+gw+gwPort, forged)
		n.comes(target, 403, "Origin: http://evil.example", forged, "X-Forwarded-Host: evil.example")
		n.begins(target, 403, "Origin: https://"+gw+gwPort, forged)
		n.comes(target, 101, "Origin: http://"+gw+gwPort, forged)
	}
}

func caseMalformedCookie(t *testing.T) {
	n, target := newNamed(t), vm(t)
	for _, before := range []string{"?=!; ", "=; ", ";;; ", `a="; `, "vdi-console-; ", "vdi-console-0000000000000000=x; ", "session=x; ", "\t=\t; "} {
		p := n.opened(vm(t))
		got := n.handshake(p.path(), "Cookie: "+before+p.cookie.Name+"="+p.cookie.Value+"; ?=!")
		if got.status != 101 {
			t.Errorf("%q before it: got %d %s, want 101", before, got.status, got.body)
		}
	}
	n.comes(target, 101, "Cookie: ?=!; token=x")
}

func caseOddPaths(t *testing.T) {
	plain, secure := newNamed(t), newSecure(t)
	for _, path := range []string{"//example.com/%2F..", "///", "//", "//console/?token=x", "//" + gw + "/console", "//v3/connect/"} {
		for _, n := range []*node{plain, secure} {
			got := n.call("GET", path, "")
			got.is(400, "BAD_REQUEST")
			if to := got.header.Get("Location"); to != "" {
				t.Errorf("%s: got sent to %s", path, to)
			}
		}
		conn, err := net.Dial("tcp", secure.addr) // would be sent to https
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path)
		said, _ := io.ReadAll(conn)
		_ = conn.Close()
		if !strings.HasPrefix(string(said), "HTTP/1.1 400") || !strings.Contains(string(said), "BAD_REQUEST") || strings.Contains(string(said), "Location") {
			t.Errorf("%s without TLS: got %s, want 400", path, said)
		}
	}
}

func caseHostDoesNotPoison(t *testing.T) {
	n, target := newNamed(t), vm(t)
	for _, host := range []string{"evil.example", "evil.example" + gwPort, "evil.example:80"} {
		n.comes(target, 403, "Host: "+host, "Origin: http://"+host)
	}
	n.comes(target, 101, "Host: evil.example", "Origin: http://"+gw)
	req, err := http.NewRequestWithContext(t.Context(), "POST", n.base+"/console/session", strings.NewReader(`{"ticket":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "evil.example"
	req.Header.Set("Origin", "http://evil.example")
	if got := n.do(req); got.status != 403 || !strings.Contains(string(got.body), "this origin") {
		t.Errorf("got %d %s, want the origin refused", got.status, got.body)
	}
}

// One connection, and what an earlier request on it has said.
func caseFormerHost(t *testing.T) {
	n, target := newNamed(t), vm(t)
	grant := n.open(target, `"mode":"websocket"`)
	conn := n.dial()
	reader := bufio.NewReader(conn)
	for i, host := range []string{"evil.example", gw, "evil.example"} {
		fmt.Fprintf(conn, "GET /livez HTTP/1.1\r\nHost: %s\r\n\r\n", host)
		resp, err := http.ReadResponse(reader, nil)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("request %d: got %v %v", i, resp, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
	}
	fmt.Fprintf(conn, "GET /v3/connect/?token=%s HTTP/1.1\r\nHost: %s\r\nOrigin: http://evil.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", grant.Token, gw)
	resp, err := http.ReadResponse(reader, nil)
	if err != nil || resp.StatusCode != 403 {
		t.Errorf("got %v %v, want 403", resp, err)
	}
}

func caseSessionTimer(t *testing.T) {
	n := newNamed(t)
	armed := n.attachPage(n.opened(vm(t), `"session_max_s":1`))
	free := n.attachPage(n.opened(vm(t)))
	n.echo(armed, "hello")
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	if _, got, err := armed.Read(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("got %q, %v, want the end", got, err)
	}
	eventually(t, "the log tells why", func() bool { return strings.Contains(n.log.String(), "reason=max_time") })
	n.echo(free, "it goes on")
}

func caseTokenMasked(t *testing.T) {
	n, target := newNamed(t), vm(t)
	ticket, p := n.ticket(target), n.opened(target)
	grant := n.open(target, `"mode":"websocket"`)
	secrets := []string{ticket, p.cookie.Value, grant.Token, "SECRET-SECRET"}
	n.call("GET", "/console?token="+ticket, "")
	n.call("GET", "/console/?token="+ticket, "")
	n.call("GET", "/console/nothing?%74oken="+ticket+"&TOKEN="+ticket, "")
	n.call("GET", "/livez?token="+ticket+";x", "")
	n.call("GET", "//x?token="+ticket, "")
	n.call("GET", "/v3/health/?token=%zz"+ticket, "")
	n.handshake(p.path()+"&token=", p.header())
	n.handshake("/v3/connect/?token="+grant.Token, "Sec-WebSocket-Protocol: vdi.token.SECRET-SECRET")
	n.handshake("/v3/connect/?token="+grant.Token, "Origin: http://evil.example")
	n.handshake("/v3/connect/?token=" + grant.Token)
	n.begin(ticket)
	n.begin(ticket)
	n.call("POST", "/console/resume?token=SECRET-SECRET", `{"resume":"SECRET-SECRET"}`)
	text := n.log.String()
	for _, want := range []string{"path=/v3/connect/", "token=redacted", "path=/console/session"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the log:\n%s", want, text)
		}
	}
	for _, secret := range secrets {
		if i := strings.Index(text, secret); i >= 0 {
			t.Errorf("the log has a secret: %s", text[max(0, i-200):i+len(secret)])
		}
	}
}

func caseSubprotocols(t *testing.T) {
	n := newNamed(t)
	for _, tt := range []struct{ offered, answered string }{
		{"", ""},
		{"binary", "binary"},
		{"base64, binary", "binary"},
		{"base64,  binary", "binary"},
		{" binary ", "binary"},
		{"base64 ,\tbinary , x", "binary"},
		{"base64", ""},
		{"vdi.token.", ""},
	} {
		p := n.opened(vm(t))
		headers := []string{p.header()}
		if tt.offered != "" {
			headers = append(headers, "Sec-WebSocket-Protocol: "+tt.offered)
		}
		got := n.handshake(p.path(), headers...)
		if got.status != 101 || got.header.Get("Sec-WebSocket-Protocol") != tt.answered {
			t.Errorf("%q: got %d and %q, want %q", tt.offered, got.status, got.header.Get("Sec-WebSocket-Protocol"), tt.answered)
		}
	}
}
