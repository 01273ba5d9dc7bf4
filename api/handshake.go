package api

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"
	"golang.org/x/net/http/httpguts"

	"vdi-gateway/gateway"
)

// tokenPrefix marks the subprotocol that carries the token.
const tokenPrefix = "vdi.token."

func wantsUpgrade(h http.Header) bool {
	return httpguts.HeaderValuesContainsToken(h["Connection"], "upgrade") &&
		httpguts.HeaderValuesContainsToken(h["Upgrade"], "websocket")
}

// checkHandshake refuses a malformed handshake (RFC 6455 section 4.2.1) before
// a token is spent on it.
func checkHandshake(c echo.Context) error {
	r := c.Request()
	keys := r.Header["Sec-Websocket-Key"]
	malformed := ""
	switch {
	case !r.ProtoAtLeast(1, 1):
		malformed = "an upgrade needs HTTP/1.1"
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		c.Response().Header().Set("Sec-WebSocket-Version", "13")
		malformed = "Sec-WebSocket-Version must be 13"
	case len(keys) != 1 || !isHandshakeKey(keys[0]):
		malformed = "Sec-WebSocket-Key must be 16 bytes in base64, once"
	}
	if malformed != "" {
		return failWith(http.StatusBadRequest, codeBadRequest, malformed)
	}
	return nil
}

func isHandshakeKey(text string) bool {
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	return err == nil && len(key) == 16
}

// carriedToken is the token of an upgrade; "" when there is none. A subprotocol
// wins over the query, and the last of several values over the others.
func carriedToken(r *http.Request) gateway.Secret {
	token := ""
	for _, offered := range r.Header["Sec-Websocket-Protocol"] {
		for _, protocol := range strings.Split(offered, ",") {
			if t, ok := strings.CutPrefix(strings.TrimSpace(protocol), tokenPrefix); ok && t != "" {
				token = t
			}
		}
	}
	if token == "" {
		if given := r.URL.Query()["token"]; len(given) > 0 {
			token = given[len(given)-1]
		}
	}
	return gateway.Secret(token)
}

// sameOrigin tells whether a request may come from the page it says: none (not
// a browser), or one of this very scheme, host and port.
func sameOrigin(r *http.Request) bool {
	given, present := r.Header["Origin"]
	if !present {
		return true
	}
	if len(given) != 1 {
		return false
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	origin, err := url.Parse(given[0])
	if err != nil || origin.Scheme != scheme || origin.Host == "" || given[0] != origin.Scheme+"://"+origin.Host {
		return false
	}
	return authority(origin.Host, scheme) == authority(r.Host, scheme)
}

// authority is a host with its port, in the one form it is compared in.
func authority(host, scheme string) string {
	host = strings.ToLower(host)
	return strings.TrimSuffix(host, map[string]string{"http": ":80", "https": ":443"}[scheme])
}
