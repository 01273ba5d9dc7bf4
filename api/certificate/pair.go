package certificate

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// maxFile bounds a file of certificates or of a key, in bytes: a chain has some
// 10 kB.
const maxFile = 1 << 20

// Pair is a certificate chain with the key of its first certificate.
type Pair struct {
	tls.Certificate
	// From says where it is from, for people: the file, or that it is self-signed.
	From       string
	SelfSigned bool // made by this node
}

// Load reads a pair in PEM form. An error says which file is wrong, in what, and
// what would be right. Whether the certificate is valid at a time, Validity tells.
func Load(certFile, keyFile string) (*Pair, error) {
	chain, err := readChain(certFile)
	if err != nil {
		return nil, err
	}
	key, err := readKey(keyFile)
	if err != nil {
		return nil, err
	}
	if err := fits(chain, key.Public()); err != nil {
		return nil, fmt.Errorf("certificate %s and key %s: %w", certFile, keyFile, err)
	}
	p := &Pair{From: certFile, Certificate: tls.Certificate{PrivateKey: key, Leaf: chain[0]}}
	for _, c := range chain {
		p.Certificate.Certificate = append(p.Certificate.Certificate, c.Raw)
	}
	return p, nil
}

// Validity is the reason why the certificate is not valid now, or nil.
func (p *Pair) Validity(now time.Time) error {
	switch {
	case now.After(p.Leaf.NotAfter):
		return fmt.Errorf("the certificate of %s expired on %s; if that is in the future, the clock of this host is wrong", p.From, day(p.Leaf.NotAfter))
	case now.Before(p.Leaf.NotBefore):
		return fmt.Errorf("the certificate of %s is valid from %s on only; if that is in the past, the clock of this host is wrong", p.From, day(p.Leaf.NotBefore))
	}
	return nil
}

// outlasts tells whether p serves rather than o, which is not valid now: as long as
// p is, or when it ends later.
func (p *Pair) outlasts(o *Pair, now time.Time) bool {
	return p.Validity(now) == nil || o.Leaf.NotAfter.Before(p.Leaf.NotAfter)
}

// Fingerprint is the SHA-256 of the certificate, as browsers and openssl show it.
func (p *Pair) Fingerprint() string { return Fingerprint(p.Leaf.Raw) }

// Fingerprint is the SHA-256 of a certificate in DER form, in the form AB:CD:...
func Fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}

// same tells whether two pairs have the same certificates and key.
func (p *Pair) same(o *Pair) bool {
	if p == nil || o == nil || len(p.Certificate.Certificate) != len(o.Certificate.Certificate) {
		return p == o
	}
	for i, der := range p.Certificate.Certificate {
		if !bytes.Equal(der, o.Certificate.Certificate[i]) {
			return false
		}
	}
	return true // the keys fit
}

func day(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// readFile reads a regular file. Others might never end, or not begin.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes: it is no certificate or key", path, maxFile)
	}
	return text, err
}

func readChain(path string) ([]*x509.Certificate, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	chain, err := parseChain(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return chain, nil
}

// parseChain reads the certificates of a PEM file; other blocks are skipped.
func parseChain(text []byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d of the file is damaged: %w", len(chain)+1, err)
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, errors.New("holds no certificate in PEM form (-----BEGIN CERTIFICATE-----); one in DER form is converted by: openssl x509 -inform DER -in FILE")
	}
	return chain, nil
}

func readKey(path string) (crypto.Signer, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	key, err := parseKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// parseKey reads the first private key of a PEM file.
func parseKey(text []byte) (crypto.Signer, error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return nil, errors.New("the key is encrypted, and nobody is there to type its password; decrypt it with: openssl pkey -in FILE -out NEW")
		}
		return decodeKey(block)
	}
	return nil, errors.New("holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)")
}

func decodeKey(block *pem.Block) (crypto.Signer, error) {
	var key any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("a %s is of no kind that TLS uses here: take RSA, ECDSA or Ed25519", block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("the key is damaged: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T cannot sign: take RSA, ECDSA or Ed25519", key)
	}
	return signer, nil
}

// fits says what is wrong with a chain for a key.
func fits(chain []*x509.Certificate, key crypto.PublicKey) error {
	for i, c := range chain {
		switch {
		case !equalKeys(c.PublicKey, key):
		case i == 0:
			return nil
		default:
			return fmt.Errorf("the key belongs to certificate %d of the file: that has to come first, those of its authorities after it", i+1)
		}
	}
	return fmt.Errorf("they do not belong together: the certificate, for %s, has another key", subject(chain[0]))
}

func equalKeys(a, b crypto.PublicKey) bool {
	known, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && known.Equal(b)
}

// subject is whom a certificate is for, as people would say it.
func subject(c *x509.Certificate) string {
	names := Names(c)
	if len(names) == 0 {
		return fmt.Sprintf("%q", c.Subject.String())
	}
	return strings.Join(names, ", ")
}

// Names are the host names and addresses that a certificate is for.
func Names(c *x509.Certificate) []string {
	names := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}
