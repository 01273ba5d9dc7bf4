package settingsdb

import (
	"vdi-gateway/settingsdb/pveproxy"
)

// Pveproxy lays a pveproxy file over the document, as [pveproxy.Import] says, and returns
// the outcome with what became of every key; a line tells too where a value does not hold
// as it is written ([Settings.Effective]). certificate is where pveproxy's certificate is
// on this machine, "" if it is not. With an error the returned document is not to be used.
func (s Settings) Pveproxy(file []pveproxy.Assignment, certificate string) (Settings, []pveproxy.Line, error) {
	report, err := pveproxy.Import(pveproxy.Document{
		Now: s.pveproxyValues(), Usual: Default().pveproxyValues(),
		Check: func(v pveproxy.Values) []pveproxy.Problem { return pveproxyProblems(s.withPveproxy(v)) },
	}, file, certificate)
	if err != nil {
		return s, nil, err
	}
	next := s.withPveproxy(report.Values)
	effects := next.Effective()
	for i, line := range report.Lines {
		report.Lines[i].Result += effects[line.Path].remark()
	}
	return next, report.Lines, nil
}

// pveproxyFields are where the document keeps what a pveproxy file can set.
func (s *Settings) pveproxyFields() map[string]any {
	return map[string]any{
		"access.allow_from":      &s.Access.AllowFrom,
		"access.deny_from":       &s.Access.DenyFrom,
		"access.policy":          &s.Access.Policy,
		"listen_ip":              &s.ListenIP,
		"tls.cert_file":          &s.TLS.CertFile,
		"tls.key_file":           &s.TLS.KeyFile,
		"tls.ciphers":            &s.TLS.Ciphers,
		"tls.ciphersuites":       &s.TLS.CipherSuites,
		"tls.honor_cipher_order": &s.TLS.HonorCipherOrder,
		"tls.disable_tls_1_2":    &s.TLS.DisableTLS12,
		"tls.disable_tls_1_3":    &s.TLS.DisableTLS13,
		"tls.dhparams":           &s.TLS.DHParams,
		"compression":            &s.Compression,
	}
}

func (s Settings) pveproxyValues() pveproxy.Values {
	return valuesOf(s.pveproxyFields())
}

func (s Settings) withPveproxy(values pveproxy.Values) Settings {
	setFields(s.pveproxyFields(), values)
	return s
}

func pveproxyProblems(s Settings) []pveproxy.Problem {
	var found []pveproxy.Problem
	for _, p := range s.Validate() {
		found = append(found, pveproxy.Problem(p))
	}
	return found
}

// remark says how far a value holds; nothing where it simply does.
func (e Effect) remark() string {
	switch {
	case e.Status == NotHonoured:
		return "; not honoured: " + e.Note
	case e.Status == Partial:
		return "; in part: " + e.Note
	case e.Note != "":
		return "; " + e.Note
	}
	return ""
}
