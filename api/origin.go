package api

import (
	"net/http"
	"net/netip"
	"strings"

	"vdi-gateway/settingsdb"
)

// origins are those of pages that may open desktops: the addresses of this gateway
// and the origins that were added to them. What a request says of itself (Host,
// X-Forwarded-*) adds none.
type origins struct {
	hosts map[string]bool // in the spelling of settingsdb.CanonicalHost
	ports map[uint16]bool
	more  map[settingsdb.Origin]bool
}

func newOrigins(c Config) origins {
	o := origins{hosts: map[string]bool{}, ports: map[uint16]bool{}, more: map[settingsdb.Origin]bool{}}
	for _, h := range c.Hosts {
		if h = settingsdb.CanonicalHost(h); h != "" {
			o.hosts[h] = true
		}
	}
	for _, p := range c.Ports {
		o.ports[p] = true
	}
	for _, other := range c.Origins {
		o.more[other] = true
	}
	return o
}

// allows decides about a request by its Origin headers, by whether it came by TLS,
// and by whether both its ends are on this host. None at all is no browser, which a
// token is asked of anyway; browsers send one, and "null" for pages of nowhere.
func (o origins) allows(given []string, secure, local bool) bool {
	if len(given) == 0 {
		return true
	}
	from, err := settingsdb.ParseOrigin(given[0])
	if len(given) > 1 || err != nil || strings.ContainsFunc(given[0], notASCII) {
		return false
	}
	scheme := "http"
	if secure {
		scheme = "https"
	}
	return o.more[from] || from.Scheme == scheme && o.ports[from.Port] && (o.hosts[from.Host] || local && isLocal(from.Host))
}

// notASCII: browsers have turned an international name into letters of ASCII.
func notASCII(r rune) bool { return r > '~' }

func isLocal(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// checkOrigin refuses requests of pages from elsewhere. It is asked where a request
// comes from its client: a node that forwards it removes the header, since the other
// one cannot know how the client came.
func (s *Server) checkOrigin(r *http.Request) error {
	if s.state.Load().origins.allows(r.Header["Origin"], r.TLS != nil, overLoopback(r)) {
		return nil
	}
	refusal := failWith(http.StatusForbidden, codeForbidden,
		"pages of this origin may not open desktops here: use the gateway's public address, or add the origin to console.allowed_origins")
	refusal.errors[0].Field = "Origin" // by which the page knows that its link is good
	return refusal
}

// overLoopback tells whether client and wire are on this host.
func overLoopback(r *http.Request) bool {
	c := connOf(r)
	return c != nil && peerOf(c.tcp).IsLoopback() && addrOf(c.RemoteAddr()).IsLoopback()
}
