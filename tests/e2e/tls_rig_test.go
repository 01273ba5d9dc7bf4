//go:build e2e

package e2e

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

// statsPort serves statistics.
const statsPort = 8003

// quick bounds what has to be seen within seconds.
const quick = 3 * time.Second

// securePlace is the usual network with a node that speaks TLS with a pair of an
// authority, from files.
type securePlace struct {
	*place
	authority *authority
	files     files
	first     pair // in the files at the start
}

func newSecurePlace(t *testing.T, over node.Settings) *securePlace {
	t.Helper()
	a := newAuthority(t)
	return newSecurePlaceOf(t, a, a.issue(t, -time.Hour, year), over)
}

func newSecurePlaceOf(t *testing.T, a *authority, first pair, over node.Settings) *securePlace {
	t.Helper()
	s := &securePlace{authority: a, first: first, files: newFiles(t, first)}
	settings := node.Settings{"ssl": true, "tls": s.files.settings()}
	maps.Copy(settings, over)
	s.place = newPlace(t, node.Config{Settings: settings})
	return s
}

// dispatcher calls the API by TLS with api_key.
func (s *securePlace) dispatcher(t *testing.T) *node.Client {
	t.Helper()
	d := s.node.Dispatcher().Secure(trustRoots(s.authority.roots))
	t.Cleanup(d.Close)
	return d
}

// selfSigned believes the certificate that the node has made for itself.
func selfSigned(t *testing.T, p *place) *tls.Config {
	t.Helper()
	roots := x509.NewCertPool()
	if text, err := os.ReadFile(selfSignedFile(p)); err != nil || !roots.AppendCertsFromPEM(text) {
		t.Fatalf("the self-signed certificate: got %v, want it in %s", err, selfSignedFile(p))
	}
	return trustRoots(roots)
}

func selfSignedFile(p *place) string { return p.node.Path("tls/self-signed.crt") }

func (p *place) apiAt() netip.AddrPort   { return netip.AddrPortFrom(p.gate.Addr(), node.APIPort) }
func (p *place) statsAt() netip.AddrPort { return netip.AddrPortFrom(p.gate.Addr(), statsPort) }

// shake does a handshake from a host and hangs up.
func shake(h *lab.Host, at netip.AddrPort, cfg *tls.Config) (tls.ConnectionState, error) {
	c, err := h.Dial(netip.Addr{}, at, quick)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(quick))
	secure := tls.Client(c, cfg)
	err = secure.Handshake()
	return secure.ConnectionState(), err
}

// shown is the certificate that a new client meets, whoever vouches for it.
func shown(h *lab.Host, at netip.AddrPort) (*x509.Certificate, error) {
	state, err := shake(h, at, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // it only looks
	if err != nil {
		return nil, err
	}
	return state.PeerCertificates[0], nil
}

// wantShown checks which certificate new clients meet, at both ports.
func (p *place) wantShown(t *testing.T, want *x509.Certificate) {
	t.Helper()
	for _, at := range []netip.AddrPort{p.apiAt(), p.statsAt()} {
		if got, err := shown(p.client, at); err != nil || !got.Equal(want) {
			t.Errorf("certificate at %s: got %s and %v, want %s", at, nameOf(got), err, nameOf(want))
		}
	}
}

// soonShown waits until new clients meet a certificate and returns how long that
// took.
func (p *place) soonShown(t *testing.T, want *x509.Certificate) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		got, err := shown(p.client, p.apiAt())
		took := time.Since(began)
		if err == nil && got.Equal(want) {
			return took
		}
		if took > quick {
			t.Errorf("certificate after %s: got %s and %v, want %s", took, nameOf(got), err, nameOf(want))
			return took
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// nameOf tells certificates apart.
func nameOf(c *x509.Certificate) string {
	if c == nil {
		return "none"
	}
	return fmt.Sprintf("%s until %s", fingerprint(c)[:11], c.NotAfter.Format(time.DateOnly))
}

func sum256(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:]
}

func colons(digits string) string {
	var b strings.Builder
	for i := 0; i < len(digits); i += 2 {
		b.WriteString(":" + digits[i:i+2])
	}
	return strings.TrimPrefix(b.String(), ":")
}

// health is what the node says of itself.
type health struct {
	Status           string
	SettingsRevision int `json:"settings_revision"`
	Checks           []check
	Cluster          []struct{ Alive bool }
}

type check struct {
	Name, Detail string
	OK           bool
}

func healthOf(t *testing.T, d *node.Client) (h health) {
	t.Helper()
	if err := d.Call(t.Context(), http.MethodGet, "/v3/health/", nil, &h); err != nil {
		t.Fatal(err)
	}
	return h
}

// certificate is the detail of the check of that name.
func (h health) certificate() (ok bool, detail string) {
	for _, c := range h.Checks {
		if c.Name == "certificate" {
			return c.OK, c.Detail
		}
	}
	return false, "(no such check)"
}

// run runs a program on a host and returns what it printed and whether it was
// content.
func run(t *testing.T, h *lab.Host, input, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.Command(program, args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := h.Run(ctx, cmd)
	if errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%s: %v: %s", program, err, out)
	}
	return out, err
}

// has checks that a text says all of the parts.
func has(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%s: got %q, want %q in it", what, text, p)
		}
	}
}

// hasNot checks that a text says none of the parts.
func hasNot(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if strings.Contains(text, p) {
			t.Errorf("%s: got %q, want no %q in it", what, text, p)
		}
	}
}
