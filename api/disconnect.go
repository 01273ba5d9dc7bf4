package api

import (
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"vdi-gateway/gateway"
)

// disconnectBody says which connections to end: exactly one of the first six.
type disconnectBody struct {
	ConnectionID  *string   `json:"connection_id" example:"0f8fad5b-d9cb-469f-a165-70867728950e"`
	ConnectionIDs *[]string `json:"connection_ids"`
	User          *string   `json:"user"`
	VMAddress     *string   `json:"vm_address"`
	ClientAddr    *string   `json:"client_addr"`
	All           *bool     `json:"all"`
	Reason        *string   `json:"reason" example:"the desktop is being moved" maxLength:"256"` // for the journal
	Scope         *string   `json:"scope" example:"cluster" enums:"node,cluster" default:"cluster"`
} // @name DisconnectRequest

// selector checks that exactly one selector is given, and returns it.
func (b *disconnectBody) selector(f *fields) gateway.Selector {
	var sel gateway.Selector
	given := 0
	pick := func(there bool, take func()) {
		if there {
			given++
			take()
		}
	}
	pick(b.ConnectionID != nil, func() { sel.IDs = f.ids([]string{f.name("connection_id", b.ConnectionID)}) })
	pick(b.ConnectionIDs != nil, func() { sel.IDs = f.ids(*b.ConnectionIDs) })
	pick(b.User != nil, func() { sel.User = b.User; f.name("user", b.User) })
	pick(b.VMAddress != nil, func() { sel.VMAddr = b.VMAddress; f.host("vm_address", b.VMAddress) })
	pick(b.ClientAddr != nil, func() { sel.Client = f.address("client_addr", b.ClientAddr) })
	pick(value(b.All), func() { sel.All = true })
	if given > 1 || given == 0 && !f.blamed("connection_id", "connection_ids", "user", "vm_address", "client_addr", "all") {
		f.add("selector", "give exactly one of connection_id, connection_ids, user, vm_address, client_addr and all: true; got %d", given)
	}
	return sel
}

func (f *fields) ids(texts []string) []gateway.ConnectionID {
	ids := make([]gateway.ConnectionID, 0, len(texts))
	for i, text := range texts {
		ids = append(ids, gateway.ConnectionID(f.text("connection_ids["+strconv.Itoa(i)+"]", &text)))
	}
	return ids
}

// disconnectAnswer says what has ended.
type disconnectAnswer struct {
	Disconnected []string `json:"disconnected" example:"0f8fad5b-d9cb-469f-a165-70867728950e"`
	NotFound     []string `json:"not_found" example:""`
	Count        int      `json:"count" example:"1"`
	// Nodes of the scope that did not answer; what they serve may go on.
	MissingNodes []string `json:"missing_nodes,omitempty" example:"10.0.0.2"`
} // @name Disconnected

// disconnect ends connections.
//
//	@Summary		End connections
//	@Description	Both legs are closed at once; grants and tickets of the selection are revoked. Exactly one selector.
//	@Tags			dispatcher
//	@Security		api_key
//	@Param			body	body		disconnectBody	true	"one selector"
//	@Success		200		{object}	disconnectAnswer
//	@Failure		400		{object}	errorBody	"BAD_JSON"
//	@Failure		401		{object}	errorBody	"UNAUTHORIZED"
//	@Failure		403		{object}	errorBody	"FORBIDDEN"
//	@Failure		413		{object}	errorBody	"TOO_LARGE"
//	@Failure		415		{object}	errorBody	"UNSUPPORTED_MEDIA_TYPE"
//	@Failure		422		{object}	errorBody	"VALIDATION: no selector, or several"
//	@Failure		429		{object}	errorBody	"RATE_LIMITED: too many wrong keys"
//	@Failure		500		{object}	errorBody	"INTERNAL"
//	@Router			/v3/disconnect/ [post]
func (s *Server) disconnect(c echo.Context) error {
	var body disconnectBody
	f, err := decode(c, &body)
	if err != nil {
		return err
	}
	selector := body.selector(f)
	reason := f.text("reason", body.Reason)
	scope := f.choice("scope", body.Scope, scopeNode, scopeCluster)
	if err := f.err(); err != nil {
		return err
	}
	ended, missing, err := s.ender(scope).Disconnect(c.Request().Context(), selector, reason)
	unheard, err := silent(err)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, disconnectAnswer{
		Disconnected: idTexts(ended), NotFound: idTexts(missing), Count: len(ended),
		MissingNodes: unheard,
	})
}

func idTexts(ids []gateway.ConnectionID) []string {
	texts := make([]string, 0, len(ids))
	for _, id := range ids {
		texts = append(texts, string(id))
	}
	return texts
}
