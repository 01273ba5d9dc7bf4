package certificate

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"math/big"
	"time"
)

// errStranger is what a node says that reached something else than another one.
var errStranger = errors.New("what answers there is no node of this cluster: compare cluster_key and the address")

// memberKey is the key pair that all who share a secret have.
func memberKey(secret string) ed25519.PrivateKey {
	seed, err := hkdf.Key(sha256.New, []byte(secret), nil, "vdi-gateway node certificate", ed25519.SeedSize)
	if err != nil {
		panic(err) // fails on the length only, and that is a constant
	}
	return ed25519.NewKeyFromSeed(seed)
}

// memberName is the server name by which a node is asked for this key.
func memberName(key ed25519.PrivateKey) string {
	sum := sha256.Sum256(key.Public().(ed25519.PublicKey))
	return hex.EncodeToString(sum[:16]) + ".node.vdi-gateway"
}

// memberServer answers other nodes. The certificate is only what TLS carries the
// public key in: it says nothing and never ends.
func memberServer(key ed25519.PrivateKey) *tls.Config {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "vdi-gateway node"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280 4.1.2.5: none
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err) // of this template, never
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		MinVersion:   tls.VersionTLS13, NextProtos: []string{"http/1.1"},
	}
}

// Member is how to reach a node of those that share a secret: what answers with
// another key is refused.
func Member(secret string) *tls.Config {
	key := memberKey(secret)
	return &tls.Config{
		ServerName: memberName(key), MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"},
		InsecureSkipVerify: true, //nolint:gosec // no name, authority or time counts; the key does, below
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 || !equalKeys(s.PeerCertificates[0].PublicKey, key.Public()) {
				return errStranger
			}
			return nil
		},
	}
}
