package rfb

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"

	"vdi-gateway/tests/xvnc"
)

// viewerInTLS chooses VeNCrypt and the sub-type, and goes on in TLS.
func viewerInTLS(version string, t Type, then ...string) script {
	sub := fmt.Sprintf("\x00\x00\x01%c", byte(t))
	return append(script{"<" + v38, ">" + version, "<\x01\x13", ">\x13", "<\x00\x02", ">\x00\x02", "<\x00", "<\x01" + sub, ">" + sub, "<\x01", "T"}, then...)
}

func TestAcceptWithTLS(t *testing.T) {
	ca := xvnc.NewAuthority(t, "the gateway's authority")
	roots := x509.NewCertPool()
	roots.AddCert(ca.Cert)
	trusting := &tls.Config{RootCAs: roots, ServerName: "gateway.example", MinVersion: tls.VersionTLS12}
	cert := serverOf(ca.Valid(t, "gateway.example"))
	alice := ">\x00\x00\x00\x05\x00\x00\x00\x0falicea long password"
	for _, tc := range []struct {
		name  string
		terms Terms
		say   []string // after TLS
		user  string
	}{
		{"X509None", Terms{Type: X509None}, []string{"<" + ok, ">" + initFlag}, ""},
		{"X509Vnc", Terms{Type: X509Vnc, Password: "secret12"}, []string{"?secret12", "<" + ok, ">" + initFlag}, ""},
		{"X509Plain", Terms{Type: X509Plain, Check: checkLogin}, []string{alice, "<" + ok, ">" + initFlag}, "alice"},
		{"X509Plain and ClientInit at once", Terms{Type: X509Plain, Check: checkLogin}, []string{alice + initFlag, "<" + ok}, "alice"},
	} {
		for _, version := range []string{v37, v38} {
			for _, step := range []int{1, 1000} {
				t.Run(fmt.Sprintf("%s in %.11s, by %d", tc.name, version, step), func(t *testing.T) {
					say := viewerInTLS(version, tc.terms.Type, tc.say...)
					play := stage{step: step, client: trusting, socket: true}
					tc.terms.Certificate = cert
					stream, report, err := Accept(context.Background(), act(t, play, say), tc.terms)
					if err != nil {
						t.Fatal(err)
					}
					if _, encrypted := stream.(*tls.Conn); !encrypted || report.Type != tc.terms.Type || report.User != tc.user {
						t.Errorf("got %T, %+v, want %s by %q", stream, report, tc.terms.Type, tc.user)
					}
					if err := expect(stream, initFlag); err != nil {
						t.Errorf("after the handshake: %v", err)
					}
				})
			}
		}
	}
}

func TestAcceptWithTLSFails(t *testing.T) {
	ca, other := xvnc.NewAuthority(t, "the gateway's authority"), xvnc.NewAuthority(t, "another authority")
	roots := func(a xvnc.Authority) *tls.Config {
		pool := x509.NewCertPool()
		pool.AddCert(a.Cert)
		return &tls.Config{RootCAs: pool, ServerName: "gateway.example", MinVersion: tls.VersionTLS12}
	}
	cert := serverOf(ca.Valid(t, "gateway.example"))
	plainTerms := Terms{Type: X509Plain, Check: checkLogin, Certificate: cert}
	end := "<" + failed + "\x00\x00\x00\x15Authentication failed"
	for _, tc := range []struct {
		name  string
		terms Terms
		trust xvnc.Authority
		say   []string
		kind  Kind
		text  string
	}{
		{"wrong password", Terms{Type: X509Vnc, Password: "secret12", Certificate: cert}, ca, []string{"?secret13", end, "."}, AuthFailed, "wrong password"},
		{"wrong user", plainTerms, ca, []string{">\x00\x00\x00\x03\x00\x00\x00\x06bobsecret", end, "."}, AuthFailed, "wrong user or password: not alice"},
		{"no user, no password", plainTerms, ca, []string{">\x00\x00\x00\x00\x00\x00\x00\x00", end, "."}, AuthFailed, "not alice"},
		{"as long as permitted", plainTerms, ca, []string{">\x00\x00\x04\x00\x00\x00\x04\x00" + strings.Repeat("x", 2048), end, "."}, AuthFailed, "not alice"},
		{"a long user", plainTerms, ca, []string{">\x00\x00\x04\x01\x00\x00\x00\x00"}, Protocol, "a user of 1025 bytes with a password of 0"},
		{"a password of 4 GB", plainTerms, ca, []string{">\x00\x00\x00\x01\xff\xff\xff\xff"}, Protocol, "with a password of 4294967295"},
		{"it leaves", plainTerms, ca, []string{">\x00\x00\x00"}, Closed, "user and password"},
		{"it does not trust us", plainTerms, other, nil, CertificateRejected, "does not accept the certificate of the gateway"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			near, far := sockets(t)
			done := make(chan error, 1)
			go func() {
				_, err := stage{step: 1000, client: roots(tc.trust)}.perform(far, viewerInTLS(v38, tc.terms.Type, tc.say...))
				_ = far.Close()
				done <- err
			}()
			_, _, err := Accept(context.Background(), near, tc.terms)
			wantError(t, err, Client, tc.kind, tc.text)
			unknown := (*tls.CertificateVerificationError)(nil)
			if err := <-done; err != nil && !errors.As(err, &unknown) {
				t.Errorf("the other side: %v", err)
			}
		})
	}
}
