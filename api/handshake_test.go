package api

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// handshake has a valid key; more headers are "Name: value".
func (n *node) handshake(path string, headers ...string) answer {
	n.t.Helper()
	conn := n.dial()
	lines := append([]string{
		"GET " + path + " HTTP/1.1", "Connection: keep-alive, Upgrade", "Upgrade: WebSocket",
	}, headers...)
	text := strings.Join(lines, "\r\n") + "\r\n"
	for name, value := range map[string]string{
		"Host": n.addr, "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
	} {
		if !strings.Contains(text, "\n"+name+":") {
			text += name + ": " + value + "\r\n"
		}
	}
	if _, err := io.WriteString(conn, text+"\r\n"); err != nil {
		n.t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		n.t.Fatal(err)
	}
	defer resp.Body.Close()
	got := answer{t: n.t, status: resp.StatusCode, header: resp.Header}
	if got.status != http.StatusSwitchingProtocols {
		got.body, _ = io.ReadAll(resp.Body)
	}
	return got
}

func TestTokenCarriages(t *testing.T) {
	n := newNode(t, nil)
	target := vm(t)
	for _, tt := range []struct {
		name    string
		path    string // TOKEN stands for the token
		headers []string
		answers string // the subprotocol
		status  int
	}{
		{"in the query", "/v3/connect/?token=TOKEN", nil, "", 101},
		{"without the slash", "/v3/connect?token=TOKEN", nil, "", 101},
		{"the last of the query", "/v3/connect/?token=x&token=TOKEN", nil, "", 101},
		{"not the last of the query", "/v3/connect/?token=TOKEN&token=x", nil, "", 401},
		{"subprotocol", "/v3/connect/", []string{"Sec-WebSocket-Protocol: binary, vdi.token.TOKEN"}, "binary", 101},
		{"subprotocol first, no blank", "/v3/connect/", []string{"Sec-WebSocket-Protocol: vdi.token.TOKEN,binary"}, "binary", 101},
		{"subprotocol alone", "/v3/connect/", []string{"Sec-WebSocket-Protocol: vdi.token.TOKEN"}, "", 101},
		{"many blanks", "/v3/connect/", []string{"Sec-WebSocket-Protocol: base64 ,   binary,  vdi.token.TOKEN  "}, "binary", 101},
		{"two headers", "/v3/connect/", []string{"Sec-WebSocket-Protocol: binary", "Sec-WebSocket-Protocol: vdi.token.TOKEN"}, "binary", 101},
		{"subprotocol wins", "/v3/connect/?token=x", []string{"Sec-WebSocket-Protocol: vdi.token.TOKEN"}, "", 101},
		{"subprotocol wins, wrong", "/v3/connect/?token=TOKEN", []string{"Sec-WebSocket-Protocol: vdi.token.x"}, "", 401},
		{"an empty subprotocol token", "/v3/connect/?token=TOKEN", []string{"Sec-WebSocket-Protocol: vdi.token."}, "", 101},
		{"base64, binary", "/v3/connect/?token=TOKEN", []string{"Sec-WebSocket-Protocol: base64, binary"}, "binary", 101},
		{"base64 alone", "/v3/connect/?token=TOKEN", []string{"Sec-WebSocket-Protocol: base64"}, "", 101},
		{"a malformed cookie", "/v3/connect/?token=TOKEN", []string{"Cookie: ?=!; token=x"}, "", 101},
		{"none", "/v3/connect/", nil, "", 401},
		{"none, but a key", "/v3/connect/", []string{"X-API-Key: " + cliKey}, "", 401},
		{"empty", "/v3/connect/?token=", nil, "", 401},
		{"unknown", "/v3/connect/?token=unknown", nil, "", 401},
		{"a key is no token", "/v3/connect/?token=" + cliKey, nil, "", 401},
		{"a novel", "/v3/connect/?token=" + strings.Repeat("x", 5000), nil, "", 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			grant := n.open(target, `"mode":"websocket"`)
			for i, h := range tt.headers {
				tt.headers[i] = strings.ReplaceAll(h, "TOKEN", grant.Token)
			}
			got := n.handshake(strings.ReplaceAll(tt.path, "TOKEN", grant.Token), tt.headers...)
			if got.status != tt.status {
				t.Fatalf("got %d %s, want %d", got.status, got.body, tt.status)
			}
			if answered := got.header.Get("Sec-WebSocket-Protocol"); answered != tt.answers {
				t.Errorf("got subprotocol %q, want %q", answered, tt.answers)
			}
			if tt.status == 401 {
				got.is(401, "UNAUTHORIZED")
			}
		})
	}
}

func TestAttachRefusals(t *testing.T) {
	n := newNode(t, nil)
	target := vm(t)
	grant := n.open(target, `"mode":"websocket"`)
	ws := n.attach("/v3/connect/?token="+grant.Token, nil)
	n.handshake("/v3/connect/?token="+grant.Token).is(409, "GRANT_USED")
	n.echo(ws, "the first stays")

	port := n.open(target) // of this address, so it may attach as well
	n.echo(n.attach("/v3/connect/?token="+port.Token, nil), "hello")

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var gone grantAnswer
	n.cli("POST", "/v3/open_connection/", fmt.Sprintf(`{"vm_address":"127.0.0.1","vm_port":%d,"mode":"websocket"}`,
		l.Addr().(*net.TCPAddr).Port)).into(201, &gone)
	_ = l.Close()
	for range 2 { // given back each time
		n.handshake("/v3/connect/?token="+gone.Token).is(502, "VM_UNREACHABLE")
	}
}

func TestWithoutAnUpgrade(t *testing.T) {
	n := newNode(t, nil)
	grant := n.open(vm(t), `"mode":"websocket"`)
	for _, path := range []string{"/v3/connect/", "/v3/connect", "/v3/connect/?token=" + grant.Token} {
		n.call("GET", path, "").is(401, "UNAUTHORIZED")
		n.call("GET", path, "", "X-API-Key: wrong").is(401, "UNAUTHORIZED")
		n.api("GET", path, "").is(403, "FORBIDDEN")
		got := n.cli("GET", path, "")
		got.is(426, "UPGRADE_REQUIRED")
		if got.header.Get("Upgrade") != "websocket" {
			t.Errorf("got Upgrade %q, want websocket", got.header.Get("Upgrade"))
		}
	}
	n.attach("/v3/connect/?token="+grant.Token, nil) // was not spent
}

func TestMalformedUpgrades(t *testing.T) {
	n := newNode(t, nil)
	grant := n.open(vm(t), `"mode":"websocket"`)
	for name, header := range map[string]string{
		"version 8":      "Sec-WebSocket-Version: 8",
		"no version":     "Sec-WebSocket-Version: ",
		"a short key":    "Sec-WebSocket-Key: AAAA",
		"a key of noise": "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!==",
		"no key":         "Sec-WebSocket-Key: ",
		"two keys":       "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
	} {
		t.Run(name, func(t *testing.T) {
			got := n.handshake("/v3/connect/?token="+grant.Token, header)
			got.is(400, "BAD_REQUEST")
			if strings.HasSuffix(name, "version 8") && got.header.Get("Sec-WebSocket-Version") != "13" {
				t.Errorf("got %v, want the version to use", got.header)
			}
		})
	}
	n.attach("/v3/connect/?token="+grant.Token, nil) // was not spent
}

// FuzzCarriedToken feeds the parser of the token's carriages: what it finds is
// in the request, and a subprotocol wins.
func FuzzCarriedToken(f *testing.F) {
	f.Add("token=abc", "binary, vdi.token.xyz")
	f.Add("token=a&token=b", "")
	f.Add("token=%zz;token=x", "vdi.token.,  vdi.token.q ,,")
	f.Fuzz(func(t *testing.T, query, protocols string) {
		r := &http.Request{Header: http.Header{"Sec-Websocket-Protocol": {protocols}}}
		r.URL = mustURL(query)
		token := string(carriedToken(r))
		inQuery := false
		for _, v := range r.URL.Query()["token"] {
			inQuery = inQuery || v == token
		}
		offered := token != "" && strings.Contains(protocols, tokenPrefix+token)
		if token != "" && !inQuery && !offered {
			t.Errorf("%q came from nowhere: %q %q", token, query, protocols)
		}
		r.Header.Set("Sec-WebSocket-Protocol", protocols+", vdi.token.last")
		if got := carriedToken(r); got != "last" {
			t.Errorf("got %q of %q, want the last subprotocol", got.Reveal(), protocols)
		}
		if strings.Contains(maskedQuery("token=verysecret&"+query), "verysecret") && !strings.Contains(query, "verysecret") {
			t.Errorf("the token shows in %q", maskedQuery("token=verysecret&"+query))
		}
	})
}

func mustURL(query string) *url.URL { return &url.URL{Path: "/v3/connect/", RawQuery: query} }
