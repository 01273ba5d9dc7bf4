package api

import (
	"net/http"
	"net/netip"
)

// admits tells whether a client may come in at all.
func (s *Server) admits(client netip.Addr) bool { return s.deps.Admit == nil || s.deps.Admit(client) }

// admitted cuts off those for whom a trusted peer speaks and who may not come in:
// whom a connection is for is known only when its header was read.
func (s *Server) admitted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c := connOf(r); c != nil && c.proxied() && !s.admits(addrOf(c.RemoteAddr())) {
			panic(http.ErrAbortHandler) // net/http closes the connection and says nothing
		}
		next.ServeHTTP(w, r)
	})
}
