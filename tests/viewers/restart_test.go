package viewers

import (
	"os"
	"strings"
	"testing"

	"vdi-gateway/tests/node"
	"vdi-gateway/tests/xvnc"
)

// unprobed is a request that does not look first whether the VM is there.
func unprobed(ticket string) node.OpenRequest { return node.OpenRequest{Ticket: ticket} }

// restart kills the node, does something to its files, and starts it again.
func (r *rig) restart(t *testing.T, between func()) {
	t.Helper()
	r.node.Kill()
	between()
	r.start(t)
}

// keyFile is where the node keeps the key that seals tickets.
func (r *rig) keyFile() string { return strings.TrimSuffix(r.cfg.DB, ".db") + ".key" }

func TestATicketOutlivesItsNode(t *testing.T) {
	r := newRig(t, false)
	d := r.locked(t)
	ticket := r.ticket(t, d.Addr, entered())
	info, err := os.Stat(r.keyFile())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key file: got %v, %v, want it for the owner alone", info, err)
	}
	r.restart(t, func() {})
	xvnc.WantPattern(t, xvnc.Capture(t, r.client.Do, r.once(r.request(t, node.OpenRequest{Ticket: ticket}))), d.Size, xvnc.Exact)
}

// TestWithoutTheKey what was sealed is lost, and no more than that.
func TestWithoutTheKey(t *testing.T) {
	r := newRig(t, false)
	d := r.locked(t)
	sealed, open := r.ticket(t, d.Addr, entered()), r.ticket(t, d.Addr, map[string]any{"view_only": true})
	r.restart(t, func() {
		if err := os.Remove(r.keyFile()); err != nil {
			t.Fatal(err)
		}
	})
	r.journal(t, "level=warning", "a ticket cannot be used", "sealed under another key")
	_, err := r.caller(t, r.node.Client(r.client)).Open(soon(t), node.OpenRequest{Ticket: sealed})
	r.journal(t, "level=warning", "a ticket is lost", "sealed under another key")
	if node.Code(err) != "GRANT_EXPIRED" || !strings.Contains(err.Error(), "ask for a new one") {
		t.Errorf("the sealed ticket: got %v, want it to have ended, and what to do", err)
	}
	r.request(t, node.OpenRequest{Ticket: open})
	xvnc.Capture(t, r.client.Do, r.once(r.open(t, d.Addr, entered())))
}

// TestAKeyThatOthersMayRead is not used; the log says what to do.
func TestAKeyThatOthersMayRead(t *testing.T) {
	r := newRig(t, false)
	d := r.locked(t)
	ticket := r.ticket(t, d.Addr, entered())
	r.restart(t, func() {
		if err := os.Chmod(r.keyFile(), 0o644); err != nil {
			t.Fatal(err)
		}
	})
	r.journal(t, "chmod 600")
	if _, err := r.caller(t, r.node.Client(r.client)).Open(soon(t), node.OpenRequest{Ticket: ticket}); err == nil {
		t.Error("a key that others may read is used")
	}
	if err := os.Chmod(r.keyFile(), 0o600); err != nil {
		t.Fatal(err)
	}
	xvnc.Capture(t, r.client.Do, r.once(r.open(t, d.Addr, entered())))
	xvnc.Capture(t, r.client.Do, r.once(r.request(t, node.OpenRequest{Ticket: ticket})))
}
