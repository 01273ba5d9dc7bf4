package certificate

import (
	"context"
	"net"
	"net/http"
)

// hsts has browsers remember for a year that this host speaks TLS.
const hsts = "max-age=31536000"

type connKey struct{}

// ConnContext remembers the connection of requests, for Secured: an http.Server
// wants it as its ConnContext.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if s, ok := c.(interface{ Secure() *Conn }); ok {
		return context.WithValue(ctx, connKey{}, s.Secure())
	}
	return ctx
}

// Secured serves requests that came by TLS, and where TLS is off all. Others are
// sent to https, but those that plain allows.
//
// It is a temporary redirect: browsers would keep another one longer than settings
// last. Browsers are told to come by TLS in future only when the certificate is not
// self-signed; of such they would not believe it.
func (k *Keeper) Secured(next http.Handler, plain func(*http.Request) bool) http.Handler {
	if k == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _ := r.Context().Value(connKey{}).(*Conn)
		if conn != nil {
			r.TLS = conn.State()
		}
		s := k.serving.Load()
		switch {
		case s.public == nil || r.TLS == nil && plain(r):
		case r.TLS == nil:
			redirect(w, r)
			return
		case s.trusted:
			w.Header().Set("Strict-Transport-Security", hsts)
		}
		next.ServeHTTP(w, r)
	})
}

func redirect(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Connection", "close")
	w.Header().Set("Cache-Control", "no-store")
	if r.Host == "" {
		http.Error(w, "This port speaks https.", http.StatusBadRequest)
		return
	}
	http.Redirect(w, r, "https://"+r.Host+r.URL.RequestURI(), http.StatusTemporaryRedirect) //nolint:gosec // to the host that the client has named itself
}
