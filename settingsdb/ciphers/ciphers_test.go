package ciphers

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	ecdsaGCM, rsaGCM := tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
	for list, want := range map[string]Set{
		"":         {},
		" :,; \t:": {},
		"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256":               {Suites: []uint16{rsaGCM, ecdsaGCM}},
		"ECDHE-ECDSA-AES128-GCM-SHA256, ECDHE-RSA-AES128-GCM-SHA256":              {Suites: []uint16{ecdsaGCM, rsaGCM}},
		"::ECDHE-RSA-AES128-GCM-SHA256;ECDHE-RSA-AES128-GCM-SHA256 ":              {Suites: []uint16{rsaGCM}},
		"DHE-RSA-AES128-SHA:ECDHE-RSA-AES128-GCM-SHA256:PSK-RC4-SHA:PSK-RC4-SHA":  {Suites: []uint16{rsaGCM}, Missing: []string{"DHE-RSA-AES128-SHA", "PSK-RC4-SHA"}},
		"RC4-SHA:ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA:RC4-SHA":                  {Suites: []uint16{tls.TLS_RSA_WITH_RC4_128_SHA, rsaGCM, tls.TLS_RSA_WITH_AES_128_CBC_SHA}, Weak: []string{"RC4-SHA", "AES128-SHA"}},
		"ECDHE-RSA-AES256-SHA384:ECDHE-ECDSA-AES128-CCM\tECDHE-RSA-AES128-SHA256": {Suites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256}, Missing: []string{"ECDHE-RSA-AES256-SHA384", "ECDHE-ECDSA-AES128-CCM"}, Weak: []string{"ECDHE-RSA-AES128-SHA256"}},
	} {
		got, err := Parse(list)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%q: error %v, set (-want +got):\n%s", list, err, diff)
		}
	}
}

// wrongList is a list, where its problem is, and what the message has to say.
type wrongList struct {
	list     string
	position int
	says     string
}

func checkWrong(t *testing.T, parse func(string) error, lists []wrongList) {
	t.Helper()
	for _, tt := range lists {
		var wrong *SyntaxError
		err := parse(tt.list)
		if !errors.As(err, &wrong) || wrong.Position != tt.position || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%q: got %v, want a problem at %d that says %q", tt.list, err, tt.position, tt.says)
		}
	}
}

func TestParseErrors(t *testing.T) {
	const good = "ECDHE-RSA-AES128-GCM-SHA256"
	checkWrong(t, func(list string) error { _, err := Parse(list); return err }, []wrongList{
		{"HIGH", 1, `entry "HIGH" at position 1: is a group of OpenSSL's language: list the suites one by one, such as ` + good},
		{good + ":ALL", 29, "a group"},
		{good + ", DEFAULT", 30, "a group"},
		{"ECDHE", 1, "a group"},
		{"TLSv1.2", 1, "a group"},
		{good + ":!aNULL", 29, `"!aNULL" at position 29: is an operator`},
		{good + ":-RC4", 29, "an operator"},
		{good + ":+HIGH", 29, "an operator"},
		{"-" + good, 1, "an operator"},
		{"!", 1, "an operator"},
		{"@STRENGTH", 1, "an operator"},
		{good + ":@SECLEVEL=1", 29, "an operator"},
		{"kEECDH+AES", 1, "a combination of groups"},
		{"::ECDHE+AESGCM+aECDSA", 3, "a combination of groups"},
		{"TLS_AES_128_GCM_SHA256", 1, "is a suite of TLS 1.3: it belongs into tls.ciphersuites"},
		{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", 1, "is IANA's name of a suite: write " + good},
		{"TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", 1, "OpenSSL's name of a suite of TLS 1.2, such as " + good + ", not IANA's"},
		{"ECDHE-RSA-AES128-GCM-SHA265", 1, "did you mean " + good + "?"},
		{"ECDHE-RSA-AES128-GCM-SHA", 1, "did you mean " + good + "?"},
		{"ecdhe-rsa-aes128-gcm-sha256", 1, "did you mean " + good + "?"},
		{"ECDHE-RSA-CHACHA20-POLY1350", 1, "did you mean ECDHE-RSA-CHACHA20-POLY1305?"},
		{"DHE-RSA-AES128-SHA1", 1, "did you mean DHE-RSA-AES128-SHA?"},
		{"ECDHE-RSA-AES128-GCM", 1, "did you mean " + good + "?"},
		{"high", 1, "must be OpenSSL's name"},
		{"x\x00y\xff", 1, `entry "x\x00y\xff"`},
		{good + "\n", 1, "did you mean"},
		{strings.Repeat("A", 1000), 1, `entry "` + strings.Repeat("A", maxShown) + `..."`},
	})
}

func TestAListOfNothingButMissingSuites(t *testing.T) {
	for list, says := range map[string]string{
		"DHE-RSA-AES128-SHA": "none of these suites: DHE-RSA-AES128-SHA: name one that it has, such as " + example,
		"PSK-AES128-CCM:PSK-AES256-CCM:PSK-AES128-CCM8:PSK-AES256-CCM8:RC4-MD5:NULL-MD5:NULL-SHA": "PSK-AES128-CCM, PSK-AES256-CCM, PSK-AES128-CCM8, PSK-AES256-CCM8, RC4-MD5 and 2 more",
	} {
		s, err := Parse(list)
		if !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want ErrNone that says %q", list, err, says)
		}
		if want := strings.Split(list, ":"); s.Suites != nil || !slices.Equal(s.Missing, want) {
			t.Errorf("%s: got suites %v and missing %q, want none and %q", list, s.Suites, s.Missing, want)
		}
	}
}

func TestParseSuites(t *testing.T) {
	for list, want := range map[string][]string{
		"":   nil,
		" :": nil,
		"TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384": {"TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256"},
		"TLS_CHACHA20_POLY1305_SHA256, TLS_AES_128_CCM_SHA256":                 {"TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_CCM_SHA256"},
		"TLS_AES_128_CCM_8_SHA256:TLS_SHA384_SHA384:TLS_SHA256_SHA256":         {"TLS_AES_128_CCM_8_SHA256", "TLS_SHA384_SHA384", "TLS_SHA256_SHA256"},
	} {
		if got, err := ParseSuites(list); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %q and error %v, want %q", list, got, err, want)
		}
	}
}

func TestParseSuitesErrors(t *testing.T) {
	checkWrong(t, func(list string) error { _, err := ParseSuites(list); return err }, []wrongList{
		{"ECDHE-RSA-AES128-GCM-SHA256", 1, "is a suite of TLS 1.2: it belongs into tls.ciphers"},
		{"TLS_AES_128_GCM_SHA256:DHE-RSA-AES128-SHA", 24, "is a suite of TLS 1.2"},
		{"TLS_AES_128_GCM_SHA265", 1, "did you mean TLS_AES_128_GCM_SHA256?"},
		{"tls_aes_128_gcm_sha256", 1, "did you mean TLS_AES_128_GCM_SHA256?"},
		{"HIGH", 1, "is a group of OpenSSL's language, which TLS 1.3 does not have"},
		{"!TLS_AES_128_GCM_SHA256", 1, "is an operator"},
		{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", 1, `entry "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" at position 1: must be the name of a suite of TLS 1.3, such as TLS_AES_128_GCM_SHA256`},
	})
}

func TestServes(t *testing.T) {
	keys := map[string]crypto.PublicKey{
		"ecdsa": &ecdsa.PublicKey{}, "ed25519": ed25519.PublicKey{}, "rsa": &rsa.PublicKey{}, "x25519": &ecdh.PublicKey{}, "none": nil,
	}
	for list, want := range map[string]string{
		"":                              "ecdsa ed25519 rsa",
		"ECDHE-ECDSA-AES128-GCM-SHA256": "ecdsa ed25519",
		"ECDHE-RSA-AES128-GCM-SHA256":   "rsa",
		"AES128-SHA":                    "rsa",
		"AES128-SHA:ECDHE-ECDSA-AES256-SHA:DHE-DSS-AES128-SHA": "ecdsa ed25519 rsa",
	} {
		s, err := Parse(list)
		if err != nil {
			t.Fatal(err)
		}
		for name, key := range keys {
			if got := s.Serves(key); got != strings.Contains(" "+want+" ", " "+name+" ") {
				t.Errorf("%q with a key of kind %s: got %t, want those of %q", list, name, got, want)
			}
		}
	}
}

// FuzzParse: nothing panics, positions are within, and every suite is one of Go's.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES128-SHA", "HIGH:!aNULL", ", ;", "kEECDH+AES", "TLS_AES_128_GCM_SHA256", "rc4-sha"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, list string) {
		s, err := Parse(list)
		checkPosition(t, list, err)
		for _, id := range s.Suites {
			if !strings.HasPrefix(tls.CipherSuiteName(id), "TLS_") {
				t.Errorf("%q: got %#x, want one of Go's suites", list, id)
			}
		}
		if err == nil && len(s.Suites) == 0 && strings.Trim(list, ":,; \t") != "" {
			t.Errorf("%q: got no suite and no error", list)
		}
	})
}

// FuzzParseSuites: nothing panics, positions are within, and names are those of the list.
func FuzzParseSuites(f *testing.F) {
	for _, seed := range []string{"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384", "AES128-SHA", ":", "TLS_AES"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, list string) {
		names, err := ParseSuites(list)
		checkPosition(t, list, err)
		for _, name := range names {
			if !strings.Contains(list, name) || !strings.HasPrefix(name, "TLS_") {
				t.Errorf("%q: got %q, want a name in it", list, name)
			}
		}
	})
}

func checkPosition(t *testing.T, list string, err error) {
	t.Helper()
	var wrong *SyntaxError
	if errors.As(err, &wrong) && !strings.HasPrefix(list[wrong.Position-1:], wrong.Entry) {
		t.Errorf("%q: got %v, want the position of the entry", list, err)
	}
}
