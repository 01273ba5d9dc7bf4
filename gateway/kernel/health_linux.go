package kernel

import (
	"slices"
	"sync"
	"time"

	"vdi-gateway/gateway/kernel/rules"
)

// warnedFor is how long warnings are remembered: whoever asks for health asks often, and
// all tables of nftables are looked at.
const warnedFor = 5 * time.Second

// warned is the warnings that were found last.
type warned struct {
	mu  sync.Mutex
	at  time.Time // zero: never
	all []string
}

// Counters are the table's. Without one they are zero.
func (k *Kernel) Counters() (rules.Counters, error) {
	k.mu.Lock()
	never := k.table == nil
	k.mu.Unlock()
	var c rules.Counters
	if never {
		return c, nil
	}
	err := k.deps.Within(func() (err error) {
		c, err = k.rules.Counters()
		return err
	})
	return c, err
}

// Warnings are of what may keep packets of flows from their way, in words for an
// operator. They are some seconds old at most. Without the data path there are none.
func (k *Kernel) Warnings() []string {
	cfg := k.config()
	if !cfg.Enabled {
		return nil
	}
	w := &k.warned
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if w.at.IsZero() || now.Sub(w.at) >= warnedFor {
		err := k.deps.Within(func() error { w.all = rules.Warnings(cfg.Rules); return nil })
		if err != nil {
			return []string{err.Error()}
		}
		w.at = now
	}
	return slices.Clone(w.all)
}
