package certificate

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
)

// Config is the complete wanted state. The zero value has no TLS.
type Config struct {
	Enabled bool // for users; nodes answer each other by TLS always
	// CertFile and KeyFile are of PEM form; both "": the default, or self-signed.
	CertFile, KeyFile string
	// Issued is what an authority issues to this node by itself: the files with this
	// name below Deps.Dir that end in .crt and .key. They come and change when it
	// has. "": there is no such authority.
	Issued string
	// Names are the host names and addresses that a self-signed certificate is for.
	Names []string
	// Suites are those of TLS 1.2, by their numbers; none: what Go offers by itself.
	Suites []uint16
	// NoTLS12 and NoTLS13 leave a version out; one stays.
	NoTLS12, NoTLS13 bool
	// Secrets are shared by the nodes of the cluster: the first is what this one
	// reaches others by, it answers to all.
	Secrets []string
}

func (c Config) equal(o Config) bool {
	return c.sameSource(o) && slices.Equal(c.Names, o.Names) && slices.Equal(c.Suites, o.Suites) &&
		c.NoTLS12 == o.NoTLS12 && c.NoTLS13 == o.NoTLS13 && slices.Equal(c.Secrets, o.Secrets)
}

// sameSource tells whether two configs want the pair of the same files.
func (c Config) sameSource(o Config) bool {
	return c.Enabled == o.Enabled && c.CertFile == o.CertFile && c.KeyFile == o.KeyFile && c.Issued == o.Issued
}

// Deps are the places where a pair may be.
type Deps struct {
	Dir string // where self-signed pairs are kept
	// DefaultCert and DefaultKey are used when the Config names no files and the
	// first of them is there.
	DefaultCert, DefaultKey string
}

// Keeper keeps the certificate of a node. A nil one has no TLS.
type Keeper struct {
	deps    Deps
	log     logrus.FieldLogger
	serving atomic.Pointer[serving]
	changed chan struct{} // capacity 1: other folders are to be watched

	mu    sync.Mutex
	cfg   Config
	pair  *Pair // nil: TLS is off
	fault error // why the wanted pair is not the one that serves
}

// New returns a Keeper without TLS.
func New(deps Deps, log logrus.FieldLogger) *Keeper {
	k := &Keeper{deps: deps, log: log, changed: make(chan struct{}, 1)}
	k.serving.Store(newServing(Config{}, nil))
	return k
}

// Apply makes cfg the state. An equal one changes nothing. When files that cfg is
// the first to name cannot be used, the error says why and nothing has changed,
// unless there was no pair at all: then a self-signed one serves until the files
// can be used. What an authority is yet to issue is waited for and no error.
func (k *Keeper) Apply(cfg Config) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if cfg.equal(k.cfg) {
		return nil
	}
	now := time.Now()
	pair, fault := k.obtain(cfg, now)
	switch {
	case fault == nil:
	case k.pair != nil && !cfg.sameSource(k.cfg) && cfg.Issued == "":
		return fault
	case k.pair != nil && cfg.Issued == "":
		pair = k.pair // other things have changed; the files are as bad as before
	case pair == nil:
		var err error
		if pair, err = k.fallback(cfg, now); err != nil {
			return errors.Join(fault, err)
		}
	}
	first := k.pair == nil
	k.cfg = cfg
	k.adopt(pair, fault)
	select {
	case k.changed <- struct{}{}:
	default: // it will be looked at
	}
	if first && cfg.Issued == "" {
		return fault
	}
	return nil
}

// Check says why cfg could not be applied.
func (k *Keeper) Check(cfg Config) error {
	certFile, keyFile := k.deps.files(cfg)
	k.mu.Lock()
	known := cfg.sameSource(k.cfg)
	k.mu.Unlock()
	if !cfg.Enabled || known || certFile == "" || cfg.Issued != "" {
		return nil
	}
	p, err := Load(certFile, keyFile)
	if err != nil {
		return err
	}
	return p.Validity(time.Now())
}

// obtain is the pair that cfg wants. With an error there may be one, too: it is not
// valid now.
func (k *Keeper) obtain(cfg Config, now time.Time) (*Pair, error) {
	if !cfg.Enabled {
		return nil, nil //nolint:nilnil // no pair is what is wanted
	}
	certFile, keyFile := k.files(cfg)
	switch {
	case certFile == "":
		return k.fallback(cfg, now)
	case cfg.Issued != "":
		return k.issued(cfg, now)
	}
	p, err := Load(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	return p, p.Validity(now)
}

// files are where the pair of cfg is from. A default pair that vanishes while it
// serves is expected back.
func (k *Keeper) files(cfg Config) (certFile, keyFile string) {
	certFile, keyFile = k.deps.files(cfg)
	if certFile == "" && k.pair != nil && !k.pair.SelfSigned && cfg.sameSource(k.cfg) {
		return k.deps.DefaultCert, k.deps.DefaultKey
	}
	return certFile, keyFile
}

// fallback is a self-signed pair: kept, or where that is impossible not.
func (k *Keeper) fallback(cfg Config, now time.Time) (*Pair, error) {
	p, err := ownPair(k.deps.Dir, cfg.Names, now)
	if err == nil {
		return p, nil
	}
	if k.pair != nil && k.pair.SelfSigned && covers(k.pair.Leaf, cfg.Names) && k.pair.Validity(now) == nil {
		return k.pair, nil // not a new one every time
	}
	k.log.WithError(err).Warn("the self-signed certificate cannot be kept: there is a new one after every start")
	return unkept(cfg.Names, now)
}

// adopt has a pair serve new connections. The caller holds mu.
func (k *Keeper) adopt(pair *Pair, fault error) {
	news := !pair.same(k.pair)
	worse := fault != nil && (k.fault == nil || k.fault.Error() != fault.Error())
	k.pair, k.fault = pair, fault
	k.serving.Store(newServing(k.cfg, pair))
	switch {
	case worse && errors.Is(fault, errAwaited):
		k.log.WithError(fault).Info("the certificate that the settings want is waited for")
	case worse:
		k.log.WithError(fault).Error("the certificate that the settings want cannot be used")
	}
	if news && pair != nil {
		k.log.WithFields(logrus.Fields{
			"from": pair.From, "names": Names(pair.Leaf), "until": day(pair.Leaf.NotAfter), "sha256": pair.Fingerprint(),
		}).Info("this is the TLS certificate of new connections")
	}
}

// refresh takes what the files have become.
func (k *Keeper) refresh(now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.cfg.Enabled {
		return
	}
	pair, fault := k.obtain(k.cfg, now)
	if pair == nil || fault != nil && k.pair.outlasts(pair, now) {
		pair = k.pair
	}
	if pair.same(k.pair) && fmt.Sprint(fault) == fmt.Sprint(k.fault) {
		return
	}
	if fault == nil && k.fault != nil {
		k.log.Info("the certificate that the settings want can be used again")
	}
	k.adopt(pair, fault)
}

// Status is how the certificate of a node is.
type Status struct {
	Pair  *Pair // that serves; nil: there is no TLS
	Fault error // why it is not the one that the settings want, or is not valid
}

// Status tells which certificate serves.
func (k *Keeper) Status() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	return Status{k.pair, k.fault}
}

// Viewers is what viewers are shown that speak TLS inside a protocol of their own (RFB);
// nil: TLS is off.
func (k *Keeper) Viewers() *tls.Config { return k.serving.Load().viewers }

// Member is how this node reaches others by TLS; nil: it does not.
func (k *Keeper) Member() *tls.Config {
	if k == nil {
		return nil
	}
	return k.serving.Load().member
}
