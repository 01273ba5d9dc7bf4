package api

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
	"net/netip"

	"github.com/labstack/echo/v4"

	"vdi-gateway/api/console"
	"vdi-gateway/gateway"
)

// consolePath is where the page is, and what it asks for beside the tunnel.
const consolePath = "/console/"

// beginBody begins a session of the console.
type beginBody struct {
	// A ticket, or the token of a grant that was not attached yet.
	Ticket *string `json:"ticket" example:"q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA" validate:"required"`
} // @name ConsoleBegin

// resumeBody goes on with one.
type resumeBody struct {
	Resume *string `json:"resume" example:"q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA" validate:"required"`
} // @name ConsoleResume

// consoleAnswer is what a page needs to show a desktop; the credential of its
// WebSocket is a cookie.
type consoleAnswer struct {
	Desktop  string `json:"desktop" example:"desktop-17"`
	User     string `json:"user" example:"alice"`
	ViewOnly bool   `json:"view_only" example:"false"`
	Shared   bool   `json:"shared" example:"false"`
	Resume   string `json:"resume" example:"q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"` // for POST /console/resume
	Session  string `json:"session" example:"0123456789abcdef"`                           // of GET /v3/connect/?session=
} // @name Console

// serveConsole adds the page and its files.
func (s *Server) serveConsole(e *echo.Echo, zip echo.MiddlewareFunc) {
	page := echo.WrapHandler(console.Handler())
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		e.Add(method, "/console", toConsole)
		e.Add(method, consolePath+"*", page, zip)
	}
}

// toConsole sends a browser to the page, the ticket with it.
func toConsole(c echo.Context) error {
	to := consolePath
	if query := c.Request().URL.RawQuery; query != "" {
		to += "?" + query
	}
	return c.Redirect(http.StatusFound, to)
}

// beginConsole spends a ticket for a page.
//
//	@Summary		Begin a session of the browser console
//	@Description	Asked by the page at /console/, from origins of this gateway or of `console.allowed_origins`. Sets the cookie `vdi-console-SESSION`, which opens one GET /v3/connect/?session=SESSION within a minute.
//	@Tags			console
//	@Param			body	body		beginBody	true	"the ticket"
//	@Success		200		{object}	consoleAnswer
//	@Failure		400		{object}	errorBody	"BAD_JSON"
//	@Failure		403		{object}	errorBody	"FORBIDDEN: an unknown ticket, another address or origin; TARGET_DENIED"
//	@Failure		409		{object}	errorBody	"GRANT_USED: the ticket is spent; DESKTOP_IN_USE: by somebody else"
//	@Failure		410		{object}	errorBody	"GRANT_EXPIRED"
//	@Failure		413		{object}	errorBody	"TOO_LARGE"
//	@Failure		415		{object}	errorBody	"UNSUPPORTED_MEDIA_TYPE"
//	@Failure		422		{object}	errorBody	"VALIDATION"
//	@Failure		423		{object}	errorBody	"DISABLED"
//	@Failure		429		{object}	errorBody	"RATE_LIMITED: too many unknown tickets, with Retry-After"
//	@Failure		500		{object}	errorBody	"INTERNAL"
//	@Failure		502		{object}	errorBody	"VM_UNREACHABLE"
//	@Failure		503		{object}	errorBody	"OVERLOADED, DRAINING, with Retry-After"
//	@Failure		504		{object}	errorBody	"VM_TIMEOUT"
//	@Router			/console/session [post]
func (s *Server) beginConsole(c echo.Context) error {
	var body beginBody
	return s.console(c, &body, func(f *fields) gateway.Secret { return f.secret("ticket", body.Ticket) }, s.deps.Gateway.OpenConsole)
}

// resumeConsole goes on with the session of a page that lost its connection.
//
//	@Summary		Resume a session of the browser console
//	@Description	The token is that of the last answer. This answer has another one, and a cookie as that of POST /console/session.
//	@Tags			console
//	@Param			body	body		resumeBody	true	"the token"
//	@Success		200		{object}	consoleAnswer
//	@Failure		400		{object}	errorBody	"BAD_JSON"
//	@Failure		403		{object}	errorBody	"FORBIDDEN: an unknown token, another address or origin"
//	@Failure		409		{object}	errorBody	"DESKTOP_IN_USE: by somebody else meanwhile"
//	@Failure		410		{object}	errorBody	"GRANT_EXPIRED"
//	@Failure		413		{object}	errorBody	"TOO_LARGE"
//	@Failure		415		{object}	errorBody	"UNSUPPORTED_MEDIA_TYPE"
//	@Failure		422		{object}	errorBody	"VALIDATION"
//	@Failure		423		{object}	errorBody	"DISABLED"
//	@Failure		429		{object}	errorBody	"RATE_LIMITED: too many unknown tokens, with Retry-After"
//	@Failure		500		{object}	errorBody	"INTERNAL"
//	@Failure		502		{object}	errorBody	"VM_UNREACHABLE"
//	@Failure		503		{object}	errorBody	"OVERLOADED, DRAINING, with Retry-After"
//	@Failure		504		{object}	errorBody	"VM_TIMEOUT"
//	@Router			/console/resume [post]
func (s *Server) resumeConsole(c echo.Context) error {
	var body resumeBody
	return s.console(c, &body, func(f *fields) gateway.Secret { return f.secret("resume", body.Resume) }, s.deps.Gateway.ResumeConsole)
}

// secret is text that must be there. An empty one is as unknown as any.
func (f *fields) secret(field string, s *string) gateway.Secret {
	if s == nil {
		f.add(field, "is required")
	}
	return gateway.Secret(f.text(field, s))
}

// console reads a body and gives a page what its secret is worth: here, or on the
// node that has it.
func (s *Server) console(
	c echo.Context, body any, secretOf func(*fields) gateway.Secret, open func(context.Context, gateway.Secret, netip.Addr) (gateway.Console, error),
) error {
	if err := cmp.Or(s.checkOrigin(c.Request()), s.guessing(c)); err != nil {
		return err
	}
	data, err := readBody(c)
	if err != nil {
		return err
	}
	f, err := decodeBytes(data, body)
	if err != nil {
		return err
	}
	secret := secretOf(f)
	if err := f.err(); err != nil {
		return err
	}
	if node := s.owner(c, "", secret); node.IsValid() {
		return s.forward(c, c.Request(), node, data)
	}
	opened, err := patiently(c, func() (gateway.Console, error) {
		return open(c.Request().Context(), secret, clientOf(c))
	})
	if err != nil {
		return s.guessed(c, unseen(knownTo(err)))
	}
	return s.showConsole(c, opened)
}

// knownTo is 403 for what nobody knows: 401 would ask for a key.
func knownTo(err error) error {
	if errors.Is(err, gateway.ErrTokenUnknown) {
		return &gateway.Refusal{Err: gateway.ErrTicketUnknown, Detail: "the session is not known here"}
	}
	return err
}

// showConsole answers a page. The session is a name for its cookie: two pages of one
// browser that begin at the same moment have two.
func (s *Server) showConsole(c echo.Context, opened gateway.Console) error {
	var b [sessionBytes]byte
	_, _ = rand.Read(b[:]) // never fails, says crypto/rand
	session := hex.EncodeToString(b[:])
	c.SetCookie(sessionCookie(c.Request(), session, opened.Cookie.Reveal(), cookieTime))
	return c.JSON(http.StatusOK, consoleAnswer{
		Desktop: opened.Desktop, User: opened.User, ViewOnly: opened.ViewOnly, Shared: opened.Shared,
		Resume: opened.Resume.Reveal(), Session: session,
	})
}

// consoleURL is the page's address with what opens a desktop of this protocol; ""
// where the page cannot show it.
func (s *Server) consoleURL(p gateway.Protocol, secret gateway.Secret) string {
	page := s.state.Load().ConsoleURL
	switch p {
	case "spice", "rdp", "loudplay":
		return ""
	default:
		if page == "" {
			return ""
		}
		return page + "?token=" + secret.Reveal() // base64url needs no escape
	}
}
