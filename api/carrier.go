package api

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"vdi-gateway/gateway"
)

// subprotocol is answered when it is offered.
const subprotocol = "binary"

// carry attaches a WebSocket to a tunnel.
//
//	@Summary		Attach to a tunnel through the HTTP port (WebSocket)
//	@Description	With `Upgrade: websocket` and the token of a grant, or a ticket, as subprotocol `vdi.token.TOKEN` beside `binary` (answered: `binary`), or as `?token=`, or in the cookie of a session of the console that `?session=` names; in this order. The token is the credential, no key is needed. Binary frames carry the VM's byte stream. Without an upgrade: 401 without the key, 426 with it.
//	@Tags			client
//	@Security		cli_key
//	@Param			token					query	string	false	"the token, unless a subprotocol carries it"	example(q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA)
//	@Param			session					query	string	false	"a session of the console: its cookie carries the token"	example(0123456789abcdef)
//	@Param			Sec-WebSocket-Protocol	header	string	false	"`binary, vdi.token.TOKEN`"						example(binary, vdi.token.q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA)
//	@Success		101						"the tunnel is up"
//	@Failure		400						{object}	errorBody	"BAD_REQUEST: a malformed upgrade"
//	@Failure		401						{object}	errorBody	"UNAUTHORIZED: no or unknown token"
//	@Failure		403						{object}	errorBody	"FORBIDDEN: a foreign origin, another address, another VM than allowed"
//	@Failure		409						{object}	errorBody	"GRANT_USED: attached before; DESKTOP_IN_USE: by somebody else"
//	@Failure		410						{object}	errorBody	"GRANT_EXPIRED"
//	@Failure		423						{object}	errorBody	"DISABLED"
//	@Failure		426						{object}	errorBody	"UPGRADE_REQUIRED"
//	@Failure		429						{object}	errorBody	"RATE_LIMITED, also too many unknown tokens; with Retry-After"
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
	token, err := s.credential(c)
	if err != nil {
		return err
	}
	if node := s.owner(c, "", token); node.IsValid() {
		return s.forward(c, c.Request(), node, nil)
	}
	attachment, err := patiently(c, func() (*gateway.Attachment, error) {
		return s.deps.Gateway.Attach(r.Context(), token, clientOf(c))
	})
	if err != nil {
		return s.guessed(c, unseen(err))
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

// serveLeg upgrades the connection and leaves it to the gateway.
func (s *Server) serveLeg(c echo.Context, attachment *gateway.Attachment) error {
	leg, err := s.upgrade(c)
	if err != nil {
		attachment.Abort()
		return err
	}
	attachment.Serve(leg)
	return nil
}
