package ciphers

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"slices"
	"strings"
)

// Set is what a list of suites comes to; the zero value is that of the empty list,
// which leaves the choice to Go.
type Set struct {
	Suites  []uint16 // by Go's ids, in the order of the list; nil means Go's default
	Missing []string // suites that OpenSSL knows and Go has not, in the order of the list
	Weak    []string // those of Suites that Go does not offer unless they are named
}

// Serves tells whether a certificate with this key can be used with one of the suites.
// ECDHE-ECDSA suites need a key of ECDSA or Ed25519, all others one of RSA.
func (s Set) Serves(key crypto.PublicKey) bool {
	var elliptic bool
	switch key.(type) {
	case *ecdsa.PublicKey, ed25519.PublicKey:
		elliptic = true
	case *rsa.PublicKey:
	default:
		return false
	}
	return len(s.Suites) == 0 || slices.ContainsFunc(s.Suites, func(id uint16) bool {
		return strings.Contains(tls.CipherSuiteName(id), "_ECDSA_") == elliptic
	})
}

func (s *Set) add(name string) {
	id, has := suites[name]
	switch {
	case !has:
		if !slices.Contains(s.Missing, name) {
			s.Missing = append(s.Missing, name)
		}
	case !slices.Contains(s.Suites, id):
		s.Suites = append(s.Suites, id)
		if weak(id) {
			s.Weak = append(s.Weak, name)
		}
	}
}

func weak(id uint16) bool {
	return slices.ContainsFunc(tls.InsecureCipherSuites(), func(c *tls.CipherSuite) bool { return c.ID == id })
}
