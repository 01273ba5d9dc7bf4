package api

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTicketsForDesktopsAreChecked(t *testing.T) {
	n := newNode(t, nil)
	for _, tt := range []struct {
		name, members string
		fields        []string
		says          string
	}{
		{"an empty user", `"vm_user":""`, []string{"vm_user"}, "leave it out"},
		{"an empty password", `"vm_password":""`, []string{"vm_password"}, "leave it out"},
		{"a long password", `"vm_password":"` + strings.Repeat("ä", 513) + `"`, []string{"vm_password"}, "1024 bytes"},
		{"no PEM", `"vm_tls":{"ca_pem":"x"}`, []string{"vm_tls.ca_pem"}, "no certificate in PEM"},
		{"long PEM", `"vm_tls":{"ca_pem":"` + strings.Repeat("x", 16385) + `"}`, []string{"vm_tls.ca_pem"}, "16384 bytes"},
		{"a short pin", `"vm_tls":{"sha256":"00:11"}`, []string{"vm_tls.sha256"}, "64 hexadecimal digits"},
		{"no name", `"vm_tls":{"server_name":"a b"}`, []string{"vm_tls.server_name"}, "host name"},
		{"all of it", `"vm_tls":{"server_name":"","ca_pem":"x","sha256":"z"}`, []string{"vm_tls.server_name", "vm_tls.ca_pem", "vm_tls.sha256"}, ""},
		{"spice", `"protocol":"spice","vm_password":"x"`, []string{"vm_password"}, "protocol vnc"},
		{"rdp", `"protocol":"rdp","view_only":true`, []string{"view_only"}, "protocol vnc"},
		{"loudplay", `"protocol":"loudplay","vm_tls":{}`, []string{"vm_tls"}, "protocol vnc"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := n.api("POST", "/v3/tickets/", `{"vm_address":"127.0.0.1","vm_port":1,`+tt.members+`}`)
			got.is(422, "VALIDATION")
			if diff := cmp.Diff(tt.fields, got.fields()); diff != "" || !strings.Contains(string(got.body), tt.says) {
				t.Errorf("fields (-want +got):\n%s%s, want %q", diff, got.body, tt.says)
			}
		})
	}
	for _, members := range []string{
		`"shared":true,"view_only":true,"vm_user":"u","vm_password":"x","vm_tls":{}`, `"protocol":"spice","shared":false,"view_only":false`,
		`"protocol":"tcp","vm_password":"x"`, `"vm_tls":{"sha256":"` + strings.Repeat("0f:", 31) + `0f"}`,
	} {
		n.api("POST", "/v3/tickets/", `{"vm_address":"127.0.0.1","vm_port":1,`+members+`}`).into(201, &ticketAnswer{})
	}
}

// The client of open_connection gets a password of one use, and never the VM's.
func TestOpenConnectionWithAPassword(t *testing.T) {
	n := newNode(t, nil)
	target := vm(t)
	grant := n.open(target, `"vm_password":"vmsecret"`)
	if len(grant.Password) != 8 || grant.Password == "vmsecret" {
		t.Errorf("got password %q, want 8 characters of its own", grant.Password)
	}
	if grant := n.open(target, `"vm_password":"vmsecret"`, `"mode":"websocket"`); grant.Password != "" {
		t.Errorf("got password %q in mode websocket, whose token is enough", grant.Password)
	}
}
