package main

import (
	"net/netip"
	"path/filepath"
	"slices"

	"vdi-gateway/api/certificate"
	"vdi-gateway/settingsdb"
	"vdi-gateway/settingsdb/ciphers"
)

// The pair of a host, where the settings name no other.
const (
	defaultCert = "/etc/vdi-gateway/tls.crt"
	defaultKey  = "/etc/vdi-gateway/tls.key"
)

// certificateDeps are the places where the pair of a node may be.
func certificateDeps(database string) certificate.Deps {
	return certificate.Deps{Dir: filepath.Join(filepath.Dir(database), "tls"), DefaultCert: defaultCert, DefaultKey: defaultKey}
}

// planCertificate is the certificate of a node. accepted are keys that other nodes
// may use beside cluster_key.
func planCertificate(s settingsdb.Settings, accepted ...string) certificate.Config {
	suites, _ := ciphers.Parse(s.TLS.Ciphers) // valid settings have no other
	return certificate.Config{
		Enabled: s.SSL, CertFile: s.TLS.CertFile, KeyFile: s.TLS.KeyFile, Names: certificateNames(s),
		Suites: suites.Suites, NoTLS12: s.TLS.DisableTLS12, NoTLS13: s.TLS.DisableTLS13,
		Secrets: clusterKeys(s, accepted),
	}
}

// certificateNames are what clients and nodes may call this gateway. They are the
// same on every node.
func certificateNames(s settingsdb.Settings) []string {
	list := append([]string{s.PublicAddr, s.VirtualAddr, s.ListenIP}, s.InternalAddrs...)
	for _, n := range s.Nodes {
		list = append(list, n.ListenIP)
	}
	var names []string
	for _, n := range list {
		if a, err := netip.ParseAddr(n); err == nil {
			if a = a.Unmap().WithZone(""); a.IsUnspecified() {
				continue
			}
			n = a.String()
		}
		if n != "" {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
