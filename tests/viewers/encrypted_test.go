package viewers

import (
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"

	"vdi-gateway/gateway/rfb"
	"vdi-gateway/tests/node"
	"vdi-gateway/tests/xvnc"
)

// TestWhoIsNotLetInBehindTLS: neither the VM's password nor half of the right words. The
// third guess ends it for the right ones as well.
func TestWhoIsNotLetInBehindTLS(t *testing.T) {
	r := newRig(t, true)
	d := r.locked(t)
	tunnel := r.open(t, d.Addr, entered())
	for _, words := range [][2]string{{tunnel.ID, vmPassword}, {"ada", tunnel.Token}, {tunnel.ID, tunnel.Password}} {
		login := r.holder(tunnel)
		login.User, login.Password = words[0], words[1]
		if _, said, err := xvnc.TryCapture(t, r.client.Do, login); err == nil {
			t.Errorf("let in by %q: %s", words, said)
		}
		r.journal(t, tunnel.ID, "the viewer was not admitted", "wrong user or password")
	}
	if _, said, err := xvnc.TryCapture(t, r.client.Do, r.holder(tunnel)); err == nil {
		t.Errorf("let in after three guesses: %s", said)
	}
	for _, secret := range []string{vmPassword[:8], tunnel.Token, tunnel.Password} {
		r.keepsNothingOf(t, secret)
	}
}

// TestViewersThatCannotEncrypt are told so where that is possible, and use nothing up.
func TestViewersThatCannotEncrypt(t *testing.T) {
	r := newRig(t, true)
	d := r.locked(t)
	tunnel := r.open(t, d.Addr, entered())
	screen := xvnc.StartScreen(t, r.client.Do)
	viewer := screen.View(t, r.once(tunnel), "-SecurityTypes", "VncAuth")
	xvnc.Eventually(t, "a viewer without VeNCrypt gives up", func() bool {
		return strings.Contains(viewer.Output(), "No matching security types")
	})
	viewer.Stop()
	r.journal(t, tunnel.ID, "the viewer was not admitted")
	said := r.speak33(t, tunnel)
	if !strings.Contains(said, "too old to connect with encryption") {
		t.Errorf("a viewer of RFB 3.3 is told %q", said)
	}
	xvnc.WantPattern(t, xvnc.Capture(t, r.client.Do, r.holder(tunnel)), d.Size, xvnc.Exact)
}

// speak33 is all that a viewer of RFB 3.3 hears.
func (r *rig) speak33(t *testing.T, tunnel node.Tunnel) string {
	t.Helper()
	conn, err := r.client.Dial(netip.Addr{}, tunnel.Addr(), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "RFB 003.003\n")
	said, readErr := io.ReadAll(conn)
	if err = errors.Join(err, readErr); err != nil && len(said) == 0 {
		t.Error(err)
	}
	return string(said)
}

// TestTheCertificateIsTheNodes: a viewer that believes another authority says no word of
// its own.
func TestTheCertificateIsTheNodes(t *testing.T) {
	r := newRig(t, true)
	d := r.locked(t)
	tunnel := r.open(t, d.Addr, entered())
	conn, err := r.client.Dial(netip.Addr{}, tunnel.Addr(), patience)
	if err != nil {
		t.Fatal(err)
	}
	other := xvnc.NewAuthority(t, "another authority")
	_, _, err = rfb.Connect(t.Context(), conn, rfb.Config{
		User: tunnel.ID, Password: rfb.Secret(tunnel.Token), Trust: &rfb.Trust{CA: other.PEM}, Limit: patience,
	})
	var refused *rfb.Error
	if !errors.As(err, &refused) || refused.Kind != rfb.CertificateRejected {
		t.Errorf("got %v, want the certificate not believed", err)
	}
	r.journal(t, tunnel.ID, "the viewer was not admitted", "certificate")
	xvnc.Capture(t, r.client.Do, r.holder(tunnel))
}
