package viewers

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"vdi-gateway/tests/node"
	"vdi-gateway/tests/xvnc"
)

// tap is a way into a tunnel on the client's own host that notes what passes.
type tap struct {
	addr netip.AddrPort

	mu       sync.Mutex
	up, down bytes.Buffer
}

func (r *rig) tap(t *testing.T, tunnel node.Tunnel) *tap {
	t.Helper()
	l, err := r.client.Listen("127.0.0.1:5999")
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{addr: netip.MustParseAddrPort(l.Addr().String())}
	var all sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	all.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		inner, err := r.client.Dial(netip.Addr{}, tunnel.Addr(), patience)
		if err != nil {
			_ = conn.Close()
			return
		}
		all.Go(func() { p.pass(inner, conn, &p.up) })
		p.pass(conn, inner, &p.down)
	})
	return p
}

func (p *tap) pass(to, from net.Conn, note *bytes.Buffer) {
	_, _ = io.Copy(io.MultiWriter(to, noter{p, note}), from)
	_, _ = to.Close(), from.Close()
}

type noter struct {
	p *tap
	b *bytes.Buffer
}

func (n noter) Write(b []byte) (int, error) {
	n.p.mu.Lock()
	defer n.p.mu.Unlock()
	return n.b.Write(b)
}

// TestTheVMsPasswordStaysInside: nothing of it passes the client, not even encrypted as
// VncAuth does, which eight characters do not survive.
func TestTheVMsPasswordStaysInside(t *testing.T) {
	r := newRig(t, false)
	d := r.locked(t)
	tunnel := r.open(t, d.Addr, entered())
	way := r.tap(t, tunnel)
	login := r.once(tunnel)
	login.Server = way.addr
	xvnc.WantPattern(t, xvnc.Capture(t, r.client.Do, login), d.Size, xvnc.Exact)
	r.journal(t, "session closed")
	way.mu.Lock()
	defer way.mu.Unlock()
	up, down := way.up.Bytes(), way.down.Bytes()
	const version, types = "RFB 003.008\n", "\x01\x02" // VncAuth and nothing else
	if !bytes.HasPrefix(down, []byte(version+types)) || len(down) < 30 || len(up) < 29 {
		t.Fatalf("the client was told %.40q, and said %.40q", down, up)
	}
	challenge, response := down[14:30], up[13:29]
	if !bytes.Equal(response, xvnc.Response(t, tunnel.Password, challenge)) {
		t.Error("the client's response is not that of the password of one use")
	}
	for _, secret := range [][]byte{[]byte(vmPassword[:8]), xvnc.Response(t, vmPassword, challenge)} {
		if bytes.Contains(up, secret) || bytes.Contains(down, secret) {
			t.Errorf("%q passed the client", secret)
		}
	}
}

// TestSecretsAreNeitherLoggedNorStored, whatever becomes of a ticket.
func TestSecretsAreNeitherLoggedNorStored(t *testing.T) {
	r := newRig(t, false)
	d := r.locked(t)
	more := map[string]any{"vm_user": "user-of-the-vm", "vm_password": vmPassword, "user": "ada"}
	unused := r.ticket(t, d.Addr, more)
	used := r.ticket(t, d.Addr, more)
	tunnel := r.request(t, node.OpenRequest{Ticket: used})
	xvnc.Capture(t, r.client.Do, r.once(tunnel))
	asked := r.request(t, node.OpenRequest{VMAddress: d.Addr.Addr().String(), VMPort: int(d.Addr.Port()), VMPassword: vmPassword})
	if err := r.handshake(t, asked, "wrong"); err == nil {
		t.Error("a wrong password was taken")
	}
	r.journal(t, asked.ID, "reason=not_admitted")
	wrong := r.open(t, d.Addr, map[string]any{"vm_password": "N0t-the-password"})
	if err := r.handshake(t, wrong, wrong.Password); err == nil {
		t.Error("let in although the VM did not let the gateway in")
	}
	r.journal(t, wrong.ID, "reason=vm_unreachable")
	for _, secret := range []string{
		vmPassword[:8], "N0t-the-password", "user-of-the-vm", unused, used,
		tunnel.Token, tunnel.Password, asked.Password, wrong.Password,
	} {
		r.keepsNothingOf(t, secret)
	}
	r.node.Kill()
	r.keepsNothingOf(t, vmPassword[:8])
	r.start(t)
	xvnc.Capture(t, r.client.Do, r.once(r.request(t, node.OpenRequest{Ticket: unused})))
}

// keepsNothingOf looks into the log and into every file beside the database.
func (r *rig) keepsNothingOf(t *testing.T, secret string) {
	t.Helper()
	if strings.Contains(r.node.Log(), secret) {
		t.Errorf("%q is in the log", secret)
	}
	files := 0
	err := filepath.WalkDir(filepath.Dir(r.cfg.DB), func(path string, _ os.DirEntry, err error) error {
		text, readErr := os.ReadFile(path)
		if err == nil && readErr == nil {
			files++
		}
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("%q is in %s", secret, filepath.Base(path))
		}
		return nil
	})
	if err != nil || files < 2 {
		t.Errorf("looked into %d files beside the database, %v", files, err)
	}
}

// TestWhoIsNotLetIn: the VM's own password, wrong ones, and right ones that were used.
func TestWhoIsNotLetIn(t *testing.T) {
	r := newRig(t, false)
	d := r.locked(t)
	for _, password := range []string{vmPassword, "wrong", ""} {
		login := r.once(r.open(t, d.Addr, entered()))
		login.Password = password
		if _, said, err := xvnc.TryCapture(t, r.client.Do, login); err == nil {
			t.Errorf("gvnccapture is let in by %q: %s", password, said)
		}
	}
	tunnel := r.open(t, d.Addr, entered())
	xvnc.Capture(t, r.client.Do, r.once(tunnel))
	r.journal(t, tunnel.ID, "session closed")
	err := r.handshake(t, tunnel, tunnel.Password)
	if err == nil || !strings.Contains(err.Error(), "open the connection again") {
		t.Errorf("the same password again: got %v, want to hear what to do", err)
	}
	r.journal(t, tunnel.ID, "reason=not_admitted", "open the connection again")
	screen := xvnc.StartScreen(t, r.client.Do)
	guessed := r.open(t, d.Addr, entered())
	login := r.once(guessed)
	login.Password = vmPassword[:8]
	screen.View(t, login)
	r.journal(t, guessed.ID, "the viewer was not admitted", "reason=not_admitted", "wrong password")
	if screen.Shows(t, d.Size, xvnc.Exact) {
		t.Error("the viewer shows the desktop to who knows the VM's password alone")
	}
}
