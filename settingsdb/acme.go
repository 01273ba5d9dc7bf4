package settingsdb

import (
	"net/netip"
	"slices"
	"strings"
)

// defaultACMEPort is where authorities ask (RFC 8555, section 8.3).
const defaultACMEPort = 80

// ACME has an authority asked for the certificate, by RFC 8555. It is absent unless
// it is wanted. Who sets it agrees to the authority's terms.
type ACME struct {
	Directory string   `json:"directory"`
	Email     string   `json:"email"`
	Names     []string `json:"names"`
	Port      int      `json:"port"`
	CAFile    string   `json:"ca_file"`
}

// setDefaults fills in what is not posted.
func (a *ACME) setDefaults() { a.Port = defaultACMEPort }

// filled is a copy with an empty instead of a nil list.
func (a *ACME) filled() *ACME {
	if a == nil || a.Names != nil {
		return a
	}
	all := *a
	all.Names = []string{}
	return &all
}

// ACMEName is the host name that an authority is asked for, in lower case: the one
// of tls.acme.names, else public_addr. It is "" when there is none.
func (s Settings) ACMEName() string {
	if s.TLS.ACME == nil {
		return ""
	}
	names := slices.Concat(s.TLS.ACME.Names, []string{s.PublicAddr})
	if _, err := netip.ParseAddr(names[0]); err == nil || !isHostName(names[0]) {
		return ""
	}
	return strings.ToLower(names[0])
}
