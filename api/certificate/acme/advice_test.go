package acme

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mholt/acmez/v3/acme"
)

func TestAdvice(t *testing.T) {
	refusal := func(kind string) error {
		return refused(fmt.Errorf("obtain: %w", acme.Problem{Type: acme.ProblemTypeNamespace + kind, Detail: "why"}))
	}
	for want, err := range map[string]error{
		"tls.acme.email":     refusal("invalidContact"),
		"tls.acme.names":     refusal("rejectedIdentifier"),
		"tls.acme.port":      refusal("connection"),
		"choose another":     refusal("externalAccountRequired"),
		"tls.acme.directory": unreached(errors.New("no such host")),
		"tls.acme.ca_file":   unreached(fmt.Errorf("get: %w", &tls.CertificateVerificationError{Err: errors.New("unknown")})),
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s in it", err, want)
		}
	}
	if err := refusal("rateLimited"); strings.Contains(err.Error(), "tls.acme") || !strings.Contains(err.Error(), "why") {
		t.Errorf("got %v, want the authority's words alone", err)
	}
	if err := refused(nil); err != nil {
		t.Errorf("no error: got %v", err)
	}
}

// What certmagic makes of the error still tells which setting is wrong.
func TestAdviceOnAServerThatIsNoAuthority(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	n, cfg := newMember(t), config(t)
	cfg.Directory = server.URL + "/dir"
	err := authority{cfg, n.store, n.zap}.manage(t.Context())
	var unasked notAsked
	if !errors.As(err, &unasked) || !strings.Contains(err.Error(), "tls.acme.ca_file") {
		t.Errorf("got %v, want that nobody vouches for it", err)
	}
}
