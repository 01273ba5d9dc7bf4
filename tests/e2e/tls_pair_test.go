//go:build e2e

package e2e

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// authority issues certificates by an intermediate one, as real ones do.
type authority struct {
	root, between *x509.Certificate
	key           crypto.Signer // of between
	roots         *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	ca := func(name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-10 * year), NotAfter: time.Now().Add(10 * year),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		}
	}
	rootKey, key := newKey(t), newKey(t)
	a := &authority{key: key, roots: x509.NewCertPool()}
	template := ca("e2e root")
	a.root = sign(t, template, template, rootKey.Public(), rootKey)
	a.between = sign(t, ca("e2e intermediate"), a.root, key.Public(), rootKey)
	a.roots.AddCert(a.root)
	return a
}

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t *testing.T, template, parent *x509.Certificate, public any, key crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// pair is a certificate with its key, as files hold them: the chain up to the
// intermediate one.
type pair struct {
	leaf      *x509.Certificate
	cert, key []byte // PEM
}

const year = 365 * 24 * time.Hour

// issue makes a pair for the node of the usual network, valid from and to so long
// after now.
func (a *authority) issue(t *testing.T, from, to time.Duration) pair {
	t.Helper()
	return a.certify(t, newKey(t), from, to)
}

// issueRSA is issue with an RSA key, valid now.
func (a *authority) issueRSA(t *testing.T) pair {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return a.certify(t, key, -time.Hour, year)
}

func (a *authority) certify(t *testing.T, key crypto.Signer, from, to time.Duration) pair {
	t.Helper()
	leaf := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "gate"},
		NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(to),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.ParseIP(gateAddr), net.ParseIP("fd99::1")}, DNSNames: []string{"desk.example.com"},
	}, a.between, key.Public(), a.key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{
		leaf: leaf,
		cert: append(text("CERTIFICATE", leaf.Raw), text("CERTIFICATE", a.between.Raw)...),
		key:  text("PRIVATE KEY", der),
	}
}

func text(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// files are where a node finds its pair.
type files struct{ cert, key string }

// newFiles puts p into a folder of its own.
func newFiles(t *testing.T, p pair) files {
	t.Helper()
	dir := t.TempDir()
	f := files{filepath.Join(dir, "gate.crt"), filepath.Join(dir, "gate.key")}
	f.put(t, p)
	return f
}

// put replaces both files by renaming others, as tools that renew certificates do.
func (f files) put(t *testing.T, p pair) {
	t.Helper()
	put(t, f.cert, p.cert)
	put(t, f.key, p.key)
}

// put replaces a file by renaming another one.
func put(t *testing.T, path string, text []byte) {
	t.Helper()
	err := os.WriteFile(path+".new", text, 0o600)
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// settings are those that name the files.
func (f files) settings() map[string]any {
	return map[string]any{"cert_file": f.cert, "key_file": f.key}
}

// fingerprint is the SHA-256 of a certificate as people compare it.
func fingerprint(c *x509.Certificate) string {
	return colons(fmt.Sprintf("%X", sum256(c.Raw)))
}

// trustRoots believes whom an authority vouches for.
func trustRoots(roots *x509.CertPool) *tls.Config {
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}
