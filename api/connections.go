package api

import (
	"encoding/base64"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"vdi-gateway/gateway"
)

const (
	pageDefault = 1000
	pageMax     = 10000
)

// What a list or an end is about.
const (
	scopeNode    = "node"
	scopeCluster = "cluster"
)

// connectionEntry describes a grant and its use.
type connectionEntry struct {
	ConnectionID   string     `json:"connection_id" example:"0f8fad5b-d9cb-469f-a165-70867728950e"`
	Node           string     `json:"node" example:"10.0.0.1"`
	State          string     `json:"state" example:"active" enums:"granted,active"`
	User           string     `json:"user" example:"alice"`
	VMID           string     `json:"vm_id" example:"desktop-17"`
	VMAddress      string     `json:"vm_address" example:"10.1.2.3"`
	VMPort         uint16     `json:"vm_port" example:"5901"`
	Protocol       string     `json:"protocol" example:"vnc"`
	ClientAddr     string     `json:"client_addr" example:"203.0.113.7"`
	Port           uint16     `json:"port" example:"5937"` // 0 in mode websocket
	Mode           string     `json:"mode" example:"port" enums:"port,websocket"`
	Channels       int        `json:"channels" example:"1"`         // open now
	BytesUp        int64      `json:"bytes_up" example:"1048576"`   // client to VM
	BytesDown      int64      `json:"bytes_down" example:"8388608"` // VM to client
	RTTMS          *float64   `json:"rtt_ms" example:"1.25"`        // null: not known
	OpenedAt       *time.Time `json:"opened_at" example:"2026-11-22T10:00:00Z"`
	ConnectedAt    *time.Time `json:"connected_at" example:"2026-11-22T10:00:01Z"`     // null: never
	LastActivityAt *time.Time `json:"last_activity_at" example:"2026-11-22T10:00:09Z"` // null: never
} // @name Connection

// connectionsAnswer is one page of a listing.
type connectionsAnswer struct {
	Node        string            `json:"node" example:"10.0.0.1"`
	Version     string            `json:"version" example:"0.1.0"`
	Total       int               `json:"total" example:"1"` // on all pages
	Next        *string           `json:"next" example:""`   // cursor of the next page; null: none
	Connections []connectionEntry `json:"connections"`
	// Nodes of the scope whose connections are not known for want of an answer.
	MissingNodes []string `json:"missing_nodes,omitempty" example:"10.0.0.2"`
} // @name Connections

// getConnections lists connections.
//
//	@Summary		List connections, oldest first
//	@Tags			dispatcher
//	@Security		api_key
//	@Param			scope		query		string	false	"this node's, or those of all"		Enums(node, cluster)	default(node)	example(cluster)
//	@Param			state		query		string	false	"only these"						Enums(granted, active)	example(active)
//	@Param			user		query		string	false	"only this user's"					example(alice)
//	@Param			vm_address	query		string	false	"only to this VM"					example(10.1.2.3)
//	@Param			client_addr	query		string	false	"only from this address"			example(203.0.113.7)
//	@Param			limit		query		integer	false	"entries of a page"					minimum(1)	maximum(10000)	default(1000)	example(100)
//	@Param			cursor		query		string	false	"`next` of the page before"
//	@Success		200			{object}	connectionsAnswer
//	@Failure		401			{object}	errorBody	"UNAUTHORIZED"
//	@Failure		403			{object}	errorBody	"FORBIDDEN"
//	@Failure		422			{object}	errorBody	"VALIDATION"
//	@Failure		429			{object}	errorBody	"RATE_LIMITED: too many wrong keys"
//	@Failure		500			{object}	errorBody	"INTERNAL"
//	@Router			/v3/get_connections/ [get]
func (s *Server) getConnections(c echo.Context) error {
	q := newQuery(c, "scope", "state", "user", "vm_address", "client_addr", "limit", "cursor")
	filter := q.filter()
	if err := q.err(); err != nil {
		return err
	}
	limit := filter.Limit
	filter.Limit++ // one more tells whether there is a next page
	found, total, err := s.connections(c.Request().Context(), value(q.text("scope")), filter)
	unheard, err := silent(err)
	if err != nil {
		return err
	}
	answer := connectionsAnswer{
		Node: s.state.Load().node(), Version: s.deps.Version, Total: total,
		Connections: make([]connectionEntry, 0, min(len(found), limit)), MissingNodes: unheard,
	}
	if len(found) > limit {
		found = found[:limit]
		next := formatCursor(found[limit-1])
		answer.Next = &next
	}
	for _, entry := range found {
		answer.Connections = append(answer.Connections, describeConnection(entry))
	}
	return c.JSON(http.StatusOK, answer)
}

func (q *query) filter() gateway.Filter {
	q.choice("scope", q.text("scope"), scopeNode, scopeCluster)
	after, ok := parseCursor(value(q.text("cursor")))
	if !ok {
		q.add("cursor", "must be `next` of a former answer")
	}
	return gateway.Filter{
		State:  gateway.State(q.choice("state", q.text("state"), string(gateway.StateGranted), string(gateway.StateActive))),
		User:   q.fields.text("user", q.text("user")),
		VMAddr: q.host("vm_address", q.text("vm_address")),
		Client: q.address("client_addr", q.text("client_addr")),
		After:  after,
		Limit:  q.number("limit", pageDefault, 1, pageMax),
	}
}

func describeConnection(c gateway.Connection) connectionEntry {
	return connectionEntry{
		ConnectionID: string(c.ID), Node: addrText(c.Node), State: string(c.State), User: c.User, VMID: c.VMID,
		VMAddress: c.VMAddr, VMPort: c.VMPort, Protocol: string(c.Protocol),
		ClientAddr: addrText(c.Client), Port: c.Port, Mode: string(c.Mode), Channels: c.Channels,
		BytesUp: c.BytesUp, BytesDown: c.BytesDown, RTTMS: milliseconds(c.RTT),
		OpenedAt: moment(c.OpenedAt), ConnectedAt: moment(c.ConnectedAt), LastActivityAt: moment(c.LastActivity),
	}
}

func milliseconds(d time.Duration) *float64 {
	if d == 0 {
		return nil
	}
	ms := math.Round(float64(d)/float64(time.Microsecond)) / 1000
	return &ms
}

// formatCursor encodes the place behind a connection. Clients see no structure
// in it, so that it may change.
func formatCursor(last gateway.Connection) string {
	place := strconv.FormatInt(last.OpenedAt.UnixNano(), 36) + " " + string(last.ID)
	return base64.RawURLEncoding.EncodeToString([]byte(place))
}

// parseCursor undoes formatCursor; "" is the beginning.
func parseCursor(cursor string) (after gateway.Place, ok bool) {
	if cursor == "" {
		return gateway.Place{}, true
	}
	place, err := base64.RawURLEncoding.DecodeString(cursor)
	at, id, found := strings.Cut(string(place), " ")
	nanos, numErr := strconv.ParseInt(at, 36, 64)
	if err != nil || numErr != nil || !found || id == "" || len(id) > maxText {
		return gateway.Place{}, false
	}
	return gateway.Place{OpenedAt: time.Unix(0, nanos), ID: gateway.ConnectionID(id)}, true
}
