package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"vdi-gateway/gateway"
	"vdi-gateway/settingsdb"
)

// gw is the public name of nodes that have one, and gwPort a port that they are
// reached at besides.
const (
	gw     = "gw.example.com"
	gwPort = ":6080"
)

// named makes a node one that users know by gw, at its own port, 80 and gwPort.
func (n *node) named(changes ...func(*Config)) *node {
	n.t.Helper()
	cfg := n.server.state.Load().Config
	cfg.Origins = nil
	cfg.Hosts, cfg.Ports = []string{gw, "2001:db8::1"}, []uint16{n.server.Addrs()[0].Port(), 80, 6080}
	cfg.ConsoleURL = "http://" + gw + gwPort + consolePath
	for _, change := range changes {
		change(&cfg)
	}
	if err := n.server.Apply(cfg); err != nil {
		n.t.Fatal(err)
	}
	return n
}

func newNamed(t *testing.T, changes ...func(*Config)) *node {
	t.Helper()
	return newNode(t, nil).named(changes...)
}

// newSecure is a node that speaks TLS.
func newSecure(t *testing.T) *node {
	t.Helper()
	return newNodeWith(t, func(d *Deps) { d.TLS = newKeeper(t) }, nil).named()
}

// withOrigins lets pages of these come.
func withOrigins(t *testing.T, texts ...string) func(*Config) {
	t.Helper()
	return func(c *Config) {
		for _, text := range texts {
			o, err := settingsdb.ParseOrigin(text)
			if err != nil {
				t.Fatal(err)
			}
			c.Origins = append(c.Origins, o)
		}
	}
}

// ticket is the secret of a new one.
func (n *node) ticket(target netip.AddrPort, more ...string) string {
	n.t.Helper()
	var ticket ticketAnswer
	n.api("POST", "/v3/tickets/", openText(target, more...)).into(201, &ticket)
	return ticket.Ticket
}

// begin asks for a session with a ticket.
func (n *node) begin(ticket string, headers ...string) answer {
	n.t.Helper()
	return n.call("POST", "/console/session", `{"ticket":"`+ticket+`"}`, headers...)
}

// page is what a browser has of a session.
type page struct {
	consoleAnswer
	cookie *http.Cookie
}

// pageOf is a session that must have begun.
func pageOf(got answer) page {
	got.t.Helper()
	var p page
	got.into(200, &p.consoleAnswer)
	cookies := (&http.Response{Header: got.header}).Cookies()
	if len(cookies) != 1 {
		got.t.Fatalf("got cookies %v, want one", cookies)
	}
	p.cookie = cookies[0]
	return p
}

// opened is the page of a fresh ticket.
func (n *node) opened(target netip.AddrPort, more ...string) page {
	n.t.Helper()
	return pageOf(n.begin(n.ticket(target, more...)))
}

// path is what the page attaches at, and header what the browser says there.
func (p page) path() string { return "/v3/connect/?session=" + p.Session }

func (p page) header() string { return "Cookie: " + p.cookie.Name + "=" + p.cookie.Value }

// attachPage opens the WebSocket of a page.
func (n *node) attachPage(p page) *websocket.Conn {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), soon)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, strings.Replace(n.base, "http", "ws", 1)+p.path(), &websocket.DialOptions{
		Subprotocols: []string{"binary"}, HTTPHeader: http.Header{"Cookie": {strings.TrimPrefix(p.header(), "Cookie: ")}},
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = ws.CloseNow() })
	return ws
}

// grants counts what a gateway holds.
func (n *node) grants() int {
	_, total := n.gateway.Connections(gateway.Filter{})
	return total
}

// decoded is the JSON of an answer.
func decoded[T any](t *testing.T, resp *http.Response) (v T) {
	t.Helper()
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("got %s, %v", resp.Status, err)
	}
	return v
}

func mustParse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
