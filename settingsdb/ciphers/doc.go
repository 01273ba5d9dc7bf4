// Package ciphers reads the two lists of cipher suites that Proxmox's pveproxy hands to
// OpenSSL, for a gateway that speaks TLS by Go's crypto/tls:
//
//	set, err := ciphers.Parse("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256")
//	config.CipherSuites = set.Suites
//	names, err := ciphers.ParseSuites("TLS_AES_128_GCM_SHA256")
//
// [Parse] reads the suites of TLS 1.2 by the names that OpenSSL gives them. OpenSSL's
// language of groups and operators (HIGH, !aNULL, @STRENGTH) is refused: what it stands
// for differs from build to build, and a list has to mean the same on every node. Suites
// that Go has not are no error but told, since a list written for OpenSSL is full of them.
// [ParseSuites] reads the suites of TLS 1.3, which Go lets nobody choose.
//
// An error names the entry and its position and says what would be right. All tables were
// taken from OpenSSL 3 and are checked against the one that is installed.
package ciphers
