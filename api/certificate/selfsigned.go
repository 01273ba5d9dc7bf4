package certificate

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	// selfSignedLife is the longest that current systems accept of a certificate
	// which people told them to trust, and selfSignedRest is left when a new one is
	// made.
	selfSignedLife = 825 * 24 * time.Hour
	selfSignedRest = 30 * 24 * time.Hour
	// backdated is for clients whose clocks are late.
	backdated = time.Hour
)

// SelfSigned returns the files of the certificate that a node makes itself in dir.
func SelfSigned(dir string) (certFile, keyFile string) {
	return filepath.Join(dir, "self-signed.crt"), filepath.Join(dir, "self-signed.key")
}

// ownPair is the pair that this node made for these names, or a new one. It keeps
// the key, so that who knows that recognizes the node.
func ownPair(dir string, names []string, now time.Time) (*Pair, error) {
	certFile, keyFile := SelfSigned(dir)
	p, err := Load(certFile, keyFile)
	if err == nil && covers(p.Leaf, names) && p.Validity(now) == nil && p.Leaf.NotAfter.Sub(now) > selfSignedRest {
		p.SelfSigned = true
		return p, nil
	}
	key, err := readKey(keyFile)
	if err != nil {
		return Renew(dir, names, now)
	}
	return issue(dir, names, key, now)
}

// Renew makes a self-signed pair with a new key and keeps it in dir.
func Renew(dir string, names []string, now time.Time) (*Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	_, keyFile := SelfSigned(dir)
	if err := put(keyFile, "PRIVATE KEY", der, 0o600); err != nil {
		return nil, err
	}
	return issue(dir, names, key, now)
}

// issue makes a certificate for a key that is kept, and keeps it, too.
func issue(dir string, names []string, key crypto.Signer, now time.Time) (*Pair, error) {
	p, err := selfSign(names, key, now)
	if err != nil {
		return nil, err
	}
	certFile, _ := SelfSigned(dir)
	p.From = certFile
	return p, put(certFile, "CERTIFICATE", p.Leaf.Raw, 0o644)
}

// unkept is a pair that only this process has.
func unkept(names []string, now time.Time) (*Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return selfSign(names, key, now)
}

func selfSign(names []string, key crypto.Signer, now time.Time) (*Pair, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "vdi-gateway", Organization: []string{"self-signed"}},
		NotBefore: now.Add(-backdated), NotAfter: now.Add(selfSignedLife - backdated),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, n := range names {
		if a, err := netip.ParseAddr(n); err == nil {
			template.IPAddresses = append(template.IPAddresses, a.Unmap().WithZone("").AsSlice())
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	return &Pair{
		From: "memory", SelfSigned: true,
		Certificate: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf},
	}, err
}

// covers tells whether a certificate has all these names.
func covers(c *x509.Certificate, names []string) bool {
	have := Names(c)
	return !slices.ContainsFunc(names, func(n string) bool {
		if a, err := netip.ParseAddr(n); err == nil {
			n = a.Unmap().WithZone("").String()
		}
		return !slices.Contains(have, n)
	})
}

// put writes a PEM file: all of it, or nothing.
func put(path, kind string, der []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone when all went well
	err = pem.Encode(f, &pem.Block{Type: kind, Bytes: der})
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("keep %s: %w", path, err)
	}
	return nil
}
