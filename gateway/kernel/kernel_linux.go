package kernel

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"vdi-gateway/gateway/kernel/conntrack"
	"vdi-gateway/gateway/kernel/rules"
	"vdi-gateway/gateway/relay"
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
	kicked   chan []*Flow
	buffer   int // of events; 0: the listener's own choice

	changing sync.Mutex // of rules: held while they are changed

	mu     sync.Mutex
	table  *conntrack.Table // nil before it was enabled
	cfg    Config
	flows  map[conntrack.Tuple]*Flow
	grants map[netip.AddrPort]*granted
	dirty  map[netip.AddrPort]struct{} // grants that rules have to hear of
	kills  []*Flow

	// Of Run's goroutine.
	linger  []lingering
	retired bool // the table was taken away
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
		requests: make(chan request), kicked: make(chan []*Flow),
		flows: map[conntrack.Tuple]*Flow{}, grants: map[netip.AddrPort]*granted{}, dirty: map[netip.AddrPort]struct{}{},
	}
}

// Apply makes the data path what cfg says. The first time it adopts the grants of a table
// that it finds. ErrUnable says that this host cannot have it; after any error new flows
// begin as before.
func (k *Kernel) Apply(cfg Config) error {
	k.changing.Lock()
	defer k.changing.Unlock()
	k.mu.Lock()
	old, table := k.cfg, k.table
	k.mu.Unlock()
	if !cfg.Enabled {
		return k.disable(cfg, table != nil && old.Enabled)
	}
	if table != nil && (old.Rules.Mark != cfg.Rules.Mark || old.Rules.Condemned != cfg.Rules.Condemned) {
		return errors.New("the marks of flows cannot change while there may be flows")
	}
	var adopted []rules.Grant
	err := k.deps.Within(func() (err error) {
		if err = able(cfg.Rules); err != nil || table != nil {
			return err
		}
		if table, err = conntrack.Open(); err == nil {
			adopted, err = k.rules.Adopt()
		}
		return err
	})
	if err == nil {
		err = k.deps.Within(func() error { return k.rules.Apply(cfg.Rules) })
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

// enable takes over what Apply has made. Grants that callers have given since are newer
// than adopted ones.
func (k *Kernel) enable(cfg Config, table *conntrack.Table, adopted []rules.Grant) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range adopted {
		g := Grant{Client: r.Client, Port: r.Port, VM: r.VM, Limit: r.Limit}
		if k.grants[g.key()] == nil {
			k.grants[g.key()] = &granted{Grant: g, class: g.Limit}
		}
	}
	for key := range k.grants {
		k.dirty[key] = struct{}{}
	}
	if k.table == nil {
		k.table = table
		close(k.ready)
	}
	k.cfg = cfg
}

// drained is a port nobody has grants for: with it alone the table translates what lives
// and is in nobody's way.
const drained = 1

// disable lets flows that live go on and no others begin.
func (k *Kernel) disable(cfg Config, was bool) error {
	if was {
		k.mu.Lock()
		quiet := k.cfg.Rules
		k.mu.Unlock()
		quiet.FirstPort, quiet.LastPort = drained, drained
		err := k.deps.Within(func() error { return errors.Join(k.rules.Set(nil), k.rules.Apply(quiet)) })
		if err != nil {
			return err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	cfg.Rules = k.cfg.Rules
	k.cfg = cfg
	return nil
}

// able tells in words what this host lacks, and sets the sysctls.
func able(c rules.Config) error {
	if err := conntrack.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnable, err)
	}
	if missing := rules.Check(c.Mark).Missing; len(missing) > 0 {
		return fmt.Errorf("%w: %s", ErrUnable, strings.Join(missing, "; "))
	}
	four := slices.ContainsFunc(c.Virtual, netip.Addr.Is4)
	six := slices.ContainsFunc(c.Virtual, netip.Addr.Is6)
	if _, err := conntrack.Tune(conntrack.Tuning{IPv4: four, IPv6: six, Liberal: true}); err != nil {
		return fmt.Errorf("%w: %w", ErrUnable, err)
	}
	return nil
}

// Allow lets flows begin, from when it returns without an error. A grant that is there
// already was asked for again: its flows give way, the oldest first, when the next ones
// find no room. One that leads to another VM now is another grant: flows of the former
// end as revoked.
func (k *Kernel) Allow(grants ...Grant) error {
	for _, g := range grants {
		if err := g.check(); err != nil {
			return err
		}
	}
	k.mu.Lock()
	for _, g := range grants {
		old := k.grants[g.key()]
		next := &granted{Grant: g}
		switch {
		case old != nil && old.VM == g.VM:
			old.Grant, next = g, old
			for _, f := range old.flows {
				f.replaceable = true
			}
		case old != nil:
			old.end(Revoked)
		}
		k.grants[g.key()], k.dirty[g.key()] = next, struct{}{}
	}
	k.mu.Unlock()
	k.changing.Lock()
	defer k.changing.Unlock()
	return k.commit()
}

// Forbid takes grants away and ends their flows for a reason.
func (k *Kernel) Forbid(why relay.Reason, grants ...Grant) error {
	k.mu.Lock()
	for _, g := range grants {
		if old := k.grants[g.key()]; old != nil {
			delete(k.grants, g.key())
			k.dirty[g.key()] = struct{}{}
			old.end(why)
		}
	}
	k.mu.Unlock()
	k.changing.Lock()
	defer k.changing.Unlock()
	return k.commit()
}

// Grants are those there are, adopted ones included, in no order.
func (k *Kernel) Grants() []Grant {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []Grant
	for _, g := range k.grants {
		all = append(all, g.Grant)
	}
	return all
}

func (g *granted) end(why relay.Reason) {
	for _, f := range g.flows {
		f.doom(why)
	}
}

// commit tells rules of all grants that have changed: of many callers' at once. The
// caller holds changing. What rules refuse is tried again with the next change.
func (k *Kernel) commit() error {
	add, remove, dirty := k.edits()
	if len(dirty) == 0 {
		return nil
	}
	err := k.deps.Within(func() error {
		if err := k.rules.Remove(remove); err != nil || len(add) == 0 {
			return err
		}
		return k.rules.Add(add)
	})
	if err != nil {
		k.mu.Lock()
		defer k.mu.Unlock()
		for key := range dirty {
			k.dirty[key] = struct{}{}
		}
	}
	return err
}

func (k *Kernel) edits() (add, remove []rules.Grant, dirty map[netip.AddrPort]struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.cfg.Enabled {
		return nil, nil, nil
	}
	dirty, k.dirty = k.dirty, map[netip.AddrPort]struct{}{}
	for key := range dirty {
		g := k.grants[key]
		if g == nil {
			remove = append(remove, rules.Grant{Client: key.Addr(), Port: key.Port()})
			continue
		}
		r := rules.Grant{Client: g.Client, Port: g.Port, VM: g.VM}
		if g.Limit > 0 {
			g.class = g.wanted()
			r.Limit = g.class
		}
		if g.Limit > 0 && r.Limit == 0 {
			remove = append(remove, r)
		} else {
			add = append(add, r)
		}
	}
	return add, remove, dirty
}
