package rfb

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"vdi-gateway/gateway/rfb/desktop"
	"vdi-gateway/tests/xvnc"
)

// viewerCase is what a real viewer is offered and says, and what becomes of it.
type viewerCase struct {
	name           string
	terms          Terms
	user, password string
	kind           Kind // of the error; "": it is let in
}

func viewerCases(t *testing.T, ca xvnc.Authority) []viewerCase {
	cert := serverOf(ca.Valid(t, "127.0.0.1"))
	return []viewerCase{
		{"None", Terms{Type: None}, "", "", ""},
		{"VncAuth", Terms{Type: VncAuth, Password: "once1234"}, "", "once1234", ""},
		{"VncAuth, wrong", Terms{Type: VncAuth, Password: "once1234"}, "", "twice234", AuthFailed},
		{"X509None", Terms{Type: X509None, Certificate: cert}, "", "", ""},
		{"X509Vnc", Terms{Type: X509Vnc, Password: "once1234", Certificate: cert}, "", "once1234", ""},
		{"X509Vnc, wrong", Terms{Type: X509Vnc, Password: "once1234", Certificate: cert}, "", "twice234", AuthFailed},
		{"X509Plain", Terms{Type: X509Plain, Check: checkLogin, Certificate: cert}, "alice", "a long password", ""},
		{"X509Plain, wrong", Terms{Type: X509Plain, Check: checkLogin, Certificate: cert}, "alice", "another password", AuthFailed},
	}
}

// judge checks what became of the one client of a bridge.
func (tc viewerCase) judge(t *testing.T, b *bridge) {
	t.Helper()
	await(t, "the client was judged", func() bool { in, out := b.seen(); return len(in)+len(out) > 0 })
	in, out := b.seen()
	if tc.kind != "" {
		if len(out) == 0 {
			t.Fatalf("let in as %+v, want it sent away", in[0])
		}
		wantError(t, out[0], Client, tc.kind, "wrong")
		return
	}
	want := Report{Version: V38, Type: tc.terms.Type, User: tc.user}
	if len(in) == 0 || in[0] != want {
		t.Fatalf("got %+v and errors %v, want %+v", in, out, want)
	}
}

func TestXtigervncviewer(t *testing.T) {
	screen := xvnc.StartScreen(t, xvnc.Here)
	ca := xvnc.NewAuthority(t, "the gateway's authority")
	trusted := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(trusted, []byte(ca.PEM), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range viewerCases(t, ca) {
		t.Run(tc.name, func(t *testing.T) {
			b := &bridge{terms: tc.terms}
			startBridge(t, b)
			screen.View(t, xvnc.Login{Server: netip.MustParseAddrPort(b.addr), User: tc.user, Password: tc.password, CA: trusted})
			tc.judge(t, b)
			if tc.kind == "" {
				await(t, "the viewer was sent pictures", func() bool { return b.desk.Stats().Frames > 1 })
			}
		})
	}
}

func TestXtigervncviewerDoesNotTrustUs(t *testing.T) {
	screen := xvnc.StartScreen(t, xvnc.Here)
	ca := xvnc.NewAuthority(t, "an authority nobody knows")
	b := &bridge{terms: Terms{Type: X509Vnc, Limit: time.Second, Password: "once1234", Certificate: serverOf(ca.Valid(t, "127.0.0.1"))}}
	startBridge(t, b)
	// It asks a person, who does not answer here.
	screen.View(t, xvnc.Login{Server: netip.MustParseAddrPort(b.addr), Password: "once1234"})
	await(t, "the client was judged", func() bool { in, out := b.seen(); return len(in)+len(out) > 0 })
	in, out := b.seen()
	if len(in) > 0 {
		t.Fatalf("let in as %+v, want its user to refuse", in)
	}
	wantError(t, out[0], Client, Timeout, "password challenge")
}

// TestXtigervncviewerMayWatch: all it needs to see the picture passes, with its extensions.
func TestXtigervncviewerMayWatch(t *testing.T) {
	screen := xvnc.StartScreen(t, xvnc.Here)
	b := &bridge{terms: Terms{Type: None}, watch: true}
	startBridge(t, b)
	screen.View(t, xvnc.Login{Server: netip.MustParseAddrPort(b.addr)})
	await(t, "the viewer was sent pictures", func() bool { return b.desk.Stats().Frames > 2 })
	b.mu.Lock()
	defer b.mu.Unlock()
	wantHarmless(t, b.heard)
}

func TestWhoWatchesCannotType(t *testing.T) {
	b := &bridge{terms: Terms{Type: None}, watch: true}
	startBridge(t, b)
	conn, err := net.Dial("tcp", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	v, err := desktop.NewViewer(conn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = v.Close() }()
	if err := errors.Join(v.Key('x'), v.Pointer(100, 100, 1), v.Key('y')); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Update(false); err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	wantHarmless(t, b.heard)
}
