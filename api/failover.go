package api

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// failoverAnswer names the node that had the virtual address until now.
type failoverAnswer struct {
	Node string `json:"node" example:"10.0.0.1"`
} // @name Failover

// failover has the virtual address move to another node.
//
//	@Summary		Move the virtual address to another node
//	@Description	The node that holds it hands it over, whichever node is asked, and does not take it back by itself. When no other node takes over it stays. Sessions through the virtual address end as at every failover.
//	@Tags			dispatcher
//	@Security		api_key
//	@Success		200	{object}	failoverAnswer
//	@Failure		400	{object}	errorBody	"BAD_JSON"
//	@Failure		401	{object}	errorBody	"UNAUTHORIZED"
//	@Failure		403	{object}	errorBody	"FORBIDDEN"
//	@Failure		409	{object}	errorBody	"NOT_ACTIVE: no node has the address; NO_SUCCESSOR: nobody took over"
//	@Failure		413	{object}	errorBody	"TOO_LARGE"
//	@Failure		415	{object}	errorBody	"UNSUPPORTED_MEDIA_TYPE"
//	@Failure		422	{object}	errorBody	"VALIDATION: a body is not needed and has no fields"
//	@Failure		424	{object}	errorBody	"NODE_REJECTED: the node that has it gives no answer"
//	@Failure		429	{object}	errorBody	"RATE_LIMITED: too many wrong keys"
//	@Failure		500	{object}	errorBody	"INTERNAL"
//	@Router			/v3/failover/ [post]
func (s *Server) failover(c echo.Context) error {
	if err := noFields(c); err != nil {
		return err
	}
	node, err := s.deps.Failover(c.Request().Context())
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, failoverAnswer{Node: node})
}
