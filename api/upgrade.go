package api

import (
	"bufio"
	"bytes"
	"crypto/sha1" //nolint:gosec // RFC 6455 section 4.2.2 wants it
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"vdi-gateway/gateway"
)

// upgrade answers a checked handshake and takes the connection over.
func (s *Server) upgrade(c echo.Context) (gateway.Leg, error) {
	r, h := c.Request(), c.Response().Header()
	h.Set(echo.HeaderUpgrade, "websocket")
	h.Set(echo.HeaderConnection, "Upgrade")
	h.Set("Sec-WebSocket-Accept", acceptKey(r.Header.Get("Sec-WebSocket-Key")))
	if offers(r.Header, subprotocol) {
		h.Set("Sec-WebSocket-Protocol", subprotocol)
	}
	c.Response().WriteHeader(http.StatusSwitchingProtocols)
	hijacked, buffered, err := http.NewResponseController(c.Response()).Hijack()
	if err != nil {
		return gateway.Leg{}, err
	}
	conn, ok := hijacked.(*conn)
	if !ok {
		_ = hijacked.Close()
		return gateway.Leg{}, errors.New("the connection is not one of this server")
	}
	_ = conn.SetDeadline(time.Time{}) // closed already: its reader finds out
	return conn.leg(buffered.Reader, s.state.Load().PingInterval), nil
}

// leg is the connection behind a handshake. Without TLS that is TCP itself, and what
// was read ahead above it.
func (c *conn) leg(ahead *bufio.Reader, ping time.Duration) gateway.Leg {
	early, _ := ahead.Peek(ahead.Buffered())
	leg := gateway.Leg{Conn: c, TCP: c.tcp, Early: bytes.Clone(early), Ping: ping}
	if c.State() == nil {
		leg.Conn, leg.Early = c.tcp, append(leg.Early, c.drained()...)
	}
	return leg
}

// drained is what was read of TCP and not yet of c.
func (c *conn) drained() (all []byte) {
	_ = c.SetReadDeadline(time.Unix(1, 0)) // the past: TCP itself is not read
	for b := make([]byte, 1<<10); ; {
		n, err := c.Read(b)
		all = append(all, b[:n]...)
		if err != nil || n == 0 {
			break
		}
	}
	_ = c.SetReadDeadline(time.Time{})
	return all
}

// acceptKey is RFC 6455 section 4.2.2, 5.4.
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // as the protocol says
	return base64.StdEncoding.EncodeToString(sum[:])
}

// offers tells whether a subprotocol is among those of an upgrade.
func offers(h http.Header, wanted string) bool {
	for _, offered := range h["Sec-Websocket-Protocol"] {
		for _, protocol := range strings.Split(offered, ",") {
			if strings.TrimSpace(protocol) == wanted {
				return true
			}
		}
	}
	return false
}
