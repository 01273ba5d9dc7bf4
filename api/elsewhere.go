package api

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// nodesPath is where every node takes requests for a certain one: after it come that
// node's address and the path there, without its /v3.
const nodesPath = "/v3/nodes/"

// passTime bounds the answer of a node that a request names.
const passTime = 30 * time.Second

// elsewhere brings a request below nodesPath to the node that it names.
func (s *Server) elsewhere(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		name, path, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, nodesPath), "/")
		if !strings.HasPrefix(r.URL.Path, nodesPath) || !ok {
			return next(c)
		}
		node, err := netip.ParseAddr(name)
		node = node.Unmap()
		if err == nil && node == s.state.Load().Node {
			*r = *below(r, path) // the router looks at this very request
			return next(c)
		}
		return s.observe(recovered(s.prepare(func(c echo.Context) error { return s.pass(c, node, path) })))(c)
	}
}

// below is a request as the node gets it that it was for.
func below(r *http.Request, path string) *http.Request {
	out := r.Clone(r.Context())
	out.URL.Path, out.URL.RawPath = "/v3/"+path, ""
	out.RequestURI = out.URL.RequestURI()
	return out
}

// pass has another node serve a request. One that was passed on already goes no
// further.
func (s *Server) pass(c echo.Context, node netip.Addr, path string) error {
	r := c.Request()
	switch {
	case s.deps.Cluster == nil || !node.IsValid() || !s.deps.Cluster.Knows(node):
		return ErrNoSuchNode
	case r.Header.Get(hopHeader) != "":
		return failWith(http.StatusLoopDetected, "LOOP", "the request has come from another node already: name the node once")
	}
	if err := s.checkOrigin(r); err != nil && wantsUpgrade(r.Header) {
		return err
	}
	body, err := readBody(c)
	if err != nil {
		return err
	}
	if !wantsUpgrade(r.Header) { // a stream may take as long as its VM
		ctx, cancel := context.WithTimeout(r.Context(), passTime)
		defer cancel()
		r = r.WithContext(ctx)
	}
	return s.forward(c, below(r, path), node, body)
}
