package api

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/sirupsen/logrus"

	"vdi-gateway/api/certificate"
	"vdi-gateway/gateway"
	"vdi-gateway/settingsdb"
)

//go:generate go tool swag init --quiet --dir ./,../settingsdb --generalInfo api.go --outputTypes json --output ./swagger

// General information of the Swagger file:
//
//	@title			vdi-gateway
//	@version		0
//	@description	A gateway for external users of virtual desktops. The dispatcher (`api_key`) makes tickets, watches and ends connections and changes settings; the client (`cli_key`) opens tunnels. Press *Authorize* and paste a key.
//	@description	Every path works with and without the slash at its end. Errors list everything that is wrong: `{"errors":[{"code","message","field"}],"request_id"}`. Bodies are JSON of 64 KiB at most; unknown fields are refused by name. `X-Request-Id` is echoed or made.
//	@description	In a cluster any node takes requests for every node: `/v3/nodes/{node}/PATH` is `/v3/PATH` at the node of that address (404 when there is none, 508 `LOOP` when it was passed on already).
//	@accept			json
//	@produce		json
//	@tag.name		client
//	@tag.description	With `cli_key`: open, renew and give back tunnels.
//	@tag.name		dispatcher
//	@tag.description	With `api_key`: settings, connections, tickets, health.
//	@tag.name		console
//	@tag.description	What the page at /console/ asks, with a ticket.
//	@tag.name		probes
//	@tag.description	Open to all, without detail.
//	@securityDefinitions.apikey	api_key
//	@in				header
//	@name			Authorization
//	@description	The dispatcher's key: `KEY` or `Bearer KEY`; `X-API-Key: KEY` works as well.
//	@securityDefinitions.apikey	cli_key
//	@in				header
//	@name			Authorization
//	@description	The client's key: `KEY` or `Bearer KEY`; `X-API-Key: KEY` works as well.

// Deps are what the API needs of the other parts. All are required but those of
// a cluster, Internal, Cluster and Elsewhere, and Opened.
type Deps struct {
	Gateway  *gateway.Gateway
	Settings Settings
	// Health describes the node. It is asked at every call of health.
	Health func(context.Context) Health
	// Ready tells whether the node serves; it must be cheap.
	Ready func() bool
	// Drain turns draining of a node on or off; "" is this node. Another
	// node than those known is ErrNoSuchNode.
	Drain func(ctx context.Context, node string, on bool) error
	// Failover has the node with the virtual address hand it over, and names
	// it. ErrNobodyActive, ErrNoSuccessor: nothing has changed.
	Failover func(ctx context.Context) (string, error)
	Version  string // shown beside the title of the Swagger UI
	Log      logrus.FieldLogger

	// Admit decides about everybody who comes in, by the address that a PROXY
	// header names where there is one. It must not block. nil: all.
	Admit func(client netip.Addr) bool

	// TLS is spoken to who speaks it; nil: to nobody.
	TLS *certificate.Keeper

	// Internal serves what nodes ask of each other, below /internal/. It sees
	// the addresses of the wire and checks by itself who asks. nil: nobody.
	Internal http.Handler
	// Cluster reaches the other nodes; nil: this one is alone.
	Cluster Cluster
	// Elsewhere tells which other living node serves a connection, by its id or,
	// where that is "", by its token; invalid: this one, or nobody.
	Elsewhere func(gateway.ConnectionID, gateway.Secret) netip.Addr
	// Opened is told how long each open_connection took that this node answered,
	// and the code of its error, "" when there is a tunnel; nil: nobody listens.
	Opened func(took time.Duration, code string)
}

// Settings is the settings document of the cluster and the way to change it.
type Settings interface {
	// Current returns the applied document and its revision.
	Current() (settingsdb.Settings, int64)
	// Change checks and applies a posted document, or changes nothing and
	// returns settingsdb.Problems, ErrRevisionMismatch, ErrChangeInProgress
	// or a *NodeRejected.
	Change(ctx context.Context, r ChangeRequest) (ChangeResult, error)
	// Confirm keeps a change that would be rolled back and returns its
	// revision, or ErrNothingToConfirm.
	Confirm(ctx context.Context) (int64, error)
}

// ChangeRequest is a posted settings document and how to treat it.
type ChangeRequest struct {
	Body    []byte        // whole or partial document, JSON
	IfMatch *int64        // the revision it was made for; nil: any
	DryRun  bool          // check only
	Confirm time.Duration // roll back unless confirmed within; 0: keep
	Author  string        // for the history
	Caller  netip.Addr    // who asks
}

// role is whose key an operation asks for.
type role int

const (
	anyone     role = iota // to all
	client                 // cli_key
	dispatcher             // api_key
)

// operation is one entry of the API. Under /v3 it answers with and without the
// slash at the end of its path.
type operation struct {
	method, path string
	role         role
	zip          bool // may be compressed: carries no token, key or ticket
	handle       echo.HandlerFunc
}

// paths are those the operation is served at.
func (o operation) paths() []string {
	if bare, ok := strings.CutSuffix(o.path, "/"); ok {
		return []string{o.path, bare}
	}
	return []string{o.path}
}

func (s *Server) operations() []operation {
	return []operation{
		{http.MethodPost, "/v3/open_connection/", client, false, s.counted(s.openConnection)},
		{http.MethodPost, "/v3/connect/", client, false, s.renew},
		{http.MethodGet, "/v3/connect/", anyone, false, s.carry}, // the token is the key
		{http.MethodPost, "/v3/close_connection/", client, false, s.closeConnection},

		{http.MethodGet, "/v3/get_settings/", dispatcher, false, s.getSettings},
		{http.MethodPost, "/v3/change_settings/", dispatcher, false, s.changeSettings},
		{http.MethodPost, "/v3/confirm_settings/", dispatcher, false, s.confirmSettings},
		{http.MethodGet, "/v3/get_connections/", dispatcher, true, s.getConnections},
		{http.MethodPost, "/v3/disconnect/", dispatcher, true, s.disconnect},
		{http.MethodGet, "/v3/health/", dispatcher, true, s.health},
		{http.MethodPost, "/v3/tickets/", dispatcher, false, s.makeTicket},
		{http.MethodPost, "/v3/drain/", dispatcher, true, s.drain},
		{http.MethodPost, "/v3/failover/", dispatcher, true, s.failover},

		{http.MethodPost, "/console/session", anyone, false, s.beginConsole}, // the ticket is the key
		{http.MethodPost, "/console/resume", anyone, false, s.resumeConsole}, // likewise

		{http.MethodGet, "/livez", anyone, false, s.live},
		{http.MethodGet, "/readyz", anyone, false, s.ready},
	}
}
