package settingsdb

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// onceSSL is what is said of every member of tls while there is no TLS.
const onceSSL = "tls counts once ssl is true"

func TestEffectsOfTheDefaultDocument(t *testing.T) {
	want := map[string]Effect{
		"ssl":                 {false, Honoured, ""},
		"compression":         {true, Honoured, ""},
		"tls.cert_file":       {"", Honoured, ""},
		"tls.key_file":        {"", Honoured, ""},
		"tls.ciphers":         {"", Honoured, "Go's default suites"},
		"tls.ciphersuites":    {"", Honoured, "nothing is asked for"},
		"tls.disable_tls_1_2": {false, Honoured, ""},
		"tls.disable_tls_1_3": {false, Honoured, ""},
		"tls.dhparams":        {"", Honoured, "nothing is asked for"},
		"tls.honor_cipher_order": {
			true, NotHonoured,
			"Go chooses the order of suites: forward secrecy and AEAD first, AES or ChaCha20 by the hardware of both sides",
		},
	}
	if diff := cmp.Diff(want, Default().Effective()); diff != "" {
		t.Errorf("effects (-want +got):\n%s", diff)
	}
}

func TestEffects(t *testing.T) {
	const order = "Go chooses the order of suites: forward secrecy and AEAD first, AES or ChaCha20 by the hardware of both sides"
	for _, tt := range []struct {
		text, path string
		want       Effect
	}{
		{`{"ssl":true}`, "ssl", Effect{true, Honoured, ""}},
		{`{"compression":false}`, "compression", Effect{false, Honoured, ""}},
		{`{"ssl":true,"tls":{"cert_file":"/a","key_file":"/b"}}`, "tls.cert_file", Effect{"/a", Honoured, ""}},
		{`{"tls":{"cert_file":"/a","key_file":"/b"}}`, "tls.key_file", Effect{"/b", Honoured, onceSSL}},
		{`{"ssl":true,"tls":{"honor_cipher_order":false}}`, "tls.honor_cipher_order", Effect{false, NotHonoured, order}},
		{`{"tls":{"honor_cipher_order":false}}`, "tls.honor_cipher_order", Effect{false, NotHonoured, order + "; " + onceSSL}},
		{`{"ssl":true,"tls":{"disable_tls_1_2":true}}`, "tls.disable_tls_1_2", Effect{true, Honoured, ""}},
		{`{"tls":{"disable_tls_1_3":true}}`, "tls.disable_tls_1_3", Effect{true, Honoured, onceSSL}},
		{
			`{"ssl":true,"tls":{"dhparams":"/dh.pem"}}`, "tls.dhparams",
			Effect{"/dh.pem", NotHonoured, "Go has no finite-field Diffie-Hellman, and so no DHE suites"},
		},
		{
			`{"ssl":true,"tls":{"ciphersuites":"TLS_AES_256_GCM_SHA384"}}`, "tls.ciphersuites",
			Effect{"TLS_AES_256_GCM_SHA384", NotHonoured, "Go lets nobody choose suites of TLS 1.3: TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384 and TLS_CHACHA20_POLY1305_SHA256 are always on"},
		},
		{
			`{"ssl":true,"tls":{"ciphers":"ECDHE-RSA-AES128-SHA"}}`, "tls.ciphers",
			Effect{"ECDHE-RSA-AES128-SHA", Honoured, ""},
		},
		{
			`{"ssl":true,"tls":{"ciphers":"ECDHE-RSA-AES128-SHA:AES128-SHA"}}`, "tls.ciphers",
			Effect{"ECDHE-RSA-AES128-SHA:AES128-SHA", Honoured, "weak: AES128-SHA"},
		},
		{
			`{"tls":{"ciphers":"DHE-RSA-AES128-SHA:RC4-SHA:PSK-RC4-SHA"}}`, "tls.ciphers",
			Effect{"DHE-RSA-AES128-SHA:RC4-SHA:PSK-RC4-SHA", Partial, "Go has not DHE-RSA-AES128-SHA, PSK-RC4-SHA; weak: RC4-SHA; " + onceSSL},
		},
		{
			`{"ssl":true,"tls":{"ciphers":"DHE-RSA-AES128-SHA","disable_tls_1_2":true}}`, "tls.ciphers",
			Effect{"DHE-RSA-AES128-SHA", NotHonoured, "Go has not DHE-RSA-AES128-SHA; counts with TLS 1.2 only, which is disabled"},
		},
	} {
		s, problems := Revise(fresh(t), []byte(tt.text))
		if len(problems) > 0 {
			t.Fatalf("%s: %v", tt.text, problems)
		}
		effects := s.Effective()
		if diff := cmp.Diff(tt.want, effects[tt.path]); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", tt.text, tt.path, diff)
		}
		if got, want := slices.Sorted(maps.Keys(effects)), slices.Sorted(maps.Keys(Default().Effective())); !slices.Equal(got, want) {
			t.Errorf("%s: got effects of %q, want of %q", tt.text, got, want)
		}
	}
}
