package rfb

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Trust says which certificate a VM has to show (the vm_tls of a ticket). Where one is
// given, a VM without a certificate is refused, whatever it offers. The zero value asks for
// one that the system trusts, for the VM's own address.
type Trust struct {
	CA         string // PEM: who signs; "": the system's authorities
	ServerName string // DNS name or address in the certificate; "": Config.Host
	// SHA256 is that of the VM's certificate in DER, in hex, colons permitted. Where it is
	// given alone, nothing else of the certificate matters, its dates included.
	SHA256 string
}

// Check says what is wrong with t.
func (t *Trust) Check() error {
	_, err := t.parse("")
	return err
}

// verifier is a Trust made ready.
type verifier struct {
	roots *x509.CertPool // nil: the system's
	pin   []byte         // nil: any
	chain bool           // look at who signed, dates and name
	name  string
	ca    string // the authorities, for errors
}

func (t *Trust) parse(host string) (verifier, error) {
	v := verifier{chain: true, name: host, ca: "an authority the system trusts"}
	if t == nil {
		return v, nil
	}
	if t.ServerName != "" {
		v.name = t.ServerName
	}
	if t.SHA256 != "" {
		pin, err := hex.DecodeString(strings.ReplaceAll(t.SHA256, ":", ""))
		if err != nil || len(pin) != sha256.Size {
			return v, misconfigured("sha256 of the certificate: got %q, want 64 hexadecimal digits", clip(t.SHA256))
		}
		v.pin, v.chain = pin, t.CA != "" || t.ServerName != ""
	}
	if t.CA == "" {
		return v, nil
	}
	return v, v.parseCA([]byte(t.CA))
}

// parseCA reads certificates in PEM. All of the text must be: one that is left out by a
// slip would be missed only when a VM is refused.
func (v *verifier) parseCA(text []byte) error {
	v.roots = x509.NewCertPool()
	var names []string
	for len(strings.TrimSpace(string(text))) > 0 {
		block, rest := pem.Decode(text)
		if block == nil || block.Type != "CERTIFICATE" {
			return misconfigured("ca_pem: certificate %d is no certificate in PEM", len(names)+1)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return &Error{Side: Gateway, Kind: Misconfigured, Text: fmt.Sprintf("ca_pem: certificate %d", len(names)+1), Err: err}
		}
		v.roots.AddCert(cert)
		names = append(names, clip(cert.Subject.String()))
		text = rest
	}
	if len(names) == 0 {
		return misconfigured("ca_pem: no certificate")
	}
	v.ca = strings.Join(names[:min(len(names), maxNamed)], " or ")
	return nil
}

// check judges what a VM has shown at the given time.
func (v verifier) check(shown []*x509.Certificate, now time.Time) error {
	if len(shown) == 0 {
		return failure(VM, CertificateRejected, "expected a certificate, got none")
	}
	leaf := shown[0]
	if got := sha256.Sum256(leaf.Raw); v.pin != nil && subtle.ConstantTimeCompare(got[:], v.pin) != 1 {
		return failure(VM, CertificateRejected, "expected the certificate with sha256 %x, got %x (%s)", v.pin, got, describe(leaf))
	}
	if !v.chain {
		return nil
	}
	opts := x509.VerifyOptions{Roots: v.roots, Intermediates: x509.NewCertPool(), CurrentTime: now}
	for _, c := range shown[1:] {
		opts.Intermediates.AddCert(c)
	}
	if _, err := leaf.Verify(opts); err != nil {
		return rejected(err, "expected a certificate from %s, got %s", v.ca, describe(leaf))
	}
	if err := leaf.VerifyHostname(v.name); err != nil {
		return rejected(err, "expected a certificate for %s, got %s", v.name, describe(leaf))
	}
	return nil
}

func rejected(cause error, format string, args ...any) *Error {
	e := failure(VM, CertificateRejected, format, args...)
	e.Err = cause
	return e
}

// describe tells certificates apart, for errors.
func describe(c *x509.Certificate) string {
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	valid := strings.Join(names[:min(len(names), maxNamed)], ", ")
	return fmt.Sprintf("one of %q for %q, signed by %q", clip(c.Subject.String()), clip(valid), clip(c.Issuer.String()))
}

// fingerprint is the sha256 of a certificate, in hex.
func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// clip shortens what the other side may have made long.
func clip(s string) string {
	if len(s) > maxReason {
		return s[:maxReason] + "..."
	}
	return s
}
