package rfb

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"testing"

	"vdi-gateway/tests/xvnc"
)

// A viewer that cannot do the first sub-type of VeNCrypt takes the second, and no other.
func TestAcceptWithTwoSubTypes(t *testing.T) {
	ca := xvnc.NewAuthority(t, "the gateway's authority")
	roots := x509.NewCertPool()
	roots.AddCert(ca.Cert)
	trusting := &tls.Config{RootCAs: roots, ServerName: "gateway.example", MinVersion: tls.VersionTLS12}
	terms := Terms{
		Type: X509Plain, Also: X509Vnc, Password: "secret12", Check: checkLogin,
		Certificate: serverOf(ca.Valid(t, "gateway.example")),
	}
	sub := func(t Type) string { return fmt.Sprintf("\x00\x00\x01%c", byte(t)) }
	choosing := func(chosen string, then ...string) script {
		offer := "<\x02" + sub(X509Plain) + sub(X509Vnc)
		return append(script{"<" + v38, ">" + v38, "<\x01\x13", ">\x13", "<\x00\x02", ">\x00\x02", "<\x00", offer, ">" + chosen}, then...)
	}
	in := func(then ...string) []string { return append([]string{"<\x01", "T"}, then...) }
	alice := ">\x00\x00\x00\x05\x00\x00\x00\x0falicea long password"
	for name, tc := range map[string]struct {
		say  script
		want Type // invalid: it is sent away
	}{
		"the first":  {choosing(sub(X509Plain), in(alice, "<"+ok, ">"+initFlag)...), X509Plain},
		"the second": {choosing(sub(X509Vnc), in("?secret12", "<"+ok, ">"+initFlag)...), X509Vnc},
		"X509None":   {choosing(sub(X509None)), invalid},
		"VncAuth":    {choosing("\x00\x00\x00\x02"), invalid},
	} {
		t.Run(name, func(t *testing.T) {
			stream, report, err := Accept(context.Background(), act(t, stage{step: 1000, client: trusting, socket: true}, tc.say), terms)
			if tc.want == invalid {
				wantError(t, err, Client, Protocol, "and X509Plain, X509Vnc was offered")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if report.Type != tc.want {
				t.Errorf("got %s, want %s", report.Type, tc.want)
			}
			if err := expect(stream, initFlag); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTermsWithTwoTypes(t *testing.T) {
	cert := func() *tls.Config { return nil }
	for name, terms := range map[string]Terms{
		"not encrypted":          {Type: VncAuth, Also: X509Vnc, Password: "secret12", Certificate: cert},
		"None beside it":         {Type: X509Vnc, Also: None, Password: "secret12", Certificate: cert},
		"without a password":     {Type: X509Plain, Also: X509Vnc, Check: checkLogin, Certificate: cert},
		"nobody checks the user": {Type: X509Vnc, Also: X509Plain, Password: "secret12", Certificate: cert},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Accept(context.Background(), act(t, stage{step: 1000}, nil), terms)
			wantError(t, err, Gateway, Misconfigured, "")
		})
	}
}
