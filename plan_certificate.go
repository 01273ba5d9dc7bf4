package main

import (
	"net/netip"
	"path/filepath"
	"slices"

	"vdi-gateway/api/certificate"
	"vdi-gateway/api/certificate/acme"
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
	c := certificate.Config{
		Enabled: s.SSL, CertFile: s.TLS.CertFile, KeyFile: s.TLS.KeyFile, Names: certificateNames(s),
		Suites: suites.Suites, NoTLS12: s.TLS.DisableTLS12, NoTLS13: s.TLS.DisableTLS13,
		Secrets: clusterKeys(s, accepted),
	}
	if name := s.ACMEName(); name != "" {
		c.Issued = acme.Files(s.TLS.ACME.Directory, name)
	}
	return c
}

// planACME has the certificate issued: by the node that has the virtual address, where
// the authority asks, or by a node alone. All others are as ready as it is.
func planACME(s settingsdb.Settings, node netip.Addr) acme.Config {
	name := s.ACMEName()
	if !s.SSL || name == "" || !node.IsValid() {
		return acme.Config{}
	}
	a := s.TLS.ACME
	c := acme.Config{
		Enabled: true, Directory: a.Directory, Email: a.Email, Name: name, CAFile: a.CAFile,
		Listen: netip.AddrPortFrom(node, port(a.Port)), HTTPS: port(s.APIPort),
	}
	if v := virtualOf(s); v.IsValid() {
		c.Listen, c.Freebind, c.HTTPS = netip.AddrPortFrom(v, port(a.Port)), true, port(s.BalancerAPIPort)
	}
	return c
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
