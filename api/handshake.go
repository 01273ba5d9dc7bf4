package api

import (
	"encoding/base64"
	"net/http"
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

// credential is what an upgrade may attach with: a token in a subprotocol, else in the
// query, else in the cookie of the session that it names. Nothing is spent on requests
// that cannot become a WebSocket.
func (s *Server) credential(c echo.Context) (gateway.Secret, error) {
	if err := s.checkOrigin(c.Request()); err != nil {
		return "", err
	}
	token := carriedToken(c.Request())
	if token == "" {
		token = cookieToken(c)
	}
	if token == "" {
		return "", failWith(http.StatusUnauthorized, codeUnauthorized,
			"a token is required: as subprotocol `"+tokenPrefix+"TOKEN`, as `?token=`, or in the cookie of `?session=`")
	}
	if err := checkHandshake(c); err != nil {
		return "", err
	}
	return token, s.guessing(c)
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
