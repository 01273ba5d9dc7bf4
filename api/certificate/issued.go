package certificate

import (
	"errors"
	"io/fs"
	"time"
)

// errAwaited is why the pair of an authority is not the one that serves, as long as
// the authority has issued none.
var errAwaited = errors.New("the authority has issued no certificate yet")

// issued is the pair that an authority has issued. While it is not there, not whole or
// not valid, the former one stays if it is an authority's and valid; else a self-signed
// one serves. The caller holds mu.
func (k *Keeper) issued(cfg Config, now time.Time) (*Pair, error) {
	p, why := Load(k.deps.files(cfg))
	switch {
	case errors.Is(why, fs.ErrNotExist):
		why = errAwaited
	case why == nil:
		why = p.Validity(now)
	}
	switch {
	case why == nil:
		return p, nil
	case k.pair != nil && !k.pair.SelfSigned && k.pair.Validity(now) == nil:
		return k.pair, why
	case p != nil && (k.pair == nil || !k.pair.SelfSigned):
		return p, why // it may be the clock that is wrong
	}
	own, err := k.fallback(cfg, now)
	return own, errors.Join(why, err)
}
