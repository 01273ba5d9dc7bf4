package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"

	"vdi-gateway/gateway"
)

// Cluster is what the API asks of all nodes at once, this one included.
type Cluster interface {
	// Connections returns what every node's gateway answers to f, all after
	// each other in any order, and the sum of the totals.
	Connections(ctx context.Context, f gateway.Filter) ([]gateway.Connection, int, error)
	// Disconnect ends the selected connections on every node. ended is what
	// any node ended, missing those of s.IDs that no node had.
	Disconnect(ctx context.Context, s gateway.Selector, detail string) (ended, missing []gateway.ConnectionID, err error)
	// Knows tells whether there is such a node, alive or not.
	Knows(node netip.Addr) bool
	// Forward is the API's address on another node.
	Forward(node netip.Addr) netip.AddrPort
}

// Incomplete is the error of Cluster methods whose answer lacks that of some
// nodes and is right otherwise.
type Incomplete struct{ Nodes []netip.Addr }

// Error names the nodes.
func (e *Incomplete) Error() string { return "no answer of " + strings.Join(addrTexts(e.Nodes), ", ") }

// silent returns the nodes that an Incomplete names, and every other error.
func silent(err error) ([]string, error) {
	var incomplete *Incomplete
	if errors.As(err, &incomplete) {
		return addrTexts(incomplete.Nodes), nil
	}
	return nil, err
}

func addrTexts(addrs []netip.Addr) []string {
	texts := make([]string, 0, len(addrs))
	for _, a := range addrs {
		texts = append(texts, a.String())
	}
	return texts
}

// connections lists those of this node or of all, oldest first.
func (s *Server) connections(ctx context.Context, scope string, f gateway.Filter) ([]gateway.Connection, int, error) {
	if scope != scopeCluster || s.deps.Cluster == nil {
		found, total := s.deps.Gateway.Connections(f)
		return found, total, nil
	}
	found, total, err := s.deps.Cluster.Connections(ctx, f)
	slices.SortFunc(found, func(a, b gateway.Connection) int {
		return cmp.Or(a.OpenedAt.Compare(b.OpenedAt), cmp.Compare(a.ID, b.ID))
	})
	return found, total, err
}

// ender is who ends connections for a scope: "" is the cluster.
func (s *Server) ender(scope string) interface {
	Disconnect(context.Context, gateway.Selector, string) (ended, missing []gateway.ConnectionID, err error)
} {
	if scope == scopeNode || s.deps.Cluster == nil {
		return s.deps.Gateway
	}
	return s.deps.Cluster
}

// mayBePlain tells whether a request is one of another node's that is still, or
// already, without TLS: a cluster does not change at one instant.
func (s *Server) mayBePlain(r *http.Request) bool {
	conn := connOf(r)
	if conn == nil || s.deps.Cluster == nil {
		return false
	}
	peer := peerOf(conn.tcp)
	if peer == s.state.Load().Node || !s.deps.Cluster.Knows(peer) {
		return false
	}
	if conn.proxied() {
		return r.Header.Get(hopHeader) != ""
	}
	return r.URL.Path == "/readyz" || strings.HasPrefix(r.URL.Path, "/internal/")
}

// withInternal serves what nodes ask of each other besides what next serves. What
// came through a proxy is nobody's request: a balancer must not lend its address
// to those behind it.
func (s *Server) withInternal(next http.Handler) http.Handler {
	if s.deps.Internal == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/internal/") {
			next.ServeHTTP(w, r)
			return
		}
		if conn := connOf(r); conn == nil || conn.proxied() {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		defer s.logPanic(r)
		s.deps.Internal.ServeHTTP(w, r)
	})
}

// logPanic makes a fault known that net/http would only mention; the connection
// ends by it.
func (s *Server) logPanic(r *http.Request) {
	if p := recover(); p != nil {
		s.deps.Log.WithField("path", r.URL.Path).Errorf("panic: %v\n%s", p, debug.Stack())
		panic(http.ErrAbortHandler)
	}
}
