package api

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"github.com/coder/websocket"
	"github.com/labstack/echo/v4"
	"golang.org/x/net/http/httpguts"

	"vdi-gateway/gateway"
)

const (
	// binary is the subprotocol answered when it is offered.
	binary = "binary"
	// tokenPrefix marks the subprotocol that carries the token.
	tokenPrefix = "vdi.token."
	// maxToken is far more than any token has; longer ones are not ours.
	maxToken = 256
)

// carry attaches a WebSocket to a tunnel.
//
//	@Summary		Attach to a tunnel through the HTTP port (WebSocket)
//	@Description	With `Upgrade: websocket` and the token of a grant, or a ticket, as subprotocol `vdi.token.TOKEN` beside `binary` (answered: `binary`), or as `?token=`. The token is the credential, no key is needed. Binary frames carry the VM's byte stream. Without an upgrade: 401 without the key, 426 with it.
//	@Tags			client
//	@Security		cli_key
//	@Param			token					query	string	false	"the token, unless a subprotocol carries it"	example(q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA)
//	@Param			Sec-WebSocket-Protocol	header	string	false	"`binary, vdi.token.TOKEN`"						example(binary, vdi.token.q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA)
//	@Success		101						"the tunnel is up"
//	@Failure		400						{object}	errorBody	"BAD_REQUEST: a malformed upgrade"
//	@Failure		401						{object}	errorBody	"UNAUTHORIZED: no or unknown token"
//	@Failure		403						{object}	errorBody	"FORBIDDEN: a foreign origin, another address, another VM than allowed"
//	@Failure		409						{object}	errorBody	"GRANT_USED: attached before"
//	@Failure		410						{object}	errorBody	"GRANT_EXPIRED"
//	@Failure		423						{object}	errorBody	"DISABLED"
//	@Failure		426						{object}	errorBody	"UPGRADE_REQUIRED"
//	@Failure		429						{object}	errorBody	"RATE_LIMITED, with Retry-After"
//	@Failure		500						{object}	errorBody	"INTERNAL"
//	@Failure		502						{object}	errorBody	"VM_UNREACHABLE"
//	@Failure		503						{object}	errorBody	"OVERLOADED, DRAINING, with Retry-After"
//	@Failure		504						{object}	errorBody	"VM_TIMEOUT"
//	@Router			/v3/connect/ [get]
func (s *Server) carry(c echo.Context) error {
	r := c.Request()
	if !wantsUpgrade(r.Header) {
		return s.askForUpgrade(c)
	}
	if !sameOrigin(r) {
		return failWith(http.StatusForbidden, codeForbidden, "pages of another origin may not attach")
	}
	token := carriedToken(r)
	if token == "" {
		return failWith(http.StatusUnauthorized, codeUnauthorized,
			"a token is required: as subprotocol `"+tokenPrefix+"TOKEN` or as `?token=`")
	}
	if err := checkHandshake(c); err != nil {
		return err
	}
	attachment, err := patiently(c, func() (*gateway.Attachment, error) {
		return s.deps.Gateway.Attach(r.Context(), token, clientOf(c))
	})
	if err != nil {
		return err
	}
	return s.serveLeg(c, attachment)
}

// askForUpgrade answers a request that is no WebSocket.
func (s *Server) askForUpgrade(c echo.Context) error {
	if err := s.authorize(c, client); err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set(echo.HeaderUpgrade, "websocket")
	h.Set(echo.HeaderConnection, "Upgrade")
	return failWith(http.StatusUpgradeRequired, codeUpgradeRequired, "this path speaks WebSocket: send Upgrade: websocket")
}

// serveLeg upgrades the connection and relays until either side ends.
func (s *Server) serveLeg(c echo.Context, attachment *gateway.Attachment) error {
	conn := connOf(c.Request())
	ws, err := websocket.Accept(c.Response(), c.Request(), &websocket.AcceptOptions{
		Subprotocols:       []string{binary},
		InsecureSkipVerify: true, // sameOrigin looked closer, at the scheme too
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		attachment.Abort()
		return err
	}
	leg := newLeg(ws, conn.TCPConn)
	ctx, cancel := context.WithCancel(s.stopping)
	pinged := make(chan struct{})
	go func() {
		defer close(pinged)
		leg.ping(ctx, s.state.Load().PingInterval)
	}()
	reason := attachment.Serve(ctx, leg, conn.TCPConn)
	cancel()
	<-pinged
	leg.finish(string(reason))
	return nil
}

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
