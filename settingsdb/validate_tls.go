package settingsdb

import (
	"errors"
	"path/filepath"
	"strings"

	"vdi-gateway/settingsdb/ciphers"
)

func checkTLS(p *Problems, s Settings) {
	t := s.TLS
	if t.DisableTLS12 && t.DisableTLS13 {
		p.add("tls.disable_tls_1_3", "must be false when disable_tls_1_2 is true: one version has to stay")
	}
	// Without TLS 1.2 its list may come to nothing.
	if _, err := ciphers.Parse(t.Ciphers); err != nil && !(t.DisableTLS12 && errors.Is(err, ciphers.ErrNone)) {
		p.add("tls.ciphers", "%v", err)
	}
	if _, err := ciphers.ParseSuites(t.CipherSuites); err != nil {
		p.add("tls.ciphersuites", "%v", err)
	}
	checkCertificate(p, t)
	p.file("tls.dhparams", t.DHParams)
}

// checkCertificate checks the names only: the files are another node's matter too, and
// they change without the document.
func checkCertificate(p *Problems, t TLS) {
	p.file("tls.cert_file", t.CertFile)
	p.file("tls.key_file", t.KeyFile)
	switch {
	case t.CertFile == "" && t.KeyFile != "":
		p.add("tls.cert_file", "must be set together with tls.key_file, or both be empty")
	case t.CertFile != "" && t.KeyFile == "":
		p.add("tls.key_file", "must be set together with tls.cert_file, or both be empty")
	}
}

// maxPathLen is PATH_MAX of Linux.
const maxPathLen = 4096

// file checks the name of a file; empty means that there is none.
func (p *Problems) file(field, name string) {
	switch {
	case name == "":
	case len(name) > maxPathLen:
		p.add(field, "must have at most %d bytes, has %d", maxPathLen, len(name))
	case !filepath.IsAbs(name):
		p.add(field, "must be an absolute path or empty, is %s", quoted(name))
	case strings.ContainsRune(name, 0):
		p.add(field, "must be a path without NUL bytes, is %s", quoted(name))
	}
}
