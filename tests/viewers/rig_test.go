package viewers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vdi-gateway/gateway/rfb"
	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
	"vdi-gateway/tests/xvnc"
)

// patience bounds every wait; what is waited for takes a fraction of it.
const patience = 40 * time.Second

// vmPassword is what no viewer may learn. VncAuth looks at its first eight bytes.
const vmPassword = "q7Zr#uLp-and-more"

// rig is a node, a client and a host for VMs.
type rig struct {
	gate, client, vms *lab.Host
	cfg               node.Config
	node              *node.Node
	ca                string // file with the node's certificate; "": without ssl
}

func newRig(t *testing.T, ssl bool) *rig {
	t.Helper()
	n := lab.New(t)
	r := &rig{
		gate: n.Host("gate", "10.99.0.1/24"), client: n.Host("client", "10.99.0.10/24", "10.99.0.11/24"),
		vms: n.Host("vm", "10.99.0.20/24"),
	}
	r.cfg = node.Config{
		Binary: node.Binary(), DB: filepath.Join(t.TempDir(), "settings.db"),
		Settings: node.Settings{"ssl": ssl, "public_addr": r.gate.Addr().String()}, Args: []string{"--log-level", "debug"},
	}
	if err := node.Prepare(r.gate, r.cfg); err != nil {
		t.Fatal(err)
	}
	r.start(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the node's log:\n%s", r.node.Log())
		}
		if err := r.node.Stop(); err != nil {
			t.Errorf("stop the node: got %v, want exit code 0", err)
		}
	})
	if ssl {
		r.ca = r.node.Path("tls/self-signed.crt")
	}
	return r
}

// start starts the node, at first or again.
func (r *rig) start(t *testing.T) {
	t.Helper()
	var err error
	if r.node, err = node.Launch(r.gate, r.cfg); err == nil {
		err = r.node.Ready(soon(t))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// trust believes the node's certificate and no other.
func (r *rig) trust(t *testing.T) *tls.Config {
	t.Helper()
	roots := x509.NewCertPool()
	if text, err := os.ReadFile(r.ca); err != nil || !roots.AppendCertsFromPEM(text) {
		t.Fatalf("the node's certificate: %v", err)
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

// caller is c by TLS where the node speaks it.
func (r *rig) caller(t *testing.T, c *node.Client) *node.Client {
	t.Helper()
	if r.ca != "" {
		c = c.Secure(r.trust(t))
	}
	t.Cleanup(c.Close)
	return c
}

// ticket is one for a VM; more are further fields of it.
func (r *rig) ticket(t *testing.T, vm netip.AddrPort, more map[string]any) string {
	t.Helper()
	body := map[string]any{"vm_address": vm.Addr().String(), "vm_port": vm.Port()}
	for k, v := range more {
		body[k] = v
	}
	ticket, err := r.caller(t, r.node.Dispatcher()).Ticket(soon(t), body)
	if err != nil {
		t.Fatal(err)
	}
	return ticket
}

// open reserves a tunnel with a ticket for a VM.
func (r *rig) open(t *testing.T, vm netip.AddrPort, more map[string]any) node.Tunnel {
	t.Helper()
	return r.request(t, node.OpenRequest{Ticket: r.ticket(t, vm, more)})
}

func (r *rig) request(t *testing.T, q node.OpenRequest) node.Tunnel {
	t.Helper()
	tunnel, err := r.caller(t, r.node.Client(r.client)).Open(soon(t), q)
	if err != nil {
		t.Fatal(err)
	}
	return tunnel
}

// once is how a user logs in with the password of one use.
func (r *rig) once(tunnel node.Tunnel) xvnc.Login {
	return xvnc.Login{Server: tunnel.Addr(), Password: tunnel.Password, CA: r.ca}
}

// holder is how a user logs in with the connection's id and token, which needs ssl.
func (r *rig) holder(tunnel node.Tunnel) xvnc.Login {
	return xvnc.Login{Server: tunnel.Addr(), User: tunnel.ID, Password: tunnel.Token, CA: r.ca}
}

// best is what the viewers choose by themselves.
func (r *rig) best(tunnel node.Tunnel) xvnc.Login {
	if r.ca != "" {
		return r.holder(tunnel)
	}
	return r.once(tunnel)
}

// handshake takes a connection of this test through the security that it is offered; an
// error closes it.
func (r *rig) handshake(t *testing.T, tunnel node.Tunnel, password string) error {
	t.Helper()
	conn, err := r.client.Dial(netip.Addr{}, tunnel.Addr(), patience)
	if err != nil {
		return err
	}
	stream, _, err := rfb.Connect(context.Background(), conn, rfb.Config{Password: rfb.Secret(password), Limit: patience})
	if err == nil {
		t.Cleanup(func() { _ = stream.Close() })
	}
	return err
}

// journal waits for the line of the log that has all of the words.
func (r *rig) journal(t *testing.T, words ...string) (line string) {
	t.Helper()
	xvnc.Eventually(t, "the log has a line with "+strings.Join(words, " and "), func() bool {
		for line = range strings.Lines(r.node.Log()) {
			if hasAll(line, words) {
				return true
			}
		}
		return false
	})
	return line
}

func hasAll(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}
