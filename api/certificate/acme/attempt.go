package acme

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
)

// attemptTime bounds one attempt: an authority looks from several places, and some of
// them slowly.
const attemptTime = 5 * time.Minute

// try is one attempt.
func (a authority) try(ctx context.Context) error {
	leaf, unread := a.stored(ctx)
	wanted, unknown := a.wanted(ctx)
	roots, err := a.cfg.roots()
	if err = errors.Join(unread, unknown, err); err != nil {
		return notAsked{err}
	}
	d, line := newDraft(a.store), &line{roots: roots}
	if leaf == nil {
		d.values[siteKey(a.cfg.Directory, a.cfg.Name)] = nil // what cannot be used would be an error for ever
	}
	cache := certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: nobody, Logger: a.log,
		RenewCheckInterval: every(leaf), OCSPCheckInterval: 2 * attemptTime,
	})
	defer cache.Stop()
	err = a.call(ctx, a.magic(cache, d, line), wanted)
	switch {
	case d.err != nil:
		return d.err
	case err != nil && !line.posted.Load():
		return unreached(err)
	}
	return refused(err)
}

// call has certmagic do what is to be done.
func (a authority) call(ctx context.Context, magic *certmagic.Config, wanted bool) error {
	ctx, cancel := context.WithTimeout(unlimited(ctx), attemptTime)
	defer cancel()
	if wanted {
		return magic.RenewCertSync(ctx, a.cfg.Name, true)
	}
	return magic.ManageSync(ctx, []string{a.cfg.Name})
}

// nobody maintains what is in the cache of an attempt.
func nobody(certmagic.Certificate) (*certmagic.Config, error) {
	return nil, errors.New("certificates are looked after in the foreground")
}

// magic is certmagic for one attempt.
func (a authority) magic(cache *certmagic.Cache, d *draft, l *line) *certmagic.Config {
	magic := certmagic.New(cache, a.template(d))
	issuer := a.issuer(magic, l)
	magic.Issuers = []certmagic.Issuer{issuer}
	if a.cfg.Email == "" {
		magic.Issuers = []certmagic.Issuer{nameless{issuer}}
	}
	return magic
}

// template leaves the check of the storage out: see draft.Lock.
func (a authority) template(kept certmagic.Storage) certmagic.Config {
	return certmagic.Config{
		Storage: kept, DisableStorageCheck: true, OCSP: certmagic.OCSPConfig{DisableStapling: true}, Logger: a.log,
	}
}

func (a authority) issuer(magic *certmagic.Config, l *line) *certmagic.ACMEIssuer {
	issuer := certmagic.NewACMEIssuer(magic, certmagic.ACMEIssuer{
		CA: a.cfg.Directory, Email: a.cfg.Email, Agreed: true, TrustedRoots: l.roots, DisableTLSALPNChallenge: true,
		ListenHost: a.cfg.Listen.Addr().String(), AltHTTPPort: int(a.cfg.Listen.Port()), Logger: a.log,
		HTTPProxy: l.proxy,
	})
	issuer.TestCA = "" // see unlimited
	return issuer
}

// line is how the authority is called in one attempt.
type line struct {
	roots  *x509.CertPool // whom its certificate is believed; nil: the system's
	posted atomic.Bool    // it was told something: until then nothing counts
}

// proxy finds the proxy for a request and has its connection closed after it: the issuer
// of an attempt is forgotten with its connections, and would leave them open.
func (l *line) proxy(r *http.Request) (*url.URL, error) {
	r.Close = true
	if r.Method == http.MethodPost {
		l.posted.Store(true)
	}
	return http.ProxyFromEnvironment(r)
}

// unlimited has certmagic take the attempt for a second one, for which it would ask an
// authority for tests if there was one. It asks the real one, without the limit that
// would leave a goroutine behind.
func unlimited(ctx context.Context) context.Context {
	attempt := 1
	return context.WithValue(ctx, certmagic.AttemptsCtxKey, &attempt)
}

// nameless is an account without an e-mail address. certmagic would look for one on the
// terminal.
type nameless struct{ *certmagic.ACMEIssuer }

// PreCheck finds nothing wrong: the authority will say what it does not like.
func (nameless) PreCheck(context.Context, []string, bool) error { return nil }

// responder answers challenges that any node has put into the store.
func (a authority) responder() *certmagic.ACMEIssuer {
	magic := a.template(a.store)
	issuer := a.issuer(&magic, &line{})
	magic.Issuers = []certmagic.Issuer{issuer}
	return issuer
}
