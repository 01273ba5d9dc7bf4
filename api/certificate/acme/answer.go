package acme

import (
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// challengePath is where the authority asks (RFC 8555, section 8.3).
const challengePath = "/.well-known/acme-challenge/"

// hostName is what may be one.
var hostName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]*$`)

// answerer knows the challenges under way.
type answerer interface {
	HandleHTTPChallenge(w http.ResponseWriter, r *http.Request) bool
}

// ServeHTTP answers challenges, whichever node asked the authority, and sends everybody
// else to https.
func (m *Manager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	cfg, answers := m.cfg, m.answers
	m.mu.Unlock()
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	host := hostOf(r.Host)
	switch {
	case !strings.HasPrefix(r.URL.Path, challengePath):
		redirect(w, r, host, cfg)
	case answers == nil || !strings.EqualFold(host, cfg.Name) || !answers.HandleHTTPChallenge(w, r):
		http.Error(w, "There is no such challenge.", http.StatusNotFound)
	}
}

// redirect sends a client to the API, by a redirect that browsers do not keep: settings
// change. One that named no host which can be one is sent to that of the certificate.
func redirect(w http.ResponseWriter, r *http.Request, host string, cfg Config) {
	if _, err := netip.ParseAddr(host); err != nil && !hostName.MatchString(host) {
		host = cfg.Name
	}
	to := *r.URL
	to.Scheme, to.Opaque, to.User, to.Fragment = "https", "", nil, ""
	to.Host = strings.TrimSuffix(net.JoinHostPort(host, strconv.Itoa(int(cfg.HTTPS))), ":443")
	w.Header().Set("Location", to.String())
	w.WriteHeader(http.StatusTemporaryRedirect)
}

// hostOf is a Host header without its port.
func hostOf(header string) string {
	if host, _, err := net.SplitHostPort(header); err == nil {
		return host
	}
	return strings.Trim(header, "[]")
}
