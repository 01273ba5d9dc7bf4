package rfb

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"vdi-gateway/tests/xvnc"
)

func parsed(t *testing.T, certs ...tls.Certificate) []*x509.Certificate {
	t.Helper()
	var all []*x509.Certificate
	for _, c := range certs {
		cert, err := x509.ParseCertificate(c.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, cert)
	}
	return all
}

func TestTrust(t *testing.T) {
	ca, other := xvnc.NewAuthority(t, "ours"), xvnc.NewAuthority(t, "theirs")
	good := ca.Valid(t, "vm17.example", "10.0.0.17", "2001:db8::17")
	stale := ca.Sign(t, time.Now().Add(-time.Minute), "vm17.example")
	stranger := other.Valid(t, "vm17.example")
	colons := func(c tls.Certificate) string {
		var b strings.Builder
		for i, r := range strings.ToUpper(xvnc.SHA256(c)) {
			if i > 0 && i%2 == 0 {
				b.WriteByte(':')
			}
			b.WriteRune(r)
		}
		return b.String()
	}
	for _, tc := range []struct {
		name  string
		trust *Trust
		host  string
		shown tls.Certificate
		text  string // of the error; "": none
	}{
		{"signed, by name", &Trust{CA: ca.PEM}, "vm17.example", good, ""},
		{"signed, by address", &Trust{CA: ca.PEM}, "10.0.0.17", good, ""},
		{"signed, by address of version 6", &Trust{CA: ca.PEM}, "2001:db8::17", good, ""},
		{"two authorities", &Trust{CA: other.PEM + "\n" + ca.PEM + "\n"}, "10.0.0.17", good, ""},
		{"the name of the ticket counts", &Trust{CA: ca.PEM, ServerName: "vm17.example"}, "10.9.9.9", good, ""},
		{"the host does not, then", &Trust{CA: ca.PEM, ServerName: "vm18.example"}, "vm17.example", good, "expected a certificate for vm18.example"},
		{"another host", &Trust{CA: ca.PEM}, "10.0.0.18", good, `expected a certificate for 10.0.0.18, got one of "CN=a VM" for "vm17.example, 10.0.0.17, 2001:db8::17", signed by "CN=ours"`},
		{"no host known", &Trust{CA: ca.PEM}, "", good, "expected a certificate for"},
		{"another authority", &Trust{CA: ca.PEM}, "vm17.example", stranger, "expected a certificate from CN=ours, got one of \"CN=a VM\" for \"vm17.example\", signed by \"CN=theirs\""},
		{"out of date", &Trust{CA: ca.PEM}, "vm17.example", stale, "expired"},
		{"the system's authorities", nil, "vm17.example", good, "expected a certificate from an authority the system trusts"},
		{"the system's, asked for", &Trust{}, "vm17.example", good, "expected a certificate from an authority the system trusts"},
		{"pinned", &Trust{SHA256: xvnc.SHA256(good)}, "", good, ""},
		{"pinned, written with colons", &Trust{SHA256: colons(good)}, "", good, ""},
		{"pinned, whoever signed it and when", &Trust{SHA256: xvnc.SHA256(stale)}, "", stale, ""},
		{"pinned, another", &Trust{SHA256: xvnc.SHA256(good)}, "", stale, "expected the certificate with sha256 " + xvnc.SHA256(good) + ", got " + xvnc.SHA256(stale)},
		{"pinned and signed", &Trust{SHA256: xvnc.SHA256(good), CA: ca.PEM}, "vm17.example", good, ""},
		{"pinned, and signed by another", &Trust{SHA256: xvnc.SHA256(stranger), CA: ca.PEM}, "vm17.example", stranger, "expected a certificate from CN=ours"},
		{"pinned, and for another", &Trust{SHA256: xvnc.SHA256(good), CA: ca.PEM, ServerName: "vm18.example"}, "", good, "expected a certificate for vm18.example"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v, err := tc.trust.parse(tc.host)
			if err != nil {
				t.Fatal(err)
			}
			err = v.check(parsed(t, tc.shown), time.Now())
			if tc.text != "" {
				wantError(t, err, VM, CertificateRejected, tc.text)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTrustFollowsIntermediates(t *testing.T) {
	root := xvnc.NewAuthority(t, "root")
	middle := xvnc.NewAuthority(t, "middle")
	template := *middle.Cert
	der, err := x509.CreateCertificate(nil, &template, root.Cert, middle.Key.Public(), root.Key)
	if err != nil {
		t.Fatal(err)
	}
	leaf := middle.Valid(t, "vm17.example")
	v, err := (&Trust{CA: root.PEM}).parse("vm17.example")
	if err != nil {
		t.Fatal(err)
	}
	if err := v.check(parsed(t, leaf, tls.Certificate{Certificate: [][]byte{der}}), time.Now()); err != nil {
		t.Error(err)
	}
	wantError(t, v.check(parsed(t, leaf), time.Now()), VM, CertificateRejected, "signed by \"CN=middle\"")
	wantError(t, v.check(nil, time.Now()), VM, CertificateRejected, "got none")
}

func TestLongNamesAreCut(t *testing.T) {
	ca := xvnc.NewAuthority(t, strings.Repeat("x", 10000))
	v, err := (&Trust{CA: xvnc.NewAuthority(t, "ours").PEM}).parse("vm17.example")
	if err != nil {
		t.Fatal(err)
	}
	err = v.check(parsed(t, ca.Valid(t, strings.Repeat("y", 10000))), time.Now())
	wantError(t, err, VM, CertificateRejected, "xxx...")
	if n := len(err.Error()); n > 2000 {
		t.Errorf("an error of %d bytes", n)
	}
}

func TestTrustIsChecked(t *testing.T) {
	ca := xvnc.NewAuthority(t, "ours")
	for _, tc := range []struct {
		name  string
		trust Trust
		text  string // of the error; "": none
	}{
		{"nothing", Trust{}, ""},
		{"all", Trust{CA: ca.PEM, ServerName: "x", SHA256: strings.Repeat("ab", 32)}, ""},
		{"no hexadecimal digits", Trust{SHA256: strings.Repeat("xy", 32)}, "64 hexadecimal digits"},
		{"a sha1", Trust{SHA256: strings.Repeat("ab", 20)}, "64 hexadecimal digits"},
		{"something after the PEM", Trust{CA: ca.PEM + "more"}, "ca_pem: certificate 2 is no certificate in PEM"},
		{"a key", Trust{CA: xvnc.EncodePEM("PRIVATE KEY", []byte("x"))}, "ca_pem: certificate 1 is no certificate in PEM"},
		{"spaces", Trust{CA: " \n"}, "ca_pem: no certificate"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := tc.trust.Check()
			if tc.text != "" {
				wantError(t, err, Gateway, Misconfigured, tc.text)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}
