package api

import (
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"vdi-gateway/gateway"
)

// grantBody names a grant and proves that it is the caller's.
type grantBody struct {
	ConnectionID *string `json:"connection_id" example:"0f8fad5b-d9cb-469f-a165-70867728950e"`
	Token        *string `json:"token" example:"q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"`
} // @name GrantToken

// leaseAnswer describes a renewed grant.
type leaseAnswer struct {
	ConnectionID string     `json:"connection_id" example:"0f8fad5b-d9cb-469f-a165-70867728950e"`
	State        string     `json:"state" example:"active" enums:"granted,active"`
	Address      string     `json:"address" example:"vdi.example.com"`
	Port         uint16     `json:"port" example:"5937"`
	ExpiresAt    *time.Time `json:"expires_at" example:"2026-11-22T10:00:30Z"`
	HeartbeatS   int        `json:"heartbeat_s" example:"20"`
} // @name Lease

// closedAnswer says which grant has ended.
type closedAnswer struct {
	ConnectionID string `json:"connection_id" example:"0f8fad5b-d9cb-469f-a165-70867728950e"`
	Closed       bool   `json:"closed" example:"true"`
} // @name Closed

// onGrant reads a body that names a grant, and lets do serve it: here, or on the
// node that has it.
func (s *Server) onGrant(c echo.Context, do func(gateway.ConnectionID, gateway.Secret) error) error {
	data, err := readBody(c)
	if err != nil {
		return err
	}
	var body grantBody
	f, err := decodeBytes(data, &body)
	if err != nil {
		return err
	}
	id := gateway.ConnectionID(f.needed("connection_id", body.ConnectionID))
	token := gateway.Secret(f.needed("token", body.Token))
	if err := f.err(); err != nil {
		return err
	}
	if node := s.owner(c, id, token); node.IsValid() {
		return s.forward(c, c.Request(), node, data)
	}
	err = do(id, token)
	if errors.Is(err, gateway.ErrNotFound) { // another node may have taken it over just now
		if node := s.heir(c, id, token); node.IsValid() {
			return s.forward(c, c.Request(), node, data)
		}
	}
	return err
}

// renew extends a grant.
//
//	@Summary		Renew a grant
//	@Description	Extends the grant by its `ttl_s`. In mode `port` only its own address may. Call it every `heartbeat_s` while the tunnel is to be kept without a connection.
//	@Tags			client
//	@Security		cli_key
//	@Param			body	body		grantBody	true	"the grant and its token"
//	@Success		200		{object}	leaseAnswer
//	@Failure		400		{object}	errorBody	"BAD_JSON"
//	@Failure		401		{object}	errorBody	"UNAUTHORIZED"
//	@Failure		403		{object}	errorBody	"FORBIDDEN: another address, token or role"
//	@Failure		404		{object}	errorBody	"NOT_FOUND"
//	@Failure		410		{object}	errorBody	"GRANT_EXPIRED"
//	@Failure		413		{object}	errorBody	"TOO_LARGE"
//	@Failure		415		{object}	errorBody	"UNSUPPORTED_MEDIA_TYPE"
//	@Failure		422		{object}	errorBody	"VALIDATION"
//	@Failure		429		{object}	errorBody	"RATE_LIMITED: too many wrong keys"
//	@Failure		500		{object}	errorBody	"INTERNAL"
//	@Failure		503		{object}	errorBody	"OVERLOADED: the node that serves it does not answer; with Retry-After"
//	@Router			/v3/connect/ [post]
func (s *Server) renew(c echo.Context) error {
	return s.onGrant(c, func(id gateway.ConnectionID, token gateway.Secret) error {
		lease, err := s.deps.Gateway.Renew(c.Request().Context(), id, token, clientOf(c))
		if err != nil {
			return err
		}
		return c.JSON(http.StatusOK, leaseAnswer{
			ConnectionID: string(lease.ID), State: string(lease.State), Address: lease.Addr, Port: lease.Port,
			ExpiresAt: moment(lease.ExpiresAt), HeartbeatS: max(1, int(lease.Heartbeat/time.Second)),
		})
	})
}

// closeConnection gives a grant back.
//
//	@Summary		Give a grant back
//	@Description	Its sessions end and its port is free.
//	@Tags			client
//	@Security		cli_key
//	@Param			body	body		grantBody	true	"the grant and its token"
//	@Success		200		{object}	closedAnswer
//	@Failure		400		{object}	errorBody	"BAD_JSON"
//	@Failure		401		{object}	errorBody	"UNAUTHORIZED"
//	@Failure		403		{object}	errorBody	"FORBIDDEN: another address, token or role"
//	@Failure		404		{object}	errorBody	"NOT_FOUND"
//	@Failure		410		{object}	errorBody	"GRANT_EXPIRED"
//	@Failure		413		{object}	errorBody	"TOO_LARGE"
//	@Failure		415		{object}	errorBody	"UNSUPPORTED_MEDIA_TYPE"
//	@Failure		422		{object}	errorBody	"VALIDATION"
//	@Failure		429		{object}	errorBody	"RATE_LIMITED: too many wrong keys"
//	@Failure		500		{object}	errorBody	"INTERNAL"
//	@Failure		503		{object}	errorBody	"OVERLOADED: the node that serves it does not answer; with Retry-After"
//	@Router			/v3/close_connection/ [post]
func (s *Server) closeConnection(c echo.Context) error {
	return s.onGrant(c, func(id gateway.ConnectionID, token gateway.Secret) error {
		if err := s.deps.Gateway.GiveBack(c.Request().Context(), id, token, clientOf(c)); err != nil {
			return err
		}
		return c.JSON(http.StatusOK, closedAnswer{ConnectionID: string(id), Closed: true})
	})
}
