package settingsdb

import (
	"strings"

	"vdi-gateway/settingsdb/ciphers"
)

// What a value of the document can come to.
const (
	Honoured    = "honoured"     // it holds as it is written
	Partial     = "partial"      // a part of it holds, the note says which
	NotHonoured = "not_honoured" // it changes nothing, the note says why
)

// Effect is what a value of the document comes to. The document takes what was written
// for pveproxy and OpenSSL, and Go's TLS cannot do all of that: such a value is kept, and
// an Effect says that it does not hold. Note is for people, one or several remarks with
// semicolons between them; it is empty when there is nothing to say.
type Effect struct {
	Value  any    `json:"value"` // as in the document
	Status string `json:"status" enums:"honoured,partial,not_honoured"`
	Note   string `json:"note"`
}

// Effective returns what ssl, every member of tls, and compression come to, by the paths
// of their keys such as "tls.ciphers". It is meant for valid documents.
func (s Settings) Effective() map[string]Effect {
	effects := map[string]Effect{
		"ssl":         {s.SSL, Honoured, ""},
		"compression": {s.Compression, Honoured, ""},
	}
	usual := effectsOfTLS(Default().TLS)
	for path, e := range effectsOfTLS(s.TLS) {
		if !s.SSL && e.Value != usual[path].Value {
			e.Note = remarks(e.Note, "tls counts once ssl is true")
		}
		effects[path] = e
	}
	return effects
}

func effectsOfTLS(t TLS) map[string]Effect {
	effects := map[string]Effect{
		"tls.cert_file":    {t.CertFile, Honoured, ""},
		"tls.key_file":     {t.KeyFile, Honoured, ""},
		"tls.ciphers":      effectOfCiphers(t),
		"tls.ciphersuites": notHonoured(t.CipherSuites, "Go lets nobody choose suites of TLS 1.3: TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384 and TLS_CHACHA20_POLY1305_SHA256 are always on"),
		"tls.honor_cipher_order": {
			t.HonorCipherOrder, NotHonoured,
			"Go chooses the order of suites: forward secrecy and AEAD first, AES or ChaCha20 by the hardware of both sides",
		},
		"tls.disable_tls_1_2": {t.DisableTLS12, Honoured, ""},
		"tls.disable_tls_1_3": {t.DisableTLS13, Honoured, ""},
		"tls.dhparams":        notHonoured(t.DHParams, "Go has no finite-field Diffie-Hellman, and so no DHE suites"),
	}
	if t.ACME != nil { // as in the document, where it is absent otherwise
		effects["tls.acme"] = Effect{t.ACME.filled(), Honoured, ""}
	}
	return effects
}

// notHonoured is the effect of a text that changes nothing, for this reason.
func notHonoured(value, reason string) Effect {
	if value == "" {
		return Effect{value, Honoured, "nothing is asked for"}
	}
	return Effect{value, NotHonoured, reason}
}

func effectOfCiphers(t TLS) Effect {
	set, err := ciphers.Parse(t.Ciphers)
	e := Effect{t.Ciphers, Honoured, ""}
	switch {
	case t.Ciphers == "":
		e.Note = "Go's default suites"
	case err != nil: // not one suite; valid without TLS 1.2 alone
		e.Status = NotHonoured
	case len(set.Missing) > 0:
		e.Status = Partial
	}
	if len(set.Missing) > 0 {
		e.Note = "Go has not " + strings.Join(set.Missing, ", ")
	}
	if len(set.Weak) > 0 {
		e.Note = remarks(e.Note, "weak: "+strings.Join(set.Weak, ", "))
	}
	if t.Ciphers != "" && t.DisableTLS12 {
		e.Note = remarks(e.Note, "counts with TLS 1.2 only, which is disabled")
	}
	return e
}

func remarks(first, then string) string {
	if first == "" {
		return then
	}
	return first + "; " + then
}
