package api

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"vdi-gateway/gateway"
)

// ticketBody asks for a ticket.
type ticketBody struct {
	VMAddress   *string `json:"vm_address" example:"10.1.2.3" validate:"required"`
	VMPort      *int    `json:"vm_port" example:"5901" minimum:"1" maximum:"65535" validate:"required"`
	Protocol    *string `json:"protocol" example:"vnc" enums:"vnc,spice,rdp,loudplay,tcp"`
	User        *string `json:"user" example:"alice" maxLength:"256"`
	VMID        *string `json:"vm_id" example:"desktop-17" maxLength:"256"`
	ClientAddr  *string `json:"client_addr" example:"203.0.113.7"` // default: any client
	TTLS        *int    `json:"ttl_s" example:"60" minimum:"5" maximum:"3600" default:"60"`
	MaxUses     *int    `json:"max_uses" example:"1" minimum:"1" default:"1"`
	Channels    *int    `json:"channels" example:"1" minimum:"1" maximum:"64"`
	SessionMaxS *int    `json:"session_max_s" example:"0" minimum:"0"` // 0: as the settings say
	Shared      *bool   `json:"shared" example:"false"`                // somebody else may be at the desktop at the same time
	ViewOnly    *bool   `json:"view_only" example:"false"`             // the gateway lets no key, pointer or clipboard through
	// With one of these the gateway goes through the VM's security itself, and the viewer
	// needs nothing of it.
	VMUser     *string    `json:"vm_user" example:"alice" maxLength:"1024"`
	VMPassword *string    `json:"vm_password" example:"secret12" maxLength:"1024"`
	VMTLS      *vmTLSBody `json:"vm_tls"` // the VM has to show a certificate
} // @name TicketRequest

// request checks the body and turns it into what the gateway is asked.
func (b *ticketBody) request(f *fields) gateway.TicketRequest {
	if b.VMPort == nil {
		f.add("vm_port", "is required")
	}
	if b.VMAddress == nil {
		f.add("vm_address", "is required")
	}
	r := gateway.TicketRequest{
		VMAddr:     f.host("vm_address", b.VMAddress),
		VMPort:     f.port("vm_port", b.VMPort),
		Protocol:   f.protocol(b.Protocol),
		User:       f.text("user", b.User),
		VMID:       f.text("vm_id", b.VMID),
		Client:     f.address("client_addr", b.ClientAddr),
		TTL:        f.seconds("ttl_s", b.TTLS, 5, 3600),
		MaxUses:    f.atLeast("max_uses", b.MaxUses, 1),
		Channels:   f.number("channels", b.Channels, 1, 64),
		SessionMax: time.Duration(f.atLeast("session_max_s", b.SessionMaxS, 0)) * time.Second,
		Desktop:    b.desktop(f),
	}
	f.vnc(r.Protocol, r.Desktop)
	return r
}

// ticketAnswer carries a new ticket. Only its hash is kept.
type ticketAnswer struct {
	Ticket     string     `json:"ticket" example:"q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"`
	TicketID   string     `json:"ticket_id" example:"7c9e6679-7425-40de-944b-e07fc1f90ae7"`
	ExpiresAt  *time.Time `json:"expires_at" example:"2026-11-22T10:01:00Z"`
	ConsoleURL string     `json:"console_url" example:"https://vdi.example.com:8002/console/?token=q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"`
} // @name Ticket

// makeTicket makes a ticket.
//
//	@Summary		Make a ticket: the permission to reach one VM
//	@Description	The client hands it to open_connection, or attaches with it to GET /v3/connect/. Single use unless `max_uses` says otherwise.
//	@Tags			dispatcher
//	@Security		api_key
//	@Param			body	body		ticketBody	true	"the VM and the limits"
//	@Success		201		{object}	ticketAnswer
//	@Failure		400		{object}	errorBody	"BAD_JSON"
//	@Failure		401		{object}	errorBody	"UNAUTHORIZED"
//	@Failure		403		{object}	errorBody	"FORBIDDEN, TARGET_DENIED"
//	@Failure		413		{object}	errorBody	"TOO_LARGE"
//	@Failure		415		{object}	errorBody	"UNSUPPORTED_MEDIA_TYPE"
//	@Failure		422		{object}	errorBody	"VALIDATION"
//	@Failure		423		{object}	errorBody	"DISABLED"
//	@Failure		429		{object}	errorBody	"RATE_LIMITED: too many wrong keys"
//	@Failure		500		{object}	errorBody	"INTERNAL"
//	@Failure		502		{object}	errorBody	"VM_UNREACHABLE: its name cannot be resolved"
//	@Failure		503		{object}	errorBody	"OVERLOADED, with Retry-After"
//	@Router			/v3/tickets/ [post]
func (s *Server) makeTicket(c echo.Context) error {
	var body ticketBody
	f, err := decode(c, &body)
	if err != nil {
		return err
	}
	request := body.request(f)
	if err := f.err(); err != nil {
		return err
	}
	ticket, err := s.deps.Gateway.IssueTicket(c.Request().Context(), request)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, ticketAnswer{
		Ticket: ticket.Secret.Reveal(), TicketID: ticket.ID, ExpiresAt: moment(ticket.ExpiresAt),
		ConsoleURL: s.consoleURL(request.Protocol, ticket.Secret),
	})
}
