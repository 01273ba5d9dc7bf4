package rfb

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"testing"

	"vdi-gateway/tests/xvnc"
)

// veNCryptVM begins a VM of the version with VeNCrypt and the sub-type, up to TLS.
func veNCryptVM(version string, t Type) script {
	sub := fmt.Sprintf("\x00\x00\x01%c", byte(t))
	return script{">" + version, "<" + version, ">\x01\x13", "<\x13", ">\x00\x02", "<\x00\x02", ">\x00", ">\x01" + sub, "<" + sub, ">\x01", "T"}
}

func TestConnectWithTLS(t *testing.T) {
	ca := xvnc.NewAuthority(t, "the VMs' authority")
	cert := ca.Valid(t, "vm17.example")
	for _, tc := range []struct {
		typ  Type
		then script
	}{
		{X509None, script{">" + ok + initText}},
		{X509Vnc, script{">" + challengeText, "<" + responseOfSecret12, ">" + ok + initText}},
		{X509Plain, script{"<\x00\x00\x00\x05\x00\x00\x00\x08alicesecret12", ">" + ok + initText}},
	} {
		for _, version := range []string{v37, v38} {
			for _, step := range []int{1, 1000} {
				t.Run(fmt.Sprintf("%s in %.11s, by %d", tc.typ, version, step), func(t *testing.T) {
					play := stage{step: step, server: quiet(cert)}
					conn := act(t, play, append(veNCryptVM(version, tc.typ), tc.then...))
					stream, report, err := Connect(context.Background(), conn, Config{
						User: "alice", Password: "secret12", Host: "vm17.example", Trust: &Trust{CA: ca.PEM},
					})
					if err != nil {
						t.Fatal(err)
					}
					if _, encrypted := stream.(*tls.Conn); !encrypted || report.Type != tc.typ || report.Certificate != xvnc.SHA256(cert) {
						t.Errorf("got %T, %+v, want %s with the certificate %s", stream, report, tc.typ, xvnc.SHA256(cert))
					}
					if err := expect(stream, initText); err != nil {
						t.Errorf("after the handshake: %v", err)
					}
				})
			}
		}
	}
}

// quiet is a server that says nothing after the handshake: a pipe has no room for it.
func quiet(c tls.Certificate) *tls.Config {
	cfg := serverOf(c)()
	cfg.SessionTicketsDisabled = true
	return cfg
}

func TestConnectWithTLSFails(t *testing.T) {
	ca := xvnc.NewAuthority(t, "the VMs' authority")
	for _, tc := range []struct {
		name string
		typ  Type
		then script
		text string
	}{
		{"X509None", X509None, script{">" + failed + no, "."}, `it rejects X509None: "no"`},
		{"X509Vnc", X509Vnc, script{">" + challengeText, "<" + responseOfSecret12, ">" + failed + no, "."}, `it rejects X509Vnc: "no"`},
		{"X509Plain", X509Plain, script{"<\x00\x00\x00\x05\x00\x00\x00\x08alicesecret12", ">" + tooMany + no, "."}, `it rejects X509Plain after too many attempts: "no"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			near, far := net.Pipe()
			done := make(chan error, 1)
			go func() {
				// The connection ends without TLS's farewell: what was said has been heard.
				_, err := stage{step: 1000, server: quiet(ca.Valid(t, "vm17.example"))}.perform(far, append(veNCryptVM(v38, tc.typ), tc.then[:len(tc.then)-1]...))
				done <- err
			}()
			_, report, err := Connect(context.Background(), near, Config{
				User: "alice", Password: "secret12", Host: "vm17.example", Trust: &Trust{CA: ca.PEM},
			})
			wantError(t, err, VM, AuthFailed, tc.text)
			if report.Type != tc.typ {
				t.Errorf("reported %s, want %s", report.Type, tc.typ)
			}
			if err := <-done; err != nil {
				t.Errorf("the other side: %v", err)
			}
		})
	}
}

func TestConnectFindsNoCommonTLS(t *testing.T) {
	ca := xvnc.NewAuthority(t, "the VMs' authority")
	old := quiet(ca.Valid(t, "vm17.example"))
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	near, far := sockets(t)
	done := make(chan error, 1)
	go func() {
		_, err := stage{step: 1000, server: old}.perform(far, veNCryptVM(v38, X509None))
		done <- err
	}()
	_, _, err := Connect(context.Background(), near, Config{Trust: &Trust{CA: ca.PEM}})
	wantError(t, err, VM, Protocol, "it ends the TLS handshake: remote error: tls: protocol version not supported")
	if err := <-done; err == nil {
		t.Error("the other side went on with TLS 1.1 at most")
	}
}

// TestDialGoesRoundVeNCrypt: what is behind VeNCrypt shows too late to choose another type
// on the same connection.
func TestDialGoesRoundVeNCrypt(t *testing.T) {
	useless := ">\x01\x00\x00\x01\x02" // TLSVnc
	first := script{">" + v38, "<" + v38, ">\x02\x13\x02", "<\x13", ">\x00\x02", "<\x00\x02", ">\x00", useless, "."}
	alone := script{">" + v38, "<" + v38, ">\x01\x13", "<\x13", ">\x00\x02", "<\x00\x02", ">\x00", useless, "."}
	second := script{">" + v38, "<" + v38, ">\x02\x13\x02", "<\x02", ">" + challengeText, "<" + responseOfSecret12, ">" + ok}
	older := script{">" + v38, "<" + v38, ">\x02\x13\x02", "<\x13", ">\x00\x01", "."}
	for _, tc := range []struct {
		name  string
		cfg   Config
		conns []script
		kind  Kind
	}{
		{"to VncAuth", Config{Password: "secret12"}, []script{first, second}, ""},
		{"from VeNCrypt 0.1", Config{Password: "secret12"}, []script{older, second}, ""},
		{"not without a password", Config{}, []script{first}, NoCommonType},
		{"not when there is nothing else", Config{Password: "secret12"}, []script{alone}, NoCommonType},
		{"not when TLS is a must", Config{Password: "secret12", Trust: &Trust{}}, []script{first}, NoCommonType},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dialled := 0
			dial := func(context.Context) (net.Conn, error) {
				dialled++
				return act(t, stage{step: 1000}, tc.conns[dialled-1]), nil
			}
			_, report, err := Dial(context.Background(), dial, tc.cfg)
			if dialled != len(tc.conns) {
				t.Errorf("made %d connections, want %d", dialled, len(tc.conns))
			}
			if tc.kind != "" {
				wantError(t, err, VM, tc.kind, "anonymous")
			} else if err != nil || report.Type != VncAuth {
				t.Errorf("got %s and %v, want VncAuth", report.Type, err)
			}
		})
	}
}
