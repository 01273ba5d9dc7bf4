package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"vdi-gateway/api/certificate"
)

// attemptTime bounds one attempt: an authority looks from several places, and some of
// them slowly.
const attemptTime = 5 * time.Minute

// authority is the one of a Config, with the store that keeps what it says.
type authority struct {
	cfg   Config
	store *store
	log   *zap.Logger
}

// stored is the certificate that there is. It is nil when there is none, or when what
// there is cannot be used.
func (a authority) stored(ctx context.Context) *x509.Certificate {
	site := strings.TrimSuffix(siteKey(a.cfg.Directory, a.cfg.Name), ".crt")
	var parts [3][]byte
	for i, kind := range []string{".crt", ".key", ".json"} {
		var err error
		if parts[i], err = a.store.Load(ctx, site+kind); err != nil {
			return nil
		}
	}
	pair, err := tls.X509KeyPair(parts[0], parts[1])
	if err != nil || !json.Valid(parts[2]) {
		return nil
	}
	return pair.Leaf
}

// renewalKey is where it is kept which certificate is to be replaced before its time.
func (a authority) renewalKey() string {
	return "renew/" + certmagic.StorageKeys.Safe(issuerKey(a.cfg.Directory)) + "/" + a.cfg.Name
}

// wanted tells whether somebody wants another certificate than the one there is.
func (a authority) wanted(ctx context.Context) bool {
	which, err := a.store.Load(ctx, a.renewalKey())
	if err != nil {
		return false
	}
	leaf := a.stored(ctx)
	return leaf != nil && string(which) == certificate.Fingerprint(leaf.Raw)
}

// Renew asks for another certificate than the one that there is. The running node
// sees it, or hears of it from this one, and the active one asks the authority. So a
// wish is fulfilled once, whichever nodes hear of it late.
func Renew(ctx context.Context, dir string, cfg Config) error {
	a := authority{cfg: cfg, store: newStore(dir, func(string) {})}
	leaf := a.stored(ctx)
	if leaf == nil {
		return errors.New("the authority has issued no certificate yet: the active node asks for it")
	}
	return a.store.Store(ctx, a.renewalKey(), []byte(certificate.Fingerprint(leaf.Raw)))
}

// manage asks the authority if there is no certificate, or one that is due.
//
// An authority that was installed anew has forgotten the account. certmagic registers
// another one then and goes on with the former, which fails: so it is called again.
func (a authority) manage(ctx context.Context) error {
	known := a.account()
	err := a.try(ctx)
	if err != nil && !known.IsZero() && a.account().After(known) {
		err = a.try(ctx)
	}
	return err
}

// account is when the account was last changed; zero: there is none.
func (a authority) account() time.Time {
	var at time.Time
	accounts := "acme/" + certmagic.StorageKeys.Safe(issuerKey(a.cfg.Directory)) + "/users/"
	for name, changed := range a.store.survey(time.Now()) {
		if strings.HasPrefix(name, accounts) && changed.After(at) {
			at = changed
		}
	}
	return at
}

// try is one attempt.
func (a authority) try(ctx context.Context) error {
	leaf := a.stored(ctx)
	if err := a.discard(ctx, leaf); err != nil {
		return err
	}
	cache := certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: nobody, Logger: a.log,
		RenewCheckInterval: every(leaf), OCSPCheckInterval: 2 * attemptTime,
	})
	defer cache.Stop()
	magic, err := a.magic(cache)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(unlimited(ctx), attemptTime)
	defer cancel()
	if a.wanted(ctx) {
		return magic.RenewCertSync(ctx, a.cfg.Name, true)
	}
	return magic.ManageSync(ctx, []string{a.cfg.Name})
}

// nobody maintains what is in the cache of an attempt.
func nobody(certmagic.Certificate) (*certmagic.Config, error) {
	return nil, errors.New("certificates are looked after in the foreground")
}

// discard removes what cannot be used: it would be an error for ever.
func (a authority) discard(ctx context.Context, leaf *x509.Certificate) error {
	key := siteKey(a.cfg.Directory, a.cfg.Name)
	if leaf != nil || !a.store.Exists(ctx, key) {
		return nil
	}
	return a.store.Delete(ctx, key)
}

// magic is certmagic for one attempt.
func (a authority) magic(cache *certmagic.Cache) (*certmagic.Config, error) {
	roots, err := a.cfg.roots()
	if err != nil {
		return nil, notAsked{err}
	}
	magic := certmagic.New(cache, a.template())
	issuer := a.issuer(magic, roots)
	magic.Issuers = []certmagic.Issuer{issuer}
	if a.cfg.Email == "" {
		magic.Issuers = []certmagic.Issuer{nameless{issuer}}
	}
	return magic, nil
}

func (a authority) template() certmagic.Config {
	return certmagic.Config{
		Storage: a.store, DisableStorageCheck: true, OCSP: certmagic.OCSPConfig{DisableStapling: true}, Logger: a.log,
	}
}

func (a authority) issuer(magic *certmagic.Config, roots *x509.CertPool) *certmagic.ACMEIssuer {
	issuer := certmagic.NewACMEIssuer(magic, certmagic.ACMEIssuer{
		CA: a.cfg.Directory, Email: a.cfg.Email, Agreed: true, TrustedRoots: roots, DisableTLSALPNChallenge: true,
		ListenHost: a.cfg.Listen.Addr().String(), AltHTTPPort: int(a.cfg.Listen.Port()), Logger: a.log,
		HTTPProxy: once,
	})
	issuer.TestCA = "" // see unlimited
	return issuer
}

// once finds the proxy for a request and has its connection closed after it: the issuer
// of an attempt is forgotten with its connections, and would leave them open.
func once(r *http.Request) (*url.URL, error) {
	r.Close = true
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
	magic := a.template()
	issuer := a.issuer(&magic, nil)
	magic.Issuers = []certmagic.Issuer{issuer}
	return issuer
}
