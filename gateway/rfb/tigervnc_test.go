package rfb

import (
	"context"
	"net"
	"os"
	"os/user"
	"testing"

	"vdi-gateway/gateway/rfb/desktop"
	"vdi-gateway/tests/xvnc"
)

// startXtigervnc runs TigerVNC's server with the arguments and returns its address.
func startXtigervnc(t *testing.T, args ...string) string {
	t.Helper()
	addr := freePort(t)
	_, port, _ := net.SplitHostPort(addr)
	xvnc.StartX(t, xvnc.Here, "Xtigervnc", append([]string{
		"-rfbport", port, "-localhost", "-geometry", "400x300",
		"-depth", "24", "-br", "-desktop", "a real server",
	}, args...)...)
	return addr
}

// look goes on from ClientInit and checks that pictures come.
func look(t *testing.T, vm net.Conn, name string) {
	t.Helper()
	near, far := net.Pipe()
	done := make(chan error, 1)
	go func() {
		client, _, err := Accept(context.Background(), far, Terms{Type: None})
		if err == nil {
			relay(client, vm)
		}
		done <- err
	}()
	v, err := desktop.NewViewer(near)
	if err != nil {
		_ = vm.Close()
		t.Fatalf("after the handshake: %v, %v", err, <-done)
	}
	if _, err := v.Update(false); err != nil || v.Name() != name {
		t.Errorf("got a desktop named %q and %v, want %q", v.Name(), err, name)
	}
	_ = v.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func connect(t *testing.T, addr string, cfg Config) (net.Conn, Report, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return Dial(ctx, dialer(addr), cfg)
}

func TestXtigervncLetsUsIn(t *testing.T) {
	ca := xvnc.NewAuthority(t, "the VMs' authority")
	cert := ca.Valid(t, "127.0.0.1", "vm17.example")
	certificate := xvnc.Certificate(ca.Store(t, cert))
	password := xvnc.Password(t, "secret12")
	trust := &Trust{CA: ca.PEM}
	for _, tc := range []struct {
		name string
		args []string
		cfg  Config
		want Type
	}{
		{"None", []string{"-SecurityTypes", "None"}, Config{}, None},
		{"None, although there is a password", []string{"-SecurityTypes", "None"}, Config{Password: "secret12"}, None},
		{"VncAuth", append(password, "-SecurityTypes", "VncAuth"), Config{Password: "secret12"}, VncAuth},
		{"VncAuth looks at 8 bytes", append(password, "-SecurityTypes", "VncAuth"), Config{Password: "secret12345"}, VncAuth},
		{"VncAuth before None", append(password, "-SecurityTypes", "None,VncAuth"), Config{Password: "secret12"}, VncAuth},
		{"X509None", append(certificate, "-SecurityTypes", "X509None"), Config{Trust: trust}, X509None},
		{"X509None before VncAuth", append(certificate, "-SecurityTypes", "VncAuth,X509None"), Config{Password: "x", Trust: trust}, X509None},
		{"X509Vnc", append(append(password, certificate...), "-SecurityTypes", "X509Vnc"), Config{Password: "secret12", Trust: trust}, X509Vnc},
		{"X509Vnc before the others", append(append(password, certificate...), "-SecurityTypes", "None,VncAuth,X509None,TLSVnc,X509Vnc"), Config{Password: "secret12", Trust: trust}, X509Vnc},
		{"by another name", append(certificate, "-SecurityTypes", "X509None"), Config{Trust: &Trust{CA: ca.PEM, ServerName: "vm17.example"}}, X509None},
		{"by its sha256", append(certificate, "-SecurityTypes", "X509None"), Config{Trust: &Trust{SHA256: xvnc.SHA256(cert)}}, X509None},
		{"its default, without TLS on the second connection", password, Config{Password: "secret12"}, VncAuth},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vm, report, err := connect(t, startXtigervnc(t, tc.args...), tc.cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = vm.Close() }()
			if report.Type != tc.want || report.Version != V38 {
				t.Errorf("got %s in %s, want %s in 3.8", report.Type, report.Version, tc.want)
			}
			if got := report.Certificate == xvnc.SHA256(cert); got != tc.want.Encrypted() {
				t.Errorf("reported the certificate %q, want it with TLS only", report.Certificate)
			}
			look(t, vm, "a real server")
		})
	}
}

// TestXtigervncSpeaks33 as badly behaved clients need it. It tells the first of its types.
func TestXtigervncSpeaks33(t *testing.T) {
	for _, tc := range []struct {
		types string
		want  Type
	}{{"None", None}, {"VncAuth", VncAuth}} {
		addr := startXtigervnc(t, append(xvnc.Password(t, "secret12"), "-Protocol3.3", "-SecurityTypes", tc.types)...)
		vm, report, err := connect(t, addr, Config{Password: "secret12"})
		if err != nil {
			t.Fatal(err)
		}
		if want := (Report{Version: V33, Type: tc.want}); report != want {
			t.Errorf("got %+v, want %+v", report, want)
		}
		look(t, vm, "a real server")
		_ = vm.Close()
		_, _, err = connect(t, addr, Config{Password: "secret12", Trust: &Trust{}})
		wantError(t, err, VM, NoCommonType, "vm_tls is given")
	}
}

func TestXtigervncDoesNotLetUsIn(t *testing.T) {
	ca, other := xvnc.NewAuthority(t, "the VMs' authority"), xvnc.NewAuthority(t, "another authority")
	certificate := xvnc.Certificate(ca.Store(t, ca.Valid(t, "127.0.0.1")))
	password := xvnc.Password(t, "secret12")
	trust := &Trust{CA: ca.PEM}
	for _, tc := range []struct {
		name string
		args []string
		cfg  Config
		kind Kind
		text string
	}{
		{"wrong password", append(password, "-SecurityTypes", "VncAuth"), Config{Password: "secret13"}, AuthFailed, `"Authentication failure`},
		{"wrong password in TLS", append(append(password, certificate...), "-SecurityTypes", "X509Vnc"), Config{Password: "x", Trust: trust}, AuthFailed, "rejects X509Vnc"},
		{"no password", append(password, "-SecurityTypes", "VncAuth"), Config{}, NoCommonType, "it offers VncAuth: it wants a password, and none is given"},
		{"no password in TLS", append(append(password, certificate...), "-SecurityTypes", "X509Vnc"), Config{Trust: trust}, NoCommonType, "VeNCrypt with X509Vnc: it wants a password"},
		{"no TLS although that is a must", append(password, "-SecurityTypes", "VncAuth,None"), Config{Password: "secret12", Trust: trust}, NoCommonType, "only VeNCrypt with a certificate will do"},
		{"anonymous TLS although a certificate is a must", append(password, "-SecurityTypes", "TLSVnc,VncAuth"), Config{Password: "secret12", Trust: trust}, NoCommonType, "anonymous Diffie-Hellman"},
		{"anonymous TLS and nothing else", append(password, "-SecurityTypes", "TLSNone,TLSVnc"), Config{Password: "secret12"}, NoCommonType, "SecurityTypes X509Vnc with X509Cert and X509Key"},
		{"Plain without TLS", []string{"-SecurityTypes", "Plain"}, Config{User: "u", Password: "p"}, NoCommonType, "unprotected"},
		{"another authority", append(certificate, "-SecurityTypes", "X509None"), Config{Trust: &Trust{CA: other.PEM}}, CertificateRejected, `expected a certificate from CN=another authority, got one of "CN=a VM" for "127.0.0.1", signed by "CN=the VMs' authority"`},
		{"an authority the system does not know", append(certificate, "-SecurityTypes", "X509None"), Config{}, CertificateRejected, "an authority the system trusts"},
		{"another host", append(certificate, "-SecurityTypes", "X509None"), Config{Host: "vm18.example", Trust: trust}, CertificateRejected, "expected a certificate for vm18.example, got one of"},
		{"another sha256", append(certificate, "-SecurityTypes", "X509None"), Config{Trust: &Trust{SHA256: xvnc.SHA256(other.Valid(t))}}, CertificateRejected, "expected the certificate with sha256"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := connect(t, startXtigervnc(t, tc.args...), tc.cfg)
			wantError(t, err, VM, tc.kind, tc.text)
		})
	}
}

func TestXtigervncHasEnoughOfUs(t *testing.T) {
	addr := startXtigervnc(t, append(xvnc.Password(t, "secret12"), "-SecurityTypes", "VncAuth", "-BlacklistThreshold", "2")...)
	for range 2 {
		_, _, err := connect(t, addr, Config{Password: "wrong"})
		wantError(t, err, VM, AuthFailed, "it rejects VncAuth")
	}
	_, _, err := connect(t, addr, Config{Password: "secret12"})
	wantError(t, err, VM, Refused, `it refuses: "Too many security failures"`)
}

// TestXtigervncAsksPAM: TigerVNC gives user and password to PAM. A service that lets the
// superuser in without looking at the password is all a test can rely on.
func TestXtigervncAsksPAM(t *testing.T) {
	if _, err := os.Stat("/etc/pam.d/su"); err != nil || os.Getuid() != 0 {
		t.Skip("needs PAM's service su, and to be root, for a user whose password need not be known")
	}
	ca := xvnc.NewAuthority(t, "the VMs' authority")
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	addr := startXtigervnc(t, append(xvnc.Certificate(ca.Store(t, ca.Valid(t, "127.0.0.1"))),
		"-SecurityTypes", "X509Plain,X509None", "-PlainUsers", me.Username, "-PAMService", "su")...)
	cfg := Config{User: me.Username, Password: "any", Trust: &Trust{CA: ca.PEM}}
	vm, report, err := connect(t, addr, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = vm.Close() }()
	if report.Type != X509Plain {
		t.Errorf("got %s, want X509Plain", report.Type)
	}
	look(t, vm, "a real server")
	cfg.User = "nobody"
	_, _, err = connect(t, addr, cfg)
	wantError(t, err, VM, AuthFailed, "it rejects X509Plain")
}
