package api

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/pires/go-proxyproto"

	"vdi-gateway/api/certificate"
	"vdi-gateway/gateway"
)

const (
	// hopHeader marks a request that a node forwarded: it goes no further, but for a
	// grant that is another node's since, and then once. A client that sends it only
	// keeps itself from being forwarded.
	hopHeader = "Vdi-Gateway-Hop"
	// forwardTime bounds reaching another node, and answerTime its answer: more
	// than timeouts.dial_ms may be.
	forwardTime = 3 * time.Second
	answerTime  = 150 * time.Second
	// silenceTime is how long one side of a stream may acknowledge nothing that
	// was sent to it.
	silenceTime = 45 * time.Second
	// maxHead bounds the head of a forwarded answer, and maxAnswer the answer where
	// it is no stream, in bytes: a list of 10000 connections has some 5 MB.
	maxHead   = 1 << 20
	maxAnswer = 64 << 20
)

// owner is the other node that serves a connection; invalid: this one does, or
// nobody, or the request has been forwarded already.
func (s *Server) owner(c echo.Context, id gateway.ConnectionID, token gateway.Secret) netip.Addr {
	if s.deps.Elsewhere == nil || s.deps.Cluster == nil || c.Request().Header.Get(hopHeader) != "" {
		return netip.Addr{}
	}
	return s.deps.Elsewhere(id, token)
}

// heir is the other node that has taken over a connection which was this one's when it was
// called for; invalid: none has, or the request was forwarded twice.
func (s *Server) heir(c echo.Context, id gateway.ConnectionID, token gateway.Secret) netip.Addr {
	if s.deps.Elsewhere == nil || s.deps.Cluster == nil || hops(c.Request()) > 1 {
		return netip.Addr{}
	}
	return s.deps.Elsewhere(id, token)
}

// hops is how many nodes have forwarded a request.
func hops(r *http.Request) int {
	switch r.Header.Get(hopHeader) {
	case "":
		return 0
	case "1":
		return 1
	}
	return 2
}

// forward lets node serve a request: body is what was read of it. The node
// hears by a PROXY header who the client is. The answer is passed back as it is,
// and a stream that follows it, too.
func (s *Server) forward(c echo.Context, r *http.Request, node netip.Addr, body []byte) error {
	_, err := patiently(c, func() (struct{}, error) { return struct{}{}, s.forwardNow(c, r, node, body) })
	return err
}

func (s *Server) forwardNow(c echo.Context, r *http.Request, node netip.Addr, body []byte) error {
	up, err := s.dialNode(r, node)
	if err != nil {
		return unheard(node, err)
	}
	defer up.Close()
	stop := context.AfterFunc(r.Context(), func() { _ = up.tcp.Close() })
	defer stop()
	reader, resp, err := ask(up, forwardable(r, requestID(c), body))
	if err != nil {
		return unheard(node, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return passAnswer(c, resp)
	}
	stop()
	return s.passStream(c, up, reader, resp)
}

func unheard(node netip.Addr, err error) error {
	f := failWith(http.StatusServiceUnavailable, codeOverloaded,
		"node "+node.String()+", which serves this, does not answer; try again")
	return fmt.Errorf("%w: %w", f, err)
}

// dialNode opens a connection to another node's API and says whom it is for.
func (s *Server) dialNode(r *http.Request, node netip.Addr) (*upstream, error) {
	dialer := net.Dialer{
		LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(s.state.Load().Node, 0)), Timeout: forwardTime,
	}
	dialer.SetMultipathTCP(false)
	up, err := dialer.DialContext(r.Context(), "tcp", s.deps.Cluster.Forward(node).String())
	if err != nil {
		return nil, err
	}
	client := connOf(r)
	header := proxyproto.HeaderProxyFromAddrs(2, client.RemoteAddr(), client.LocalAddr())
	_ = up.SetDeadline(time.Now().Add(answerTime))
	if _, err := header.WriteTo(up); err != nil {
		_ = up.Close()
		return nil, err
	}
	secure, err := certificate.Connect(r.Context(), up, s.deps.TLS.Member())
	if err != nil {
		return nil, err
	}
	return &upstream{secure, up.(*net.TCPConn)}, nil
}

// upstream is a connection to another node.
type upstream struct {
	*certificate.Conn
	tcp *net.TCPConn // below
}

// forwardable is r as another node gets it, over a connection of its own.
func forwardable(r *http.Request, id string, body []byte) *http.Request {
	out := r.Clone(r.Context())
	out.Header.Set(hopHeader, strconv.Itoa(hops(r)+1))
	out.Header.Del(echo.HeaderOrigin) // it was judged here
	out.Header.Set(echo.HeaderXRequestID, id)
	out.Body, out.ContentLength, out.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	if len(body) == 0 {
		out.Body = http.NoBody
	}
	out.Trailer = nil
	if !wantsUpgrade(out.Header) {
		out.Header.Del(echo.HeaderConnection)
		out.Close = true
	}
	out.Header.Del("Expect") // the body is here
	return out
}

// ask sends r and reads the head of the answer.
func ask(up net.Conn, r *http.Request) (*bufio.Reader, *http.Response, error) {
	if err := r.Write(up); err != nil {
		return nil, nil, err
	}
	head := &io.LimitedReader{R: up, N: maxHead}
	reader := bufio.NewReader(head)
	resp, err := http.ReadResponse(reader, r)
	head.N = 1<<63 - 1 // what follows is bounded elsewhere
	return reader, resp, err
}

// passAnswer answers what another node answered. Where that breaks off the
// connection to the client does, too.
func passAnswer(c echo.Context, resp *http.Response) error {
	h := c.Response().Header()
	for name, values := range resp.Header {
		if name != echo.HeaderConnection && name != echo.HeaderContentLength && name != echo.HeaderSetCookie {
			h[name] = values
		}
	}
	setCookies(c, resp)
	c.Response().WriteHeader(resp.StatusCode)
	_, err := io.Copy(c.Response(), io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

// passStream takes the client's connection over and passes bytes both ways until
// both have ended, or the server stops.
func (s *Server) passStream(c echo.Context, up *upstream, reader *bufio.Reader, resp *http.Response) error {
	_ = up.SetDeadline(time.Time{})
	h := c.Response().Header()
	for name, values := range resp.Header {
		h[name] = values
	}
	c.Response().WriteHeader(resp.StatusCode)
	hijacked, buffered, err := http.NewResponseController(c.Response()).Hijack()
	if err != nil {
		return err
	}
	down, ok := hijacked.(*conn)
	if !ok {
		_ = hijacked.Close()
		return errors.New("the connection is not one of this server")
	}
	defer down.Close()
	boundSilence(down.tcp, silenceTime)
	boundSilence(up.tcp, silenceTime)
	stop := context.AfterFunc(s.stopping, func() { _, _ = down.tcp.Close(), up.tcp.Close() })
	defer stop()
	// Only what was read ahead: the rest of that reader belongs to net/http.
	ahead, _ := buffered.Reader.Peek(buffered.Reader.Buffered())
	passBoth(side{down, io.MultiReader(bytes.NewReader(ahead), down), down.tcp}, side{up, reader, up.tcp})
	return nil
}
