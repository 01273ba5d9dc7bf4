package api

import (
	"encoding/json"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vdi-gateway/gateway"
	"vdi-gateway/settingsdb"
)

// panicking fails when it is asked.
type panicking struct{ Settings }

func (panicking) Current() (settingsdb.Settings, int64) { panic("at the worst moment") }

func portText(a netip.AddrPort) string { return strconv.Itoa(int(a.Port())) }

// open opens a tunnel to target; more are members of the body.
func (n *node) open(target netip.AddrPort, more ...string) grantAnswer {
	n.t.Helper()
	var grant grantAnswer
	n.cli("POST", "/v3/open_connection/", openText(target, more...)).into(201, &grant)
	return grant
}

func openText(target netip.AddrPort, more ...string) string {
	members := append([]string{`"vm_address":"` + target.Addr().String() + `"`, `"vm_port":` + portText(target)}, more...)
	return "{" + strings.Join(members, ",") + "}"
}

func TestOpenConnectionChecksEverythingAtOnce(t *testing.T) {
	n := newNode(t, nil)
	long := strings.Repeat("x", 257)
	for _, tt := range []struct {
		name, body string
		fields     []string
	}{
		{"nothing", `{}`, []string{"vm_address", "vm_port"}},
		{"no port", `{"vm_address":"10.0.0.1"}`, []string{"vm_port"}},
		{"null is absent", `{"vm_address":null,"vm_port":null}`, []string{"vm_address", "vm_port"}},
		{"port 0", `{"vm_address":"10.0.0.1","vm_port":0}`, []string{"vm_port"}},
		{"port 65536", `{"vm_address":"10.0.0.1","vm_port":65536}`, []string{"vm_port"}},
		{"port as text", `{"vm_address":"10.0.0.1","vm_port":"5900"}`, []string{"vm_port"}},
		{"port with a fraction", `{"vm_address":"10.0.0.1","vm_port":5900.5}`, []string{"vm_port"}},
		{"an impossible address", `{"vm_address":"a b","vm_port":1}`, []string{"vm_address"}},
		{"an empty address", `{"vm_address":"","vm_port":1}`, []string{"vm_address"}},
		{"a zone", `{"vm_address":"fe80::1%eth0","vm_port":1}`, []string{"vm_address"}},
		{"aliases that differ", `{"vm_address":"10.0.0.1","real_vm_address":"10.0.0.2","vm_port":1,"real_vm_port":2}`, []string{"real_vm_address", "real_vm_port"}},
		{"a wrong alias", `{"real_vm_address":"10.0.0.1","real_vm_port":0}`, []string{"real_vm_port"}},
		{
			"everything", `{"vm_address":7,"vm_port":-1,"protocol":"ftp","user":"` + long + `","vm_id":"a\u0000b","ttl_s":4,"channels":65,"mode":"udp","vm_password":"","probe":"yes","ticket":""}`,
			[]string{"vm_address", "probe", "vm_port", "protocol", "user", "vm_id", "ttl_s", "channels", "mode", "ticket", "vm_password"},
		},
		{"upper bounds", `{"vm_address":"10.0.0.1","vm_port":1,"ttl_s":301,"channels":0}`, []string{"ttl_s", "channels"}},
		{"a password for what is not vnc", `{"vm_address":"10.0.0.1","vm_port":1,"protocol":"spice","vm_password":"p"}`, []string{"vm_password"}},
		{"a long password", `{"vm_address":"10.0.0.1","vm_port":1,"vm_password":"` + strings.Repeat("x", 1025) + `"}`, []string{"vm_password"}},
		{"a number beyond all", `{"vm_address":"10.0.0.1","vm_port":1,"ttl_s":99999999999999999999}`, []string{"ttl_s"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := n.cli("POST", "/v3/open_connection/", tt.body)
			got.is(422, "VALIDATION")
			if diff := cmp.Diff(tt.fields, got.fields()); diff != "" {
				t.Errorf("fields (-want +got):\n%s%s", diff, got.body)
			}
		})
	}
}

func TestOpenConnection(t *testing.T) {
	n := newNode(t, nil)
	target := vm(t)
	got := n.cli("POST", "/v3/open_connection/", openText(target, `"user":"alice"`, `"ttl_s":40`))
	var grant grantAnswer
	got.into(201, &grant)
	if len(grant.Token) != 43 || len(grant.ConnectionID) != 36 || grant.Port < 21000 || grant.ExpiresAt == nil {
		t.Errorf("got %s", got.body)
	}
	var members map[string]any
	got.into(201, &members)
	for name, want := range map[string]any{
		"address": "vdi.example.com", "node": "127.0.0.1", "client_addr": "127.0.0.1", "ttl_s": 40.0, "console_url": "",
	} {
		if members[name] != want {
			t.Errorf("%s: got %v, want %v", name, members[name], want)
		}
	}
	if _, there := members["password"]; there {
		t.Errorf("a password is answered: %s", got.body)
	}
	if at, err := time.Parse(time.RFC3339, members["expires_at"].(string)); err != nil || time.Until(at) > 40*time.Second {
		t.Errorf("got expires_at %v (%v), want RFC 3339, 40 s from now at most", members["expires_at"], err)
	}
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(grant.Port))))
	if err != nil {
		t.Fatalf("the port is not open at the moment of the answer: %v", err)
	}
	_ = conn.Close()

	var again grantAnswer
	n.cli("POST", "/v3/open_connection", openText(target, `"user":"alice"`)).into(200, &again)
	if again.ConnectionID != grant.ConnectionID || again.Port != grant.Port || again.Token == grant.Token {
		t.Errorf("asked again: got %+v, want the connection of %+v with a fresh token", again, grant)
	}
	n.cli("POST", "/v3/connect/", grant.text()).is(403, "FORBIDDEN")
	var lease leaseAnswer
	n.cli("POST", "/v3/connect", again.text()).into(200, &lease)
	if lease.ConnectionID != grant.ConnectionID || lease.Port != grant.Port || lease.HeartbeatS != 20 || lease.ExpiresAt == nil {
		t.Errorf("renewed: got %+v", lease)
	}
	var closed closedAnswer
	n.cli("POST", "/v3/close_connection/", again.text()).into(200, &closed)
	n.cli("POST", "/v3/close_connection/", again.text()).is(404, "NOT_FOUND")
	n.cli("POST", "/v3/connect/", `{"connection_id":""}`).is(422, "VALIDATION")
}

// text is the body that proves who holds the grant.
func (g grantAnswer) text() string {
	text, _ := json.Marshal(map[string]string{"connection_id": g.ConnectionID, "token": g.Token})
	return string(text)
}

func TestAliases(t *testing.T) {
	n := newNode(t, nil)
	target := vm(t)
	body := `{"real_vm_address":"127.0.0.1","real_vm_port":` + portText(target) + `}`
	n.cli("POST", "/v3/open_connection/", body).into(201, &grantAnswer{})
	body = openText(target, `"real_vm_address":"127.0.0.1"`, `"real_vm_port":`+portText(target))
	n.cli("POST", "/v3/open_connection/", body).into(201, &grantAnswer{})
}

func TestTicketsOpen(t *testing.T) {
	n := newNode(t, nil)
	target := vm(t)
	var ticket ticketAnswer
	n.api("POST", "/v3/tickets/", openText(target, `"user":"bob"`, `"protocol":"vnc"`)).into(201, &ticket)
	if len(ticket.Ticket) != 43 || ticket.TicketID == "" || ticket.ExpiresAt == nil || time.Until(*ticket.ExpiresAt) > time.Minute {
		t.Errorf("got %+v", ticket)
	}
	body := `{"vm_address":"192.0.2.1","vm_port":1,"ticket":"` + ticket.Ticket + `"}` // the ticket overrides
	n.cli("POST", "/v3/open_connection/", body).into(201, &grantAnswer{})
	n.cli("POST", "/v3/open_connection/", body).is(409, "GRANT_USED")
	n.cli("POST", "/v3/open_connection/", `{"ticket":"unknown"}`).is(403, "FORBIDDEN")
	var page connectionsAnswer
	n.api("GET", "/v3/get_connections/?user=bob", "").into(200, &page)
	if page.Total != 1 || page.Connections[0].VMPort != target.Port() || page.Connections[0].Protocol != "vnc" {
		t.Errorf("got %+v, want the VM of the ticket", page)
	}
}

func TestTicketRanges(t *testing.T) {
	n := newNode(t, nil)
	for _, tt := range []struct {
		name, body string
		fields     []string
	}{
		{"nothing", `{}`, []string{"vm_port", "vm_address"}},
		{
			"everything too small", `{"vm_address":"127.0.0.1","vm_port":0,"ttl_s":4,"max_uses":0,"channels":0,"session_max_s":-1}`,
			[]string{"vm_port", "ttl_s", "max_uses", "channels", "session_max_s"},
		},
		{
			"everything too big", `{"vm_address":"127.0.0.1","vm_port":1,"ttl_s":3601,"channels":65,"session_max_s":999999999999}`,
			[]string{"ttl_s", "channels", "session_max_s"},
		},
		{"a wrong client", `{"vm_address":"127.0.0.1","vm_port":1,"client_addr":"example.com"}`, []string{"client_addr"}},
		{"an unknown member of vm_tls", `{"vm_address":"127.0.0.1","vm_port":1,"vm_tls":{"ca":""}}`, []string{"vm_tls.ca"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := n.api("POST", "/v3/tickets/", tt.body)
			got.is(422, "VALIDATION")
			if diff := cmp.Diff(tt.fields, got.fields()); diff != "" {
				t.Errorf("fields (-want +got):\n%s%s", diff, got.body)
			}
		})
	}
}

func TestRefusalsOfTheGateway(t *testing.T) {
	gone := vm(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	unreachable := netip.MustParseAddrPort(l.Addr().String())
	_ = l.Close()
	for _, tt := range []struct {
		name      string
		configure func(*gateway.Config)
		body      string
		status    int
		code      string
	}{
		{"disabled", func(c *gateway.Config) { c.Enabled = false }, openText(gone), 423, "DISABLED"},
		{"a ticket required", func(c *gateway.Config) { c.Targets.RequireTicket = true }, openText(gone), 403, "TICKET_REQUIRED"},
		{"target denied", nil, `{"vm_address":"192.0.2.1","vm_port":5900}`, 403, "TARGET_DENIED"},
		{"no such port of the VM", nil, openText(unreachable), 502, "VM_UNREACHABLE"},
		{"an odd host name", nil, `{"vm_address":"127.1","vm_port":5900}`, 422, "VALIDATION"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := newNode(t, func(_ *Config, c *gateway.Config) {
				if tt.configure != nil {
					tt.configure(c)
				}
			})
			got := n.cli("POST", "/v3/open_connection/", tt.body)
			got.is(tt.status, tt.code)
			if retry := got.header.Get("Retry-After"); (retry != "") != (tt.status == 503) {
				t.Errorf("got Retry-After %q with status %d", retry, tt.status)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	n := newNode(t, func(_ *Config, c *gateway.Config) { c.Limits = gateway.Limits{Connections: 2, PerClient: 1} })
	target := vm(t)
	n.open(target)
	n.cli("POST", "/v3/open_connection/", openText(target)).is(429, "RATE_LIMITED")
	n = newNode(t, func(_ *Config, c *gateway.Config) { c.Limits = gateway.Limits{Connections: 1} })
	n.open(target)
	full := n.cli("POST", "/v3/open_connection/", openText(target))
	full.is(503, "OVERLOADED")
	if full.header.Get("Retry-After") == "" {
		t.Errorf("got no Retry-After: %v", full.header)
	}
	n = newNode(t, func(_ *Config, c *gateway.Config) { c.PortStart, c.PortStop = 22500, 22500 })
	n.open(target)
	n.cli("POST", "/v3/open_connection/", openText(target)).is(503, "NO_FREE_PORT")
}

func TestDrain(t *testing.T) {
	n := newNode(t, nil)
	target := vm(t)
	n.api("POST", "/v3/drain/", `{}`).is(422, "VALIDATION")
	n.api("POST", "/v3/drain/", `{"on":"yes"}`).is(422, "VALIDATION")
	n.api("POST", "/v3/drain/", `{"on":true,"node":"nobody"}`).is(422, "VALIDATION")
	n.api("POST", "/v3/drain/", `{"on":true,"node":"10.9.8.7"}`).is(404, "NOT_FOUND")
	var drained drainAnswer
	n.api("POST", "/v3/drain/", `{"on":true}`).into(200, &drained)
	if drained != (drainAnswer{Node: "127.0.0.1", On: true}) {
		t.Errorf("got %+v", drained)
	}
	got := n.cli("POST", "/v3/open_connection/", openText(target))
	got.is(503, "DRAINING")
	if got.header.Get("Retry-After") != "10" {
		t.Errorf("got Retry-After %q, want 10", got.header.Get("Retry-After"))
	}
	n.api("POST", "/v3/drain", `{"on":false,"node":"127.0.0.1"}`).into(200, &drained)
	n.open(target)
}

func TestFailover(t *testing.T) {
	n := newNode(t, nil)
	n.held = "10.0.0.1"
	var moved failoverAnswer
	n.api("POST", "/v3/failover/", "").into(200, &moved)
	if moved.Node != "10.0.0.1" {
		t.Errorf("got %+v, want the node that had the address", moved)
	}
	n.cli("POST", "/v3/failover/", "").is(403, "FORBIDDEN")
	n.refusal = ErrNobodyActive
	n.api("POST", "/v3/failover", "{}").is(409, "NOT_ACTIVE")
	n.refusal = ErrNoSuccessor
	n.api("POST", "/v3/failover/", "{}").is(409, "NO_SUCCESSOR")
}

// FuzzOpenBody feeds the decoder of open_connection: it never panics, and what
// it lets through is within the contract's bounds.
func FuzzOpenBody(f *testing.F) {
	for _, seed := range []string{
		`{"vm_address":"10.1.2.3","vm_port":5901,"protocol":"vnc","user":"alice","ttl_s":30,"channels":1,"mode":"port","probe":true}`,
		`{"real_vm_address":"2001:db8::1","real_vm_port":1,"mode":"websocket"}`,
		`{"ticket":"q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"}`, `{"vm_port":1e2}`, `{}`, `[`, `{"user":"\ud800"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var body openBody
		found := &fields{problems: settingsdb.Strict(data, &body)}
		if found.problems.Syntax() {
			return
		}
		r := body.request(found)
		if found.err() != nil {
			return
		}
		switch {
		case r.Ticket == "" && (r.VMAddr == "" || r.VMPort == 0),
			r.TTL != 0 && (r.TTL < 5*time.Second || r.TTL > 300*time.Second),
			r.Channels < 0 || r.Channels > 64,
			len([]rune(r.User)) > maxText || len([]rune(r.VMID)) > maxText || len(r.VMAddr) > maxHost,
			body.VMPassword != nil:
			t.Errorf("%q passed as %+v", data, r)
		}
	})
}

func TestOpensAreCounted(t *testing.T) {
	var mu sync.Mutex
	var codes []string
	n := newNodeWith(t, func(d *Deps) {
		d.Opened = func(took time.Duration, code string) {
			mu.Lock()
			defer mu.Unlock()
			if codes = append(codes, code); took <= 0 {
				t.Errorf("%q took %s", code, took)
			}
		}
	}, nil)
	n.open(vm(t))
	n.cli("POST", "/v3/open_connection/", `{"vm_address":"8.8.8.8","vm_port":1}`).is(403, "TARGET_DENIED")
	n.cli("POST", "/v3/open_connection/", `{}`).is(422, "VALIDATION")
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"", "TARGET_DENIED", "VALIDATION"}; !slices.Equal(codes, want) {
		t.Errorf("counted %q, want %q", codes, want)
	}
}
