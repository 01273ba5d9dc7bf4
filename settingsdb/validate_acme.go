package settingsdb

import (
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
)

const (
	// maxDirectory bounds the URL of an authority: a folder is called after it.
	maxDirectory = 200
	maxEmail     = 200
)

// checkACME leaves the port to checkPorts.
func checkACME(p *Problems, s Settings) {
	a := s.TLS.ACME
	if a == nil {
		return
	}
	if s.TLS.CertFile != "" || s.TLS.KeyFile != "" {
		p.add("tls.acme", "must be left out while cert_file and key_file are set: there is one certificate")
	}
	if !isDirectory(a.Directory) {
		p.add("tls.acme.directory", `must be the https URL of an authority's directory, such as "https://acme-v02.api.letsencrypt.org/directory", is %s`, quoted(a.Directory))
	}
	if a.Email != "" && !isEmail(a.Email) {
		p.add("tls.acme.email", `must be an e-mail address such as "ops@example.com" or empty, is %s`, quoted(a.Email))
	}
	checkACMENames(p, s, *a)
	if a.CAFile != "" && (!filepath.IsAbs(a.CAFile) || filepath.Clean(a.CAFile) != a.CAFile) {
		p.add("tls.acme.ca_file", "must be the absolute path of a PEM file or empty, is %s", quoted(a.CAFile))
	}
}

func checkACMENames(p *Problems, s Settings, a ACME) {
	switch {
	case len(a.Names) > 1:
		p.add("tls.acme.names", "must hold one name, holds %d: there is one certificate, for one name", len(a.Names))
	case len(a.Names) == 0 && s.ACMEName() == "":
		p.add("tls.acme.names", "must name this gateway: public_addr, which stands for an empty list, is no host name (%s)", quoted(s.PublicAddr))
	}
	for i, name := range a.Names {
		if _, err := netip.ParseAddr(name); err == nil || !isHostName(name) {
			p.add(fmt.Sprintf("tls.acme.names[%d]", i), `must be a host name such as "desk.example.com" (no address, no wildcard), is %s`, quoted(name))
		}
	}
}

// isDirectory reports whether text is https://host[:port][/path] and nothing more.
func isDirectory(text string) bool {
	u, err := url.Parse(text)
	if err != nil || len(text) > maxDirectory {
		return false
	}
	_, err = netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" && (err == nil || isHostName(u.Hostname())) &&
		text == "https://"+u.Host+u.EscapedPath()
}

// isEmail is stricter than RFC 5321: files are called after the address.
func isEmail(text string) bool {
	local, domain, found := strings.Cut(text, "@")
	bad := func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune("._+-", r)
	}
	return found && local != "" && local[0] != '.' && len(text) <= maxEmail && isHostName(domain) && !strings.ContainsFunc(local, bad)
}
