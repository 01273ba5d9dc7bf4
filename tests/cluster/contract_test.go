package cluster

import (
	"io"
	"net/http"
	"net/netip"
	"testing"

	"vdi-gateway/tests/node"
)

// TestTheContractOfAllNodes: every other call goes to the virtual address, and those
// between to one node after the other, so that most concern what another node
// holds.
func TestTheContractOfAllNodes(t *testing.T) {
	r := newRig(t, 3, nil)
	from := r.client.Addrs()[0]
	user, dispatcher := &caller{t: t}, &caller{t: t}
	for _, n := range r.nodes {
		user.at = append(user.at, n.Client(r.client, from), r.front(t, from))
		dispatcher.at = append(dispatcher.at, n.Dispatcher(), r.dispatcher(t))
	}
	for range 6 { // all nodes serve, and own, in the end
		r.wholeLife(t, user, dispatcher, from)
	}
	var ticket struct {
		Ticket string `json:"ticket"`
		ID     string `json:"ticket_id"`
	}
	dispatcher.must("POST", "/v3/tickets/", map[string]any{
		"vm_address": r.vm.Addr().String(), "vm_port": r.vm.Port(), "user": "ada", "max_uses": 2,
	}, &ticket)
	var first, second node.Tunnel
	user.must("POST", "/v3/open_connection/", map[string]any{"ticket": ticket.Ticket}, &first)
	user.must("POST", "/v3/open_connection/", map[string]any{"ticket": ticket.Ticket}, &second)
	if first.ID != second.ID || first.Port != second.Port || first.Token == second.Token {
		t.Errorf("asked again for ada's desktop: got %+v, want %+v with a fresh token", second, first)
	}
	user.refused("POST", "/v3/open_connection/", map[string]any{"ticket": ticket.Ticket}, "GRANT_USED")
	var settings map[string]any
	dispatcher.must("GET", "/v3/get_settings/", nil, &settings)
	var change struct {
		Applied bool
		Nodes   map[string]string
	}
	dispatcher.must("POST", "/v3/change_settings/?dry_run=1", map[string]any{"is_enabled": false}, &change)
	if change.Applied {
		t.Error("a dry run was applied")
	}
	dispatcher.must("POST", "/v3/change_settings/?confirm_s=60", map[string]any{"disp_port": 4444}, &change)
	if len(change.Nodes) != 3 {
		t.Errorf("got %v, want three nodes", change.Nodes)
	}
	dispatcher.refused("POST", "/v3/change_settings/", map[string]any{"disp_port": 4445}, "CHANGE_IN_PROGRESS")
	dispatcher.must("POST", "/v3/confirm_settings/", map[string]any{}, nil)
	dispatcher.refused("POST", "/v3/confirm_settings/", map[string]any{}, "NOT_FOUND")
	user.refused("GET", "/v3/health/", nil, "FORBIDDEN")
	r.open(t, "/livez", "/readyz", "/swagger/doc.json")
}

// caller makes each call at another place than the one before, by a connection of
// its own.
type caller struct {
	t    *testing.T
	at   []*node.Client
	turn int
}

func (c *caller) must(method, path string, body, out any) {
	c.t.Helper()
	if err := c.once(method, path, body, out); err != nil {
		c.t.Fatalf("%s: %v", path, err)
	}
}

func (c *caller) refused(method, path string, body any, code string) {
	c.t.Helper()
	if err := c.once(method, path, body, nil); node.Code(err) != code {
		c.t.Errorf("%s: got %v, want %s", path, err, code)
	}
}

func (c *caller) once(method, path string, body, out any) error {
	at := c.at[c.turn%len(c.at)]
	c.turn++
	defer at.Close()
	return at.Call(soon(c.t), method, path, body, out)
}

// wholeLife opens a tunnel, uses, renews, lists and ends it.
func (r *rig) wholeLife(t *testing.T, user, dispatcher *caller, from netip.Addr) {
	t.Helper()
	var tunnel node.Tunnel
	user.must("POST", "/v3/open_connection/", r.request(), &tunnel)
	if err := r.use(from, tunnel); err != nil {
		t.Fatal(err)
	}
	name := map[string]any{"connection_id": tunnel.ID, "token": tunnel.Token}
	var lease struct {
		State string
		Port  uint16
	}
	user.must("POST", "/v3/connect/", name, &lease)
	if lease.Port != tunnel.Port {
		t.Errorf("renewed: got port %d, want %d", lease.Port, tunnel.Port)
	}
	user.refused("POST", "/v3/connect/", map[string]any{"connection_id": tunnel.ID, "token": "wrong"}, "FORBIDDEN")
	r.wantServed(t, dispatcher, tunnel)
	user.must("POST", "/v3/close_connection/", name, nil)
	user.refused("POST", "/v3/close_connection/", name, "NOT_FOUND")
	if conn, err := r.client.Dial(from, tunnel.Addr(), patience/40); err == nil {
		if err := echoes(conn); err == nil {
			t.Error("the port is open after the tunnel was given back")
		}
		_ = conn.Close()
	}
}

// open checks what needs no key.
func (r *rig) open(t *testing.T, paths ...string) {
	t.Helper()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DialContext: r.client.DialContext, DisableKeepAlives: true}}
	for _, path := range paths {
		resp, err := client.Get("http://" + netip.AddrPortFrom(r.virtual, frontAPI).String() + path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body) // the status says all
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: got %s", path, resp.Status)
		}
	}
}
