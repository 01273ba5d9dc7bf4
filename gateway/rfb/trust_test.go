package rfb

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"
	"time"
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
	ca, other := newAuthority(t, "ours"), newAuthority(t, "theirs")
	good := ca.valid(t, "vm17.example", "10.0.0.17", "2001:db8::17")
	stale := ca.sign(t, time.Now().Add(-time.Minute), "vm17.example")
	stranger := other.valid(t, "vm17.example")
	colons := func(c tls.Certificate) string {
		var b strings.Builder
		for i, r := range strings.ToUpper(sha256Of(c)) {
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
		{"signed, by name", &Trust{CA: ca.pem}, "vm17.example", good, ""},
		{"signed, by address", &Trust{CA: ca.pem}, "10.0.0.17", good, ""},
		{"signed, by address of version 6", &Trust{CA: ca.pem}, "2001:db8::17", good, ""},
		{"two authorities", &Trust{CA: other.pem + "\n" + ca.pem + "\n"}, "10.0.0.17", good, ""},
		{"the name of the ticket counts", &Trust{CA: ca.pem, ServerName: "vm17.example"}, "10.9.9.9", good, ""},
		{"the host does not, then", &Trust{CA: ca.pem, ServerName: "vm18.example"}, "vm17.example", good, "expected a certificate for vm18.example"},
		{"another host", &Trust{CA: ca.pem}, "10.0.0.18", good, `expected a certificate for 10.0.0.18, got one of "CN=a VM" for "vm17.example, 10.0.0.17, 2001:db8::17", signed by "CN=ours"`},
		{"no host known", &Trust{CA: ca.pem}, "", good, "expected a certificate for"},
		{"another authority", &Trust{CA: ca.pem}, "vm17.example", stranger, "expected a certificate from CN=ours, got one of \"CN=a VM\" for \"vm17.example\", signed by \"CN=theirs\""},
		{"out of date", &Trust{CA: ca.pem}, "vm17.example", stale, "expired"},
		{"the system's authorities", nil, "vm17.example", good, "expected a certificate from an authority the system trusts"},
		{"the system's, asked for", &Trust{}, "vm17.example", good, "expected a certificate from an authority the system trusts"},
		{"pinned", &Trust{SHA256: sha256Of(good)}, "", good, ""},
		{"pinned, written with colons", &Trust{SHA256: colons(good)}, "", good, ""},
		{"pinned, whoever signed it and when", &Trust{SHA256: sha256Of(stale)}, "", stale, ""},
		{"pinned, another", &Trust{SHA256: sha256Of(good)}, "", stale, "expected the certificate with sha256 " + sha256Of(good) + ", got " + sha256Of(stale)},
		{"pinned and signed", &Trust{SHA256: sha256Of(good), CA: ca.pem}, "vm17.example", good, ""},
		{"pinned, and signed by another", &Trust{SHA256: sha256Of(stranger), CA: ca.pem}, "vm17.example", stranger, "expected a certificate from CN=ours"},
		{"pinned, and for another", &Trust{SHA256: sha256Of(good), CA: ca.pem, ServerName: "vm18.example"}, "", good, "expected a certificate for vm18.example"},
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
	root := newAuthority(t, "root")
	middle := newAuthority(t, "middle")
	template := *middle.cert
	der, err := x509.CreateCertificate(nil, &template, root.cert, middle.key.Public(), root.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf := middle.valid(t, "vm17.example")
	v, err := (&Trust{CA: root.pem}).parse("vm17.example")
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
	ca := newAuthority(t, strings.Repeat("x", 10000))
	v, err := (&Trust{CA: newAuthority(t, "ours").pem}).parse("vm17.example")
	if err != nil {
		t.Fatal(err)
	}
	err = v.check(parsed(t, ca.valid(t, strings.Repeat("y", 10000))), time.Now())
	wantError(t, err, VM, CertificateRejected, "xxx...")
	if n := len(err.Error()); n > 2000 {
		t.Errorf("an error of %d bytes", n)
	}
}

func TestTrustIsChecked(t *testing.T) {
	ca := newAuthority(t, "ours")
	for _, tc := range []struct {
		name  string
		trust Trust
		text  string // of the error; "": none
	}{
		{"nothing", Trust{}, ""},
		{"all", Trust{CA: ca.pem, ServerName: "x", SHA256: strings.Repeat("ab", 32)}, ""},
		{"no hexadecimal digits", Trust{SHA256: strings.Repeat("xy", 32)}, "64 hexadecimal digits"},
		{"a sha1", Trust{SHA256: strings.Repeat("ab", 20)}, "64 hexadecimal digits"},
		{"something after the PEM", Trust{CA: ca.pem + "more"}, "ca_pem: certificate 2 is no certificate in PEM"},
		{"a key", Trust{CA: encodePEM("PRIVATE KEY", []byte("x"))}, "ca_pem: certificate 1 is no certificate in PEM"},
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
