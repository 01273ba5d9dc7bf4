//go:build e2e

package e2e

import (
	"encoding/xml"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vdi-gateway/tests/node"
)

// scanned is what sslscan says of a port.
type scanned struct {
	Protocols []struct {
		Type    string `xml:"type,attr"`
		Version string `xml:"version,attr"`
		Enabled bool   `xml:"enabled,attr"`
	} `xml:"ssltest>protocol"`
	Compression struct {
		Supported bool `xml:"supported,attr"`
	} `xml:"ssltest>compression"`
	Renegotiation struct {
		Supported bool `xml:"supported,attr"`
	} `xml:"ssltest>renegotiation"`
	Heartbleed []struct {
		Version    string `xml:"sslversion,attr"`
		Vulnerable bool   `xml:"vulnerable,attr"`
	} `xml:"ssltest>heartbleed"`
	Ciphers []struct {
		Version string `xml:"sslversion,attr"`
		Name    string `xml:"cipher,attr"`
	} `xml:"ssltest>cipher"`
	Certificate struct {
		Subject    string `xml:"subject"`
		AltNames   string `xml:"altnames"`
		SelfSigned bool   `xml:"self-signed"`
		NotBefore  string `xml:"not-valid-before"`
		NotAfter   string `xml:"not-valid-after"`
		Expired    bool   `xml:"expired"`
	} `xml:"ssltest>certificates>certificate"`
}

// The suites of Go's TLS, by sslscan's names. Those of TLS 1.2 are for a key of
// ECDSA; the last two are CBC, which Go offers to clients that know no other.
func suites13() []string {
	return []string{"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}
}

func suites12(key string) []string {
	var all []string
	for _, s := range []string{"AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305", "AES128-SHA", "AES256-SHA"} {
		all = append(all, "ECDHE-"+key+"-"+s)
	}
	return all
}

func TestTLSScanOfEverySetting(t *testing.T) {
	need(t, "sslscan")
	p := newPlace(t, node.Config{Settings: node.Settings{"ssl": true}})
	d := p.node.Dispatcher().Secure(selfSigned(t, p))
	t.Cleanup(d.Close)
	for _, tt := range []struct {
		name   string
		tls    map[string]any
		suites map[string][]string // by version
	}{
		{"default", map[string]any{}, map[string][]string{"TLSv1.2": suites12("ECDSA"), "TLSv1.3": suites13()}},
		{"without TLS 1.2", map[string]any{"disable_tls_1_2": true}, map[string][]string{"TLSv1.3": suites13()}},
		{"without TLS 1.3", map[string]any{"disable_tls_1_3": true}, map[string][]string{"TLSv1.2": suites12("ECDSA")}},
		{
			"two suites",
			map[string]any{"ciphers": "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305"},
			map[string][]string{"TLSv1.2": {"ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"}, "TLSv1.3": suites13()},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := d.Change(t.Context(), node.Settings{"tls": tt.tls}); err != nil {
				t.Fatal(err)
			}
			for _, at := range []netip.AddrPort{p.apiAt(), p.statsAt()} {
				got := p.sslscan(t, at)
				got.want(t, tt.suites)
				got.wantSelfSigned(t, p.gate.Addrs())
			}
		})
	}
	if _, err := d.Change(t.Context(), node.Settings{"tls": map[string]any{}}); err != nil {
		t.Fatal(err)
	}
}

// A certificate with an RSA key has suites of its own.
func TestTLSScanOfAnRSAKey(t *testing.T) {
	need(t, "sslscan")
	a := newAuthority(t)
	s := newSecurePlaceOf(t, a, a.issueRSA(t), nil)
	got := s.sslscan(t, s.apiAt())
	got.want(t, map[string][]string{"TLSv1.2": suites12("RSA"), "TLSv1.3": suites13()})
	if want := "DNS:desk.example.com, IP Address:10.99.0.1, IP Address:FD99:0:0:0:0:0:0:1"; got.Certificate.AltNames != want || got.Certificate.SelfSigned {
		t.Errorf("got the names %q and self-signed: %t, want %q of an authority", got.Certificate.AltNames, got.Certificate.SelfSigned, want)
	}
}

func (p *place) sslscan(t *testing.T, at netip.AddrPort) (s scanned) {
	t.Helper()
	out, err := run(t, p.client, "", "sslscan", "--xml=-", "--no-colour", at.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal([]byte(out), &s); err != nil || len(s.Protocols) != 6 {
		t.Fatalf("sslscan of %s: got %v and %d protocols, want 6: %s", at, err, len(s.Protocols), out)
	}
	return s
}

// want checks that a port speaks the versions of suites with exactly these suites,
// and none of what was weak in others.
func (s scanned) want(t *testing.T, suites map[string][]string) {
	t.Helper()
	for _, p := range s.Protocols {
		name := strings.ToUpper(p.Type) + "v" + p.Version
		if _, want := suites[name]; p.Enabled != want {
			t.Errorf("%s: got enabled: %t, want %t", name, p.Enabled, want)
		}
	}
	got := map[string][]string{}
	for _, c := range s.Ciphers {
		got[c.Version] = append(got[c.Version], c.Name)
	}
	for version := range got {
		slices.Sort(got[version])
		t.Logf("%s: %v", version, got[version])
	}
	for version := range suites {
		slices.Sort(suites[version])
	}
	if diff := cmp.Diff(suites, got); diff != "" {
		t.Errorf("suites (-want +got):\n%s", diff)
	}
	if s.Compression.Supported {
		t.Error("compression: got it, want none")
	}
	if s.Renegotiation.Supported {
		t.Error("renegotiation by the client: got it, want none")
	}
	for _, h := range s.Heartbleed {
		if h.Vulnerable {
			t.Errorf("heartbleed with %s: got it, want none", h.Version)
		}
	}
	if len(s.Heartbleed) != len(suites) {
		t.Errorf("heartbleed: got %d versions looked at, want %d", len(s.Heartbleed), len(suites))
	}
}

// wantSelfSigned checks names and time of a certificate that the node made.
func (s scanned) wantSelfSigned(t *testing.T, names []netip.Addr) {
	t.Helper()
	c := s.Certificate
	if !c.SelfSigned || c.Expired || c.Subject != "vdi-gateway" || c.AltNames != "IP Address:"+names[0].String() {
		t.Errorf("certificate: got %+v, want a self-signed one of vdi-gateway for %s", c, names[0])
	}
	const form = "Jan _2 15:04:05 2006 MST"
	from, err1 := time.Parse(form, c.NotBefore)
	to, err2 := time.Parse(form, c.NotAfter)
	if life := to.Sub(from); errors.Join(err1, err2) != nil || life != 825*24*time.Hour || time.Until(to) < 824*24*time.Hour {
		t.Errorf("certificate: got %s to %s, want 825 days from now", c.NotBefore, c.NotAfter)
	}
}

// One version has to stay.
func TestTLSNeedsOneVersion(t *testing.T) {
	s := newSecurePlace(t, nil)
	d := s.dispatcher(t)
	both := s.files.settings()
	both["disable_tls_1_2"], both["disable_tls_1_3"] = true, true
	_, err := d.Change(t.Context(), node.Settings{"tls": both})
	wantRefused(t, "without any version", err, http.StatusUnprocessableEntity, "tls.disable_tls_1_3")
	s.wantShown(t, s.first.leaf)
}

// wantRefused checks status and field of the first problem of an answer.
func wantRefused(t *testing.T, what string, err error, status int, field string) {
	t.Helper()
	var r *node.Refusal
	if !errors.As(err, &r) || r.Status != status || r.Errors[0].Field != field {
		t.Errorf("%s: got %v, want status %d for %s", what, err, status, field)
	}
}
