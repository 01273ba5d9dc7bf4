package api

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// Health describes a node and, as far as it knows, its cluster.
type Health struct {
	Status           string       `json:"status" example:"ok" enums:"ok,degraded,draining,disabled,fail,starting"`
	Node             string       `json:"node" example:"10.0.0.1"`
	Version          string       `json:"version" example:"0.1.0"`
	UptimeS          int64        `json:"uptime_s" example:"86400"`
	Role             string       `json:"role" example:"none" enums:"active,backup,fault,none"`
	VirtualAddr      VirtualAddr  `json:"virtual_addr"`
	Cluster          []Member     `json:"cluster"`
	Capacity         Capacity     `json:"capacity"`
	Dispatchers      []Dispatcher `json:"dispatchers"`
	Checks           []Check      `json:"checks"`
	SettingsRevision int64        `json:"settings_revision" example:"17"`
} // @name Health

// VirtualAddr is the VRRP address as this node sees it. Since is when it was
// taken or given up, null if it never was.
type VirtualAddr struct {
	Addr  string     `json:"addr" example:""`
	Held  bool       `json:"held" example:"false"`
	Since *time.Time `json:"since" example:"2026-11-22T10:00:00Z"`
} // @name VirtualAddr

// Member is one node of the cluster.
type Member struct {
	Node        string `json:"node" example:"10.0.0.1"`
	Addr        string `json:"addr" example:"10.0.0.1"`
	Alive       bool   `json:"alive" example:"true"`
	Role        string `json:"role" example:"none"`
	Connections int    `json:"connections" example:"12"`
	Revision    int64  `json:"revision" example:"17"`
} // @name Member

// Capacity is how much room a node has. Max 0 means no limit; FreePorts are
// ports of the range without any grant.
type Capacity struct {
	Max       int `json:"max" example:"10000"`
	Used      int `json:"used" example:"12"`
	FreePorts int `json:"free_ports" example:"88"`
} // @name Capacity

// Dispatcher is one target of the service tunnel.
type Dispatcher struct {
	Addr string `json:"addr" example:"10.244.32.32:4200"`
	OK   bool   `json:"ok" example:"true"`
} // @name Dispatcher

// Check is the outcome of one check.
type Check struct {
	Name   string `json:"name" example:"tunnel"`
	OK     bool   `json:"ok" example:"true"`
	Detail string `json:"detail" example:"bytes went through a tunnel and came back"`
} // @name Check

// serves tells whether a node of this health takes sessions or at least keeps
// those it has.
func (h *Health) serves() bool {
	return h.Status == "ok" || h.Status == "degraded" || h.Status == "draining"
}

// filled has empty lists instead of none, so that they are never null.
func (h Health) filled() Health {
	h.Cluster, h.Dispatchers, h.Checks = list(h.Cluster), list(h.Dispatchers), list(h.Checks)
	return h
}

// health describes the node.
//
//	@Summary		Health of this node
//	@Description	200 while the node serves, also degraded and draining; 503 for starting, disabled and fail. One check sends bytes through a real tunnel of this node.
//	@Tags			dispatcher
//	@Security		api_key
//	@Success		200	{object}	Health
//	@Failure		401	{object}	errorBody	"UNAUTHORIZED"
//	@Failure		403	{object}	errorBody	"FORBIDDEN"
//	@Failure		429	{object}	errorBody	"RATE_LIMITED: too many wrong keys"
//	@Failure		500	{object}	errorBody	"INTERNAL"
//	@Failure		503	{object}	Health		"starting, disabled or fail, with Retry-After"
//	@Router			/v3/health/ [get]
func (s *Server) health(c echo.Context) error {
	h := s.deps.Health(c.Request().Context()).filled()
	if !h.serves() {
		c.Response().Header().Set("Retry-After", "1")
		return c.JSON(http.StatusServiceUnavailable, h)
	}
	return c.JSON(http.StatusOK, h)
}

// live says that the process answers.
//
//	@Summary	Does the process answer
//	@Tags		probes
//	@Produce	plain
//	@Success	200	{string}	string	"ok"
//	@Router		/livez [get]
func (s *Server) live(c echo.Context) error {
	return c.String(http.StatusOK, "ok\n")
}

// ready says whether the node serves.
//
//	@Summary	Does the node serve
//	@Tags		probes
//	@Produce	plain
//	@Success	200	{string}	string	"ok"
//	@Failure	503	{string}	string	"not ready, with Retry-After"
//	@Router		/readyz [get]
func (s *Server) ready(c echo.Context) error {
	if s.deps.Ready() {
		return c.String(http.StatusOK, "ok\n")
	}
	c.Response().Header().Set("Retry-After", "1")
	return c.String(http.StatusServiceUnavailable, "not ready\n")
}
