package kernel

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"vdi-gateway/gateway/kernel/conntrack"
	"vdi-gateway/gateway/kernel/rules"
)

// pollEvery is Config.Poll where it is 0.
const pollEvery = 5 * time.Second

// Kernel is the data path of a node. Its methods may be called by several goroutines.
type Kernel struct {
	deps     Deps
	rules    *rules.Rules
	wake     chan struct{}
	ready    chan struct{} // closed by the first Apply that has enabled it
	requests chan request
	buffer   int // of events; 0: the listener's own choice

	changing  sync.Mutex // of rules: held while they are changed
	inherited bool       // it was looked for a table left by a former process; changing guards it
	warned    warned

	mu     sync.Mutex
	table  *conntrack.Table // nil before it was enabled
	cfg    Config
	flows  map[conntrack.Tuple]*Flow
	looked time.Time // when the table was looked at last
	active bool      // flows are this node's: the last call was Inject, not Withdraw
	since  time.Time // entries from before have been somebody else's
	grants map[netip.AddrPort]*granted
	dirty  map[netip.AddrPort]struct{} // grants that rules have to hear of; none while disabled
	kills  []*Flow

	// Of Run's goroutine.
	linger  []lingering
	retired bool    // the table was taken away
	refusal refusal // of rules, when they had to hear something last
	kicks   kicks
	closing sync.WaitGroup // of sockets
}

// New makes the data path and starts nothing.
func New(d Deps) *Kernel {
	if d.Directory == nil {
		d.Directory = alone{}
	}
	if d.Within == nil {
		d.Within = func(f func() error) error { return f() }
	}
	if d.Log == nil {
		silent := logrus.New()
		silent.SetOutput(io.Discard)
		d.Log = silent
	}
	return &Kernel{
		deps: d, rules: rules.New(), wake: make(chan struct{}, 1), ready: make(chan struct{}),
		requests: make(chan request),
		since:    time.Now(), flows: map[conntrack.Tuple]*Flow{}, grants: map[netip.AddrPort]*granted{}, dirty: map[netip.AddrPort]struct{}{},
	}
}

// Apply makes the data path what cfg says. The first time it adopts the grants of a table
// that it finds. ErrUnable says that this host cannot have it; after any error new flows
// begin as before. Without Enabled a table that is found is kept for the flows that live by
// it, if there are any, and that it cannot be looked for is no error.
func (k *Kernel) Apply(cfg Config) error {
	k.changing.Lock()
	defer k.changing.Unlock()
	k.mu.Lock()
	old, table := k.cfg, k.table
	k.mu.Unlock()
	if !cfg.Enabled {
		if table == nil && !k.inherited && cfg.Former {
			k.inherit()
		}
		return k.disable(cfg, old.Enabled)
	}
	if table != nil && (old.Rules.Mark != cfg.Rules.Mark || old.Rules.Condemned != cfg.Rules.Condemned) {
		return errors.New("the marks of flows cannot change while there may be flows")
	}
	adopted, err := k.open(cfg, &table)
	if err == nil {
		err = k.ruled(cfg, old.Enabled)
	}
	if err != nil {
		if table != nil && old.Rules.Mark == 0 {
			_ = table.Close() // it was opened here and never used
		}
		return err
	}
	k.enable(cfg, table, adopted)
	return k.commit()
}

// open makes sure that this host can, and opens what is needed where it was not yet.
func (k *Kernel) open(cfg Config, table **conntrack.Table) (adopted []rules.Grant, err error) {
	err = k.deps.Within(func() (err error) {
		if err = able(cfg.Rules); err != nil || *table != nil {
			return err
		}
		if *table, err = conntrack.Open(); err == nil {
			adopted, err = k.rules.Adopt()
		}
		return err
	})
	return adopted, err
}

// ruled makes the table of nftables what cfg says, from the start with the grants there are.
func (k *Kernel) ruled(cfg Config, was bool) error {
	var grants []rules.Grant
	if !was {
		grants = k.all()
	}
	return k.deps.Within(func() error { return k.rules.Apply(cfg.Rules, grants...) })
}

// enable takes over what Apply has made.
func (k *Kernel) enable(cfg Config, table *conntrack.Table, adopted []rules.Grant) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range adopted { // those that callers have given since are newer
		g := Grant(r)
		if k.grants[g.key()] == nil {
			k.grants[g.key()] = &granted{Grant: g, class: g.Limit}
		}
	}
	for key := range k.grants {
		k.dirty[key] = struct{}{}
	}
	k.begins(cfg, table)
}

// begins has the loop follow flows. The caller holds the lock.
func (k *Kernel) begins(cfg Config, table *conntrack.Table) {
	if k.table == nil {
		k.table = table
		close(k.ready)
	}
	k.cfg = cfg
}

// disable lets flows that live go on and no others begin.
func (k *Kernel) disable(cfg Config, was bool) error {
	if was {
		if err := k.deps.Within(k.rules.Drain); err != nil {
			return err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	cfg.Rules = k.cfg.Rules // the marks of what lives
	k.cfg = cfg
	clear(k.dirty)
	return nil
}

func (k *Kernel) config() Config {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.cfg
}

// able tells in words what this host lacks, and sets the sysctls.
func able(c rules.Config) error {
	if err := conntrack.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnable, err)
	}
	if missing := rules.Check(c.Mark).Missing; len(missing) > 0 {
		return fmt.Errorf("%w: %s", ErrUnable, strings.Join(missing, "; "))
	}
	if _, err := conntrack.Tune(tuning(c)); err != nil {
		return fmt.Errorf("%w: %w", ErrUnable, err)
	}
	return nil
}
