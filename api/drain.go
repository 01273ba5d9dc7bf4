package api

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// drainBody turns draining on or off.
type drainBody struct {
	Node *string `json:"node" example:"10.0.0.1"` // default: the node that is asked
	On   *bool   `json:"on" example:"true" validate:"required"`
} // @name DrainRequest

// drainAnswer says what a node does now.
type drainAnswer struct {
	Node string `json:"node" example:"10.0.0.1"`
	On   bool   `json:"on" example:"true"`
} // @name Drain

// drain turns draining of a node on or off.
//
//	@Summary		Let a node run empty
//	@Description	A draining node opens no new sessions (503 DRAINING where no other can take them); running ones stay. It survives a restart.
//	@Tags			dispatcher
//	@Security		api_key
//	@Param			body	body		drainBody	true	"`on` is required"
//	@Success		200		{object}	drainAnswer
//	@Failure		400		{object}	errorBody	"BAD_JSON"
//	@Failure		401		{object}	errorBody	"UNAUTHORIZED"
//	@Failure		403		{object}	errorBody	"FORBIDDEN"
//	@Failure		404		{object}	errorBody	"NOT_FOUND: no such node"
//	@Failure		413		{object}	errorBody	"TOO_LARGE"
//	@Failure		415		{object}	errorBody	"UNSUPPORTED_MEDIA_TYPE"
//	@Failure		422		{object}	errorBody	"VALIDATION"
//	@Failure		424		{object}	errorBody	"NODE_REJECTED: that node gives no answer"
//	@Failure		429		{object}	errorBody	"RATE_LIMITED: too many wrong keys"
//	@Failure		500		{object}	errorBody	"INTERNAL"
//	@Router			/v3/drain/ [post]
func (s *Server) drain(c echo.Context) error {
	var body drainBody
	f, err := decode(c, &body)
	if err != nil {
		return err
	}
	if body.On == nil {
		f.add("on", "is required")
	}
	answer := drainAnswer{On: value(body.On)}
	if a := f.address("node", body.Node); a.IsValid() {
		answer.Node = a.String()
	}
	if err := f.err(); err != nil {
		return err
	}
	if err := s.deps.Drain(c.Request().Context(), answer.Node, answer.On); err != nil {
		return err
	}
	if answer.Node == "" {
		answer.Node = s.state.Load().node()
	}
	return c.JSON(http.StatusOK, answer)
}
