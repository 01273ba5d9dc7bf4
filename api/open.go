package api

import (
	"math"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"vdi-gateway/gateway"
)

// openBody asks for a tunnel.
type openBody struct {
	VMAddress     *string `json:"vm_address" example:"10.1.2.3"`
	VMPort        *int    `json:"vm_port" example:"5901" minimum:"1" maximum:"65535"`
	RealVMAddress *string `json:"real_vm_address" swaggerignore:"true"` // alias
	RealVMPort    *int    `json:"real_vm_port" swaggerignore:"true"`    // alias
	Protocol      *string `json:"protocol" example:"vnc" enums:"vnc,spice,rdp,loudplay,tcp" default:"tcp"`
	User          *string `json:"user" example:"alice" maxLength:"256"` // without a ticket: the client's word
	VMID          *string `json:"vm_id" example:"desktop-17" maxLength:"256"`
	TTLS          *int    `json:"ttl_s" example:"30" minimum:"5" maximum:"300"`  // default timeouts.grant_s
	Channels      *int    `json:"channels" example:"1" minimum:"1" maximum:"64"` // default by protocol: vnc 1, rdp 2, spice 32, else 4
	Mode          *string `json:"mode" example:"port" enums:"port,websocket" default:"port"`
	VMPassword    *string `json:"vm_password" example:"secret12" maxLength:"1024"` // of the VM's VNC server: the answer has a password of one use instead
	Probe         *bool   `json:"probe" example:"true" default:"true"`
	// Made by the dispatcher. Its VM, user and limits override the body.
	Ticket *string `json:"ticket" example:"q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"`
} // @name OpenConnection

// request checks the body and turns it into what the gateway is asked.
func (b *openBody) request(f *fields) gateway.OpenRequest {
	host, hostField := alias(f, b.VMAddress, b.RealVMAddress, "vm_address")
	port, portField := alias(f, b.VMPort, b.RealVMPort, "vm_port")
	if b.Ticket == nil && host == nil {
		f.add("vm_address", "is required without a ticket")
	}
	if b.Ticket == nil && port == nil {
		f.add("vm_port", "is required without a ticket")
	}
	r := gateway.OpenRequest{
		VMAddr:   f.host(hostField, host),
		VMPort:   f.port(portField, port),
		Protocol: f.protocol(b.Protocol),
		User:     f.text("user", b.User),
		VMID:     f.text("vm_id", b.VMID),
		TTL:      f.seconds("ttl_s", b.TTLS, 5, 300),
		Channels: f.number("channels", b.Channels, 1, 64),
		Mode:     gateway.Mode(f.choice("mode", b.Mode, string(gateway.ModePort), string(gateway.ModeWebSocket))),
		Probe:    b.Probe == nil || *b.Probe,
		Ticket:   gateway.Secret(f.name("ticket", b.Ticket)),
		Desktop:  gateway.Desktop{Password: gateway.Secret(f.credential("vm_password", b.VMPassword))},
	}
	f.vnc(r.Protocol, r.Desktop)
	return r
}

// alias picks the one of two spellings that was given, with its field name.
func alias[T comparable](f *fields, plain, other *T, name string) (*T, string) {
	switch {
	case plain != nil && other != nil && *plain != *other:
		f.add("real_"+name, "differs from %s, whose alias it is", name)
	case plain == nil && other != nil:
		return other, "real_" + name
	}
	return plain, name
}

func (f *fields) port(field string, n *int) uint16 {
	return uint16(f.number(field, n, 1, math.MaxUint16)) //nolint:gosec // just checked
}

func (f *fields) protocol(s *string) gateway.Protocol {
	return gateway.Protocol(f.choice("protocol", s, "vnc", "spice", "rdp", "loudplay", "tcp"))
}

// grantAnswer describes a reserved tunnel.
type grantAnswer struct {
	ConnectionID string     `json:"connection_id" example:"0f8fad5b-d9cb-469f-a165-70867728950e"`
	Token        string     `json:"token" example:"q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"`
	Password     string     `json:"password,omitempty" example:"k3Yq-9wZ"` // of one use, where the gateway enters the VM: VncAuth or X509Vnc; or X509Plain with connection_id and token
	Address      string     `json:"address" example:"vdi.example.com"`
	Port         uint16     `json:"port" example:"5937"` // 0 in mode websocket
	Node         string     `json:"node" example:"10.0.0.1"`
	ClientAddr   string     `json:"client_addr" example:"203.0.113.7"`
	ExpiresAt    *time.Time `json:"expires_at" example:"2026-11-22T10:00:30Z"` // null: never
	TTLS         int        `json:"ttl_s" example:"30"`
	ConsoleURL   string     `json:"console_url" example:""` // of protocol vnc or mode websocket
} // @name Grant

// openConnection reserves a tunnel.
//
//	@Summary		Reserve a tunnel for the caller's address
//	@Description	In mode `port` the answered `address:port` accepts TCP from the caller's address, and from no other, from the moment of the answer. In mode `websocket` only the token reaches the tunnel, see GET /v3/connect/. Asked again for the same VM and `user` while the grant lives: 200, the same connection with a fresh token. The grant ends at `expires_at` unless it is used or renewed.
//	@Tags			client
//	@Security		cli_key
//	@Param			body	body		openBody	true	"the VM, or a ticket"
//	@Success		201		{object}	grantAnswer	"a new grant"
//	@Success		200		{object}	grantAnswer	"the caller's own grant, asked for again"
//	@Failure		400		{object}	errorBody	"BAD_JSON"
//	@Failure		401		{object}	errorBody	"UNAUTHORIZED"
//	@Failure		403		{object}	errorBody	"FORBIDDEN, TARGET_DENIED, TICKET_REQUIRED"
//	@Failure		409		{object}	errorBody	"GRANT_USED: the ticket is spent"
//	@Failure		410		{object}	errorBody	"GRANT_EXPIRED: the ticket has expired"
//	@Failure		413		{object}	errorBody	"TOO_LARGE"
//	@Failure		415		{object}	errorBody	"UNSUPPORTED_MEDIA_TYPE"
//	@Failure		422		{object}	errorBody	"VALIDATION"
//	@Failure		423		{object}	errorBody	"DISABLED"
//	@Failure		429		{object}	errorBody	"RATE_LIMITED, with Retry-After"
//	@Failure		500		{object}	errorBody	"INTERNAL"
//	@Failure		502		{object}	errorBody	"VM_UNREACHABLE"
//	@Failure		503		{object}	errorBody	"NO_FREE_PORT, OVERLOADED, DRAINING, with Retry-After"
//	@Failure		504		{object}	errorBody	"VM_TIMEOUT"
//	@Router			/v3/open_connection/ [post]
func (s *Server) openConnection(c echo.Context) error {
	var body openBody
	f, err := decode(c, &body)
	if err != nil {
		return err
	}
	request := body.request(f)
	if err := f.err(); err != nil {
		return err
	}
	request.Client = clientOf(c)
	grant, err := patiently(c, func() (gateway.Grant, error) {
		return s.deps.Gateway.Open(c.Request().Context(), request)
	})
	if err != nil && request.Ticket != "" {
		return unseen(err)
	}
	if err != nil {
		return err
	}
	status := http.StatusCreated
	if grant.Reopened {
		status = http.StatusOK
	}
	return c.JSON(status, s.describeGrant(grant))
}

// counted tells Deps.Opened how a request for a tunnel went and how long it took.
func (s *Server) counted(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		began := time.Now()
		err := next(c)
		if s.deps.Opened == nil {
			return err
		}
		code := ""
		if err != nil {
			code = describe(err).errors[0].Code
		}
		s.deps.Opened(time.Since(began), code)
		return err
	}
}

func (s *Server) describeGrant(g gateway.Grant) grantAnswer {
	answer := grantAnswer{
		ConnectionID: string(g.ID), Token: g.Token.Reveal(), Password: g.Password.Reveal(), Address: g.Addr, Port: g.Port,
		Node: addrText(g.Node), ClientAddr: addrText(g.Client),
		ExpiresAt: moment(g.ExpiresAt), TTLS: int(g.TTL / time.Second),
	}
	if g.Protocol == "vnc" || g.Port == 0 {
		answer.ConsoleURL = s.consoleURL(g.Protocol, g.Token)
	}
	return answer
}

// patiently runs what may wait for a VM as long as timeouts.dial_ms says,
// without the server's own bounds on the request; that on the answer holds again
// afterwards.
func patiently[T any](c echo.Context, do func() (T, error)) (T, error) {
	answer := http.NewResponseController(c.Response())
	// Where deadlines are not supported there is none to lift.
	_ = answer.SetReadDeadline(time.Time{}) // its end would cancel the request
	_ = answer.SetWriteDeadline(time.Time{})
	defer func() { _ = answer.SetWriteDeadline(time.Now().Add(writeTime)) }()
	return do()
}
