package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"vdi-gateway/api/certificate"
)

// authority is the one of a Config, with the store that keeps what it says.
type authority struct {
	cfg   Config
	store *store
	log   *zap.Logger
}

// stored is the certificate that there is. It is nil when there is none, or when what
// there is cannot be used; the error says why that is not known.
func (a authority) stored(ctx context.Context) (*x509.Certificate, error) {
	site := siteKey(a.cfg.Directory, a.cfg.Name)
	f, err := a.store.read(ctx, path.Dir(site))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // see above
	}
	if err != nil {
		return nil, notAsked{err}
	}
	name := strings.TrimSuffix(path.Base(site), ".crt")
	pair, err := tls.X509KeyPair(f.value(name+".crt"), f.value(name+".key"))
	if err != nil || !json.Valid(f.value(name+".json")) {
		return nil, nil //nolint:nilnil,nilerr // see above
	}
	return pair.Leaf, nil
}

// renewalKey is where it is kept which certificate is to be replaced before its time.
func (a authority) renewalKey() string {
	return "renew/" + certmagic.StorageKeys.Safe(issuerKey(a.cfg.Directory)) + "/" + a.cfg.Name
}

// wanted tells whether somebody wants another certificate than the one there is.
func (a authority) wanted(ctx context.Context) (bool, error) {
	which, err := a.store.Load(ctx, a.renewalKey())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, notAsked{err}
	}
	leaf, err := a.stored(ctx)
	return leaf != nil && string(which) == certificate.Fingerprint(leaf.Raw), err
}

// Renew asks for another certificate than the one that there is. The running node
// sees it, or hears of it from this one, and the active one asks the authority. So a
// wish is fulfilled once, whichever nodes hear of it late.
func Renew(ctx context.Context, dir string, cfg Config) error {
	a := authority{cfg: cfg, store: newStore(dir, func(string) {})}
	leaf, err := a.stored(ctx)
	if err != nil {
		return err
	}
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
