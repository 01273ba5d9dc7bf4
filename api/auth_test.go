package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"vdi-gateway/gateway"
)

func TestKeysAndRoles(t *testing.T) {
	n := newNode(t, nil)
	keys := []struct {
		name   string
		header []string
		holder role
	}{
		{"no key", nil, anyone},
		{"Authorization: KEY of the dispatcher", []string{"Authorization: " + apiKey}, dispatcher},
		{"Bearer of the dispatcher", []string{"Authorization: Bearer " + apiKey}, dispatcher},
		{"bearer in small letters", []string{"Authorization: bearer  " + apiKey}, dispatcher},
		{"X-API-Key of the dispatcher", []string{"X-API-Key: " + apiKey}, dispatcher},
		{"Authorization: KEY of the client", []string{"Authorization: " + cliKey}, client},
		{"Bearer of the client", []string{"Authorization: Bearer " + cliKey}, client},
		{"X-API-Key of the client", []string{"X-API-Key: " + cliKey}, client},
	}
	for _, op := range n.server.operations() {
		for _, path := range op.paths() {
			for _, k := range keys {
				t.Run(op.method+" "+path+" "+k.name, func(t *testing.T) {
					wanted := op.role
					if op.method == "GET" && op.path == "/v3/connect/" {
						wanted = client // without an upgrade it is an operation of the client
					}
					got := n.call(op.method, path, "", k.header...)
					switch {
					case wanted == anyone || wanted == k.holder:
						if got.status == 401 || got.status == 403 {
							t.Errorf("got %d %s, want it to pass", got.status, got.body)
						}
					case k.holder == anyone:
						got.is(401, "UNAUTHORIZED")
					default:
						got.is(403, "FORBIDDEN")
					}
				})
			}
		}
	}
}

func TestWrongKeys(t *testing.T) {
	for _, tt := range []struct {
		name    string
		headers []string
		status  int
	}{
		{"wrong", []string{"Authorization: Bearer nobodys"}, 401},
		{"wrong in X-API-Key", []string{"X-API-Key: nobodys"}, 401},
		{"another scheme", []string{"Authorization: Basic " + apiKey}, 401},
		{"the right key and more", []string{"Authorization: " + apiKey + "x"}, 401},
		{"the right key cut short", []string{"Authorization: " + apiKey[1:]}, 401},
		{"empty", []string{"Authorization: "}, 401},
		{"Bearer of nothing", []string{"Authorization: Bearer "}, 401},
		{"wrong beside right", []string{"Authorization: Bearer nobodys", "X-API-Key: " + apiKey}, 200},
		{"both roles", []string{"Authorization: Bearer " + cliKey, "X-API-Key: " + apiKey}, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := newNode(t, nil)
			got := n.call("GET", "/v3/health/", "", tt.headers...)
			if got.status != tt.status {
				t.Errorf("got %d %s, want %d", got.status, got.body, tt.status)
			}
			if want := `Bearer realm="vdi-gateway"`; tt.status == 401 && got.header.Get("WWW-Authenticate") != want {
				t.Errorf("got WWW-Authenticate %q, want %q", got.header.Get("WWW-Authenticate"), want)
			}
		})
	}
}

func TestAnEmptyKeyFitsNobody(t *testing.T) {
	n := newNode(t, func(c *Config, _ *gateway.Config) { c.APIKey, c.ClientKey = "", "" })
	n.call("GET", "/v3/health/", "", "Authorization: Bearer ").is(401, "UNAUTHORIZED")
	n.call("GET", "/v3/health/", "", "X-API-Key: ").is(401, "UNAUTHORIZED")
}

func TestNewKeysHoldAtOnce(t *testing.T) {
	n := newNode(t, nil)
	n.api("GET", "/v3/health/", "").into(200, &Health{})
	cfg := config()
	cfg.APIKey = "another-key-of-the-dispatcher"
	if err := n.server.Apply(cfg); err != nil {
		t.Fatal(err)
	}
	n.api("GET", "/v3/health/", "").is(401, "UNAUTHORIZED")
	n.call("GET", "/v3/health/", "", "X-API-Key: another-key-of-the-dispatcher").into(200, &Health{})
}

func TestWrongKeysAreCounted(t *testing.T) {
	n := newNode(t, nil)
	// The bucket refills while we knock: so many in a row must be refused
	// at the latest by the time it could have refilled ten times over.
	blocked := answer{}
	for deadline := time.Now().Add(soon); blocked.status != 429 && time.Now().Before(deadline); {
		blocked = n.call("GET", "/v3/health/", "", "X-API-Key: wrong")
	}
	blocked.t = t
	blocked.is(429, "RATE_LIMITED")
	if got := blocked.header.Get("Retry-After"); got != "1" {
		t.Errorf("got Retry-After %q, want 1", got)
	}
	n.api("GET", "/v3/health/", "").into(200, &Health{}) // a neighbour with the right key
	n.call("GET", "/v3/health/", "").is(401, "UNAUTHORIZED")
	eventually(t, "wrong keys hear 401 again", func() bool {
		time.Sleep(200 * time.Millisecond) // two tokens
		return n.call("GET", "/v3/health/", "", "X-API-Key: wrong").status == http.StatusUnauthorized
	})
}

func TestTenWrongKeysAreJustWrong(t *testing.T) {
	n := newNode(t, nil)
	for i := range wrongKeys {
		if got := n.call("GET", "/v3/health/", "", "X-API-Key: wrong"); got.status != 401 {
			t.Fatalf("wrong key number %d: got %d, want 401", i+1, got.status)
		}
	}
}

func TestSecretsAreNotLogged(t *testing.T) {
	n := newNode(t, nil)
	target := vm(t)
	grant := n.open(target, `"mode":"websocket","user":"alice"`)
	var ticket ticketAnswer
	n.api("POST", "/v3/tickets/", `{"vm_address":"127.0.0.1","vm_port":`+portText(target)+`}`).into(201, &ticket)
	n.cli("POST", "/v3/connect/", `{"connection_id":"`+grant.ConnectionID+`","token":"`+grant.Token+`"}`)
	for _, path := range []string{"/v3/get_settings/", "/v3/get_connections/?token=" + apiKey, "/v3/connect/?Token=" + grant.Token} {
		n.api("GET", path, "")
	}
	n.api("POST", "/v3/change_settings/?token=%zz"+apiKey, `{"api_key":"`+apiKey+`","cli_key":7}`)
	ws := n.attach("/v3/connect/?x=1&token="+grant.Token, nil)
	_ = ws.CloseNow()
	ws = n.attach("/v3/connect/", []string{"binary", "vdi.token." + ticket.Ticket})
	_ = ws.CloseNow()
	n.stop()
	text := n.log.String()
	if !strings.Contains(text, "/v3/get_settings/") || !strings.Contains(text, "status=101") {
		t.Fatalf("the requests are not in the log:\n%s", text)
	}
	for name, secret := range map[string]string{
		"api_key": apiKey, "cli_key": cliKey, "token": grant.Token, "ticket": ticket.Ticket,
		"cluster_key": n.settings.document.ClusterKey.Reveal(),
	} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is in the log:\n%s", name, text)
		}
	}
}
