package gateway

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"vdi-gateway/gateway/rfb"
	"vdi-gateway/tests/xvnc"
)

const vmPassword = "vmsecret"

// newGuarded starts a VM that lets in who fits the terms, and then repeats what it hears.
func newGuarded(t testing.TB, terms rfb.Terms) *machine {
	t.Helper()
	return newMachine(t, func(c *net.TCPConn) {
		conn, _, err := rfb.Accept(context.Background(), c, terms)
		if err != nil {
			return
		}
		_, _ = io.Copy(conn, conn)
		_ = conn.(interface{ CloseWrite() error }).CloseWrite()
	})
}

// newLocked starts a VM with a password.
func newLocked(t testing.TB) *machine {
	return newGuarded(t, rfb.Terms{Type: rfb.VncAuth, Password: vmPassword})
}

func entering(q *OpenRequest) { q.Desktop.Password = vmPassword }

// certificateFor is a certificate of a server's own making.
func certificateFor(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
}

func pinned(cfg *tls.Config) *rfb.Trust {
	sum := sha256.Sum256(cfg.Certificates[0].Certificate[0])
	return &rfb.Trust{SHA256: hex.EncodeToString(sum[:])}
}

// encrypted is a rig whose viewers are shown a certificate.
func encrypted(t testing.TB) (*rig, *tls.Config) {
	t.Helper()
	cfg, addr := certificateFor(t), loopbackOf(t)
	return startRig(t, addr, configFor(addr), Deps{Certificate: func() *tls.Config { return cfg }}), cfg
}

// views has a viewer go through the security of its tunnel.
func (r *rig) views(g Grant, cfg rfb.Config) (net.Conn, rfb.Report, error) {
	r.t.Helper()
	conn, report, err := rfb.Connect(r.t.Context(), r.enter(g), cfg)
	if err == nil {
		r.t.Cleanup(func() { _ = conn.Close() })
	}
	return conn, report, err
}

func (r *rig) sees(g Grant, cfg rfb.Config, want rfb.Type) net.Conn {
	r.t.Helper()
	conn, report, err := r.views(g, cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	if report.Type != want {
		r.t.Errorf("the viewer was offered %s, want %s", report.Type, want)
	}
	says(r.t, conn, "hello")
	return conn
}

func TestViewerNeedsNothingOfTheVM(t *testing.T) {
	r, vm := newRig(t), newLocked(t)
	g := r.granted("127.0.0.5", vm.addr, entering)
	if len(g.Password) != 8 || g.Password.Reveal() == vmPassword {
		t.Fatalf("got a password of %d characters, want 8 of its own", len(g.Password))
	}
	conn := r.sees(g, rfb.Config{Password: rfb.Secret(g.Password)}, rfb.VncAuth)
	if now, _ := r.the(g.ID); now.State != StateActive || now.Protocol != "vnc" {
		t.Errorf("got %+v, want a running session of vnc", now)
	}
	_ = conn.Close()
	e := r.audit.closed(t, g.ID, "client_closed")
	if e.BytesUp != 5 || e.BytesDown != 5 {
		t.Errorf("got %d and %d bytes, want 5 each: the handshake is not the viewer's", e.BytesUp, e.BytesDown)
	}
}

func TestPasscodeIsForOneUse(t *testing.T) {
	r, vm := newRig(t), newLocked(t)
	g := r.granted("127.0.0.5", vm.addr, entering, as("ada"))
	_ = r.sees(g, rfb.Config{Password: rfb.Secret(g.Password)}, rfb.VncAuth).Close()
	r.audit.closed(t, g.ID, "client_closed")
	if _, _, err := r.views(g, rfb.Config{Password: rfb.Secret(g.Password)}); err == nil {
		t.Error("a password was taken twice")
	}
	again := r.granted("127.0.0.5", vm.addr, entering, as("ada"))
	if !again.Reopened || again.Password == g.Password || again.Port != g.Port {
		t.Errorf("got %+v, want the same connection with another password", again)
	}
	r.sees(again, rfb.Config{Password: rfb.Secret(again.Password)}, rfb.VncAuth)
}

// Who was asked for a password before the connection was opened again does not come in by
// it afterwards, and does not spend the fresh one.
func TestPasscodeIsReplacedDuringAHandshake(t *testing.T) {
	r, vm := newRig(t), newLocked(t)
	g := r.granted("127.0.0.5", vm.addr, entering, as("ada"))
	c := r.enter(g)
	heard := make([]byte, 12+2+16)
	if _, err := io.WriteString(c, "RFB 003.008\n\x02"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, heard); err != nil {
		t.Fatal(err)
	}
	again := r.granted("127.0.0.5", vm.addr, entering, as("ada"))
	_, _ = c.Write(xvnc.Response(t, g.Password.Reveal(), heard[14:]))
	eventually(t, "the former viewer is sent away", func() bool {
		list := r.audit.of(g.ID)
		return len(list) == 1 && list[0].Reason == ReasonNotAdmitted
	})
	r.sees(again, rfb.Config{Password: rfb.Secret(again.Password)}, rfb.VncAuth)
}

func TestPasscodeStandsThreeGuesses(t *testing.T) {
	r, vm := newRig(t), newLocked(t)
	g := r.granted("127.0.0.5", vm.addr, entering)
	for i := range 4 {
		if _, _, err := r.views(g, rfb.Config{Password: "guessing"}); err == nil {
			t.Fatalf("guess %d was right", i)
		}
		eventually(t, "it is told", func() bool { return len(r.audit.of(g.ID)) == i+1 })
	}
	if _, _, err := r.views(g, rfb.Config{Password: rfb.Secret(g.Password)}); err == nil {
		t.Error("the password was still good after three wrong ones")
	}
	eventually(t, "it is told why", func() bool {
		list := r.audit.of(g.ID)
		return len(list) == 5 && list[3].Reason == ReasonNotAdmitted && strings.Contains(list[3].Detail, "open the connection again")
	})
}

// A viewer that chooses None, which is the bug CVE-2022-36436 was about.
func TestViewerCannotChooseNone(t *testing.T) {
	r, vm := newRig(t), newLocked(t)
	g := r.granted("127.0.0.5", vm.addr, entering)
	c := r.enter(g)
	heard := make([]byte, 14)
	if _, err := io.ReadFull(c, heard[:12]); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, "RFB 003.008\n")
	if _, err := io.ReadFull(c, heard[12:]); err != nil || string(heard) != "RFB 003.008\n\x01\x02" {
		t.Fatalf("got %q, %v: want VncAuth and nothing else on offer", heard, err)
	}
	_, _ = c.Write([]byte{1, 1}) // None, and ClientInit
	if rest, err := io.ReadAll(c); len(rest) > 0 {
		t.Errorf("got %q, %v: want no word", rest, err)
	}
	if got := vm.accepted.Load(); got > 1 {
		t.Errorf("the VM was reached %d times", got)
	}
}

func TestViewersWithACertificate(t *testing.T) {
	r, cfg := encrypted(t)
	vm := newLocked(t)
	open := func() Grant { return r.granted("127.0.0.5", vm.addr, entering) }
	trust := pinned(cfg)
	g := open()
	r.sees(g, rfb.Config{User: string(g.ID), Password: rfb.Secret(g.Token), Trust: trust}, rfb.X509Plain)
	g = open()
	r.sees(g, rfb.Config{Password: rfb.Secret(g.Password), Trust: trust}, rfb.X509Vnc)
	g = open()
	told := 0
	for name, wrong := range map[string]rfb.Config{
		"the one-time password as token": {User: string(g.ID), Password: rfb.Secret(g.Password), Trust: trust},
		"another user":                   {User: "ada", Password: rfb.Secret(g.Token), Trust: trust},
		"not encrypted":                  {Password: rfb.Secret(g.Password), Unencrypted: true},
	} {
		if _, _, err := r.views(g, wrong); err == nil {
			t.Errorf("%s: let in", name)
		}
		told++ // its channel is free then
		eventually(t, "it is told", func() bool { return len(r.audit.of(g.ID)) == told })
	}
}

func TestVMWithACertificate(t *testing.T) {
	r, own := newRig(t), certificateFor(t)
	vm := newGuarded(t, rfb.Terms{
		Type: rfb.X509Plain, Certificate: func() *tls.Config { return own },
		Check: func(_ context.Context, user string, password rfb.Secret) error {
			if user != "ada" || password.Reveal() != vmPassword {
				return io.ErrUnexpectedEOF
			}
			return nil
		},
	})
	into := func(d Desktop) func(*OpenRequest) { return func(q *OpenRequest) { q.Desktop = d } }
	g := r.granted("127.0.0.5", vm.addr, into(Desktop{User: "ada", Password: vmPassword, Trust: pinned(own)}))
	r.sees(g, rfb.Config{Password: rfb.Secret(g.Password)}, rfb.VncAuth)
	for name, d := range map[string]Desktop{
		"another certificate": {User: "ada", Password: vmPassword, Trust: pinned(certificateFor(t))},
		"a wrong password":    {User: "ada", Password: "of another", Trust: pinned(own)},
		"no password":         {Trust: pinned(own)},
	} {
		g := r.granted("127.0.0.5", vm.addr, into(d))
		_, _, err := r.views(g, rfb.Config{Password: rfb.Secret(g.Password)})
		if err == nil || !strings.Contains(err.Error(), rfb.Unreachable) {
			t.Errorf("%s: the viewer got %v, want %q and no more", name, err, rfb.Unreachable)
		}
		eventually(t, name+": the failure is told", func() bool {
			list := r.audit.of(g.ID)
			return len(list) == 1 && list[0].Reason == ReasonVMUnreachable && strings.Contains(list[0].Detail, "VM")
		})
		if again := r.audit.of(g.ID); strings.Contains(again[0].Detail, vmPassword) {
			t.Errorf("%s: the journal has the password: %s", name, again[0].Detail)
		}
	}
}

func TestViewOnly(t *testing.T) {
	r, vm := newRig(t), newLocked(t)
	g := r.granted("127.0.0.5", vm.addr, entering, func(q *OpenRequest) { q.Desktop.ViewOnly = true })
	conn, _, err := r.views(g, rfb.Config{Password: rfb.Secret(g.Password)})
	if err != nil {
		t.Fatal(err)
	}
	const key, ask = "\x04\x01\x00\x00\x00\x00\x00\x61", "\x03\x01\x00\x00\x00\x00\x00\x10\x00\x10"
	if _, err := io.WriteString(conn, "\x00"+key+ask); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 1+len(ask))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "\x01"+ask {
		t.Errorf("the VM heard %q, %v: want the wish to share and no key", got, err)
	}
}

func TestAttachEntersTheVM(t *testing.T) {
	r, vm := newRig(t), newLocked(t)
	g := r.granted("127.0.0.5", vm.addr, overWebSocket, entering)
	if g.Password != "" {
		t.Error("got a password in mode websocket, want none: the token is enough")
	}
	v := r.attach(g.Token, "127.0.0.5")
	conn, report, err := rfb.Connect(t.Context(), v, rfb.Config{})
	if err != nil || report.Type != rfb.None {
		t.Fatalf("got %s, %v: want None", report.Type, err)
	}
	says(t, conn, "hello")
	wrong := r.granted("127.0.0.5", vm.addr, overWebSocket, func(q *OpenRequest) { q.Desktop.Password = "wrong" })
	for range 2 { // the token comes back
		_, err := r.Attach(t.Context(), wrong.Token, netip.MustParseAddr("127.0.0.5"))
		if refusal := refusedWith(t, err, ErrVMUnreachable); strings.Contains(refusal.Detail, "password") {
			t.Errorf("got %q: what is wrong with the VM is for the journal", refusal.Detail)
		}
	}
}

// A VM that accepts and says nothing does not keep its viewer.
func TestDisconnectEndsAHandshake(t *testing.T) {
	r := newRig(t)
	vm := newMachine(t, func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) })
	g := r.granted("127.0.0.5", vm.addr, entering)
	c := r.enter(g)
	eventually(t, "the VM is being entered", func() bool { return vm.accepted.Load() == 1 })
	if _, _, err := r.Disconnect(t.Context(), Selector{IDs: []ConnectionID{g.ID}}, ""); err != nil {
		t.Fatal(err)
	}
	if err := endsWithin(t, c, prompt); err != nil && !isReset(err) {
		t.Error(err)
	}
}
