package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/netip"
	"strings"

	"github.com/labstack/echo/v4"

	"vdi-gateway/settingsdb"
)

// wrongKeys is how many wrong keys a second, and at once, an address may send
// before it hears 429 instead of 401.
const wrongKeys = 10

// keyring holds the digests of both keys. Digests have one length, so that
// comparing them takes one time.
type keyring struct {
	api, client       [sha256.Size]byte
	hasAPI, hasClient bool
}

func newKeyring(c Config) keyring {
	return keyring{
		api: digest(c.APIKey), hasAPI: c.APIKey != "",
		client: digest(c.ClientKey), hasClient: c.ClientKey != "",
	}
}

func digest(key settingsdb.Secret) [sha256.Size]byte { return sha256.Sum256([]byte(key.Reveal())) }

// role tells whose key was presented; anyone means nobody's. Both keys are
// compared whatever comes of the first.
func (k keyring) role(presented string) role {
	sum := digest(settingsdb.Secret(presented))
	isAPI := subtle.ConstantTimeCompare(sum[:], k.api[:]) == 1 && k.hasAPI
	isClient := subtle.ConstantTimeCompare(sum[:], k.client[:]) == 1 && k.hasClient
	switch {
	case isAPI:
		return dispatcher
	case isClient:
		return client
	default:
		return anyone
	}
}

// presentedKeys are the keys of a request, in all forms: `Authorization: KEY`,
// `Authorization: Bearer KEY` and `X-API-Key: KEY`.
func presentedKeys(h http.Header) []string {
	var keys []string
	if value := strings.TrimSpace(h.Get("Authorization")); value != "" {
		scheme, rest, found := strings.Cut(value, " ")
		if found && strings.EqualFold(scheme, "Bearer") {
			value = strings.TrimSpace(rest)
		}
		keys = append(keys, value)
	}
	if value := strings.TrimSpace(h.Get("X-API-Key")); value != "" {
		keys = append(keys, value)
	}
	return keys
}

// require lets only holders of the role's key pass.
func (s *Server) require(wanted role, next echo.HandlerFunc) echo.HandlerFunc {
	if wanted == anyone {
		return next
	}
	return func(c echo.Context) error {
		if err := s.authorize(c, wanted); err != nil {
			return err
		}
		return next(c)
	}
}

// authorize checks the request's keys; one that fits is enough. Only wrong keys
// are counted, and a right one passes even while its address is being answered
// 429: behind a NAT or a balancer an address is many clients, and one of them
// with a stale key must not lock out the rest. What makes guessing hopeless is
// the length of the keys; the limit keeps a broken client from filling the log.
func (s *Server) authorize(c echo.Context, wanted role) error {
	keys := presentedKeys(c.Request().Header)
	if len(keys) == 0 {
		return failWith(http.StatusUnauthorized, codeUnauthorized,
			"a key is required: `Authorization: Bearer KEY` or `X-API-Key: KEY`")
	}
	ring := s.state.Load().keys
	other := false
	for _, key := range keys {
		switch ring.role(key) {
		case wanted:
			return nil
		case anyone:
		default:
			other = true
		}
	}
	if other {
		return failWith(http.StatusForbidden, codeForbidden, "this key is not for this operation; use "+wanted.key())
	}
	if !s.wrong.Allow(clientOf(c)) {
		return failWith(http.StatusTooManyRequests, codeRateLimited, "too many wrong keys from this address")
	}
	return failWith(http.StatusUnauthorized, codeUnauthorized, "the key is wrong")
}

// key is the name of the role's key in the settings.
func (r role) key() string {
	if r == dispatcher {
		return "api_key"
	}
	return "cli_key"
}

// clientOf is the address a request came from: IPv4-mapped addresses are IPv4,
// zones are dropped.
func clientOf(c echo.Context) netip.Addr {
	addr, err := netip.ParseAddr(c.RealIP())
	if err != nil {
		return netip.Addr{} // not over TCP; nothing is granted to it
	}
	return addr.Unmap().WithZone("")
}
