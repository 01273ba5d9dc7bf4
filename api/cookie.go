package api

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"vdi-gateway/gateway"
)

const (
	// cookiePrefix and a session make the name of a cookie.
	cookiePrefix = "vdi-console-"
	// sessionBytes is the length of a session's name, which is written in hex.
	sessionBytes = 8
	// cookieTime is what a page has to open its WebSocket in.
	cookieTime = time.Minute
)

// sessionCookie carries a secret from the answer to a page to the page's WebSocket,
// and nowhere else. A negative time removes it.
func sessionCookie(r *http.Request, session, secret string, life time.Duration) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure where the page came by TLS; others have no TLS to keep to
		Name: cookiePrefix + session, Value: secret, Path: "/v3/connect/", MaxAge: int(life / time.Second),
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
	}
}

// sessionOf is the session that an upgrade names; "" when it names none.
func sessionOf(r *http.Request) string {
	given := r.URL.Query()["session"]
	if len(given) == 0 {
		return ""
	}
	session := given[len(given)-1]
	if len(session) != 2*sessionBytes || strings.Trim(session, "0123456789abcdef") != "" {
		return ""
	}
	return session
}

// cookieToken is the token in the cookie of the session that an upgrade names. A tunnel
// that comes about removes the cookie: it is good once.
func cookieToken(c echo.Context) gateway.Secret {
	session := sessionOf(c.Request())
	if session == "" {
		return ""
	}
	cookie, err := c.Request().Cookie(cookiePrefix + session)
	if err != nil {
		return ""
	}
	c.Response().Before(func() {
		if c.Response().Status == http.StatusSwitchingProtocols {
			spent := sessionCookie(c.Request(), session, "", -time.Second)
			c.Response().Header().Set(echo.HeaderSetCookie, spent.String())
		}
	})
	return gateway.Secret(cookie.Value)
}

// setCookies sets what another node wanted set, as this client came: its address and
// its scheme are known here.
func setCookies(c echo.Context, resp *http.Response) {
	for _, cookie := range resp.Cookies() {
		cookie.Secure = c.Request().TLS != nil
		c.SetCookie(cookie)
	}
}
