package viewers

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"vdi-gateway/gateway/rfb"
	"vdi-gateway/tests/xvnc"
)

// actor is a VM that does with every connection what it is told to.
func (r *rig) actor(t *testing.T, act func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := r.vms.Listen(netip.AddrPortFrom(r.vms.Addr(), 0).String())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	t.Cleanup(func() { cancel(); _ = l.Close(); all.Wait() })
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
			all.Go(func() { act(conn); stop(); _ = conn.Close() })
		}
	})
	return netip.MustParseAddrPort(l.Addr().String())
}

// says is an actor that says something and waits until the other side goes.
func says(text string) func(net.Conn) {
	return func(conn net.Conn) {
		_, _ = io.WriteString(conn, text)
		_, _ = io.Copy(io.Discard, conn)
	}
}

// trouble is a VM that cannot be entered.
type trouble struct {
	name    string
	addr    netip.AddrPort
	ticket  map[string]any
	journal string // what the operator reads
}

func (r *rig) troubles(t *testing.T) []trouble {
	ca, other := xvnc.NewAuthority(t, "the VMs' authority"), xvnc.NewAuthority(t, "another authority")
	certificate := xvnc.Certificate(ca.Store(t, ca.Valid(t, "vm17.example")))
	secured := xvnc.StartDesktop(t, r.vms.Do, netip.AddrPortFrom(r.vms.Addr(), 5903), 24,
		append(append(xvnc.Password(t, vmPassword), certificate...), "-SecurityTypes", "X509Vnc")...).Addr
	locked := r.locked(t).Addr
	anonymous := xvnc.StartDesktop(t, r.vms.Do, netip.AddrPortFrom(r.vms.Addr(), 5904), 24,
		append(xvnc.Password(t, vmPassword), "-SecurityTypes", "TLSVnc")...).Addr
	with := func(trust map[string]any) map[string]any {
		return map[string]any{"vm_password": vmPassword, "vm_tls": trust}
	}
	return []trouble{
		{"says nothing", r.actor(t, says("")), entered(), "the time was up during the version"},
		{"stops in the middle", r.actor(t, says("RFB 003.008\n")), entered(), "the time was up during the security types"},
		{"hangs up", r.actor(t, func(net.Conn) {}), entered(), "the connection ended during the version"},
		{"is none", r.actor(t, says("SSH-2.0-OpenSSH_9.2\r\n")), entered(), "this is not a VNC server: it says"},
		{"refuses", r.actor(t, says("RFB 003.008\n\x00\x00\x00\x00\x0btoo many now")), entered(), "it refuses: \\\"too many no\\\""},
		{"wants another password", locked, map[string]any{"vm_password": "N0t-the-password"}, "it rejects VncAuth"},
		{"wants a password", locked, map[string]any{"view_only": true}, "it wants a password, and none is given"},
		{"has no certificate", locked, with(map[string]any{"ca_pem": ca.PEM}), "vm_tls is given, so that only VeNCrypt with a certificate will do"},
		{"has one of another authority", secured, with(map[string]any{"ca_pem": other.PEM, "server_name": "vm17.example"}), "expected a certificate from CN=another authority"},
		{"has one of another name", secured, with(map[string]any{"ca_pem": ca.PEM}), "expected a certificate for 10.99.0.20, got one of"},
		{"has another one", secured, with(map[string]any{"sha256": strings.Repeat("ab", 32)}), "expected the certificate with sha256 abab"},
		{"has anonymous TLS only", anonymous, entered(), "TigerVNC: SecurityTypes X509Vnc with X509Cert and X509Key"},
		{"is not there", netip.AddrPortFrom(r.vms.Addr(), 9), entered(), "connection refused"},
	}
}

// TestAVMInTrouble: its viewer hears generic words in his own protocol, its operator reads
// what is wrong.
func TestAVMInTrouble(t *testing.T) {
	r := newRig(t, false)
	for _, v := range r.troubles(t) {
		t.Run(v.name, func(t *testing.T) {
			if strings.Contains(v.journal, "the time was up") {
				t.Parallel() // it waits
			}
			tunnel := r.request(t, unprobed(r.ticket(t, v.addr, v.ticket)))
			began := time.Now()
			err := r.handshake(t, tunnel, tunnel.Password)
			t.Logf("%q after %s", err, time.Since(began).Round(time.Millisecond))
			var refused *rfb.Error
			if !errors.As(err, &refused) || refused.Kind != rfb.Refused || !strings.Contains(refused.Text, `"`+rfb.Unreachable+`"`) {
				t.Errorf("the viewer got %v, want %q and no more", err, rfb.Unreachable)
			}
			line := r.journal(t, tunnel.ID, "level=warning", "reason=vm_unreachable", v.journal)
			t.Log(line)
			if strings.Contains(line, vmPassword) || strings.Contains(line, "N0t-the") {
				t.Errorf("the log has the password: %s", line)
			}
		})
	}
}

// TestAViewerShowsThatTheVMIsInTrouble, as a person sees it.
func TestAViewerShowsThatTheVMIsInTrouble(t *testing.T) {
	r := newRig(t, false)
	vm := r.actor(t, says("RFB 003.008\n\x00\x00\x00\x00\x11the inner reason."))
	screen := xvnc.StartScreen(t, r.client.Do)
	viewer := screen.View(t, r.once(r.open(t, vm, entered())))
	xvnc.Eventually(t, "the viewer says so", func() bool { return strings.Contains(viewer.Output(), rfb.Unreachable) })
	if strings.Contains(viewer.Output(), "inner") {
		t.Errorf("the viewer shows what is for the operator: %s", viewer.Output())
	}
}
