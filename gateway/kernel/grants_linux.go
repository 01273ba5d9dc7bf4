package kernel

import (
	"net/netip"

	"vdi-gateway/gateway/kernel/rules"
	"vdi-gateway/gateway/relay"
)

// Allow notes that flows may begin; Settle tells when they can. An error is for a grant
// that makes no sense, and then none was noted. A grant that is there already was asked
// for again: its flows give way, the oldest first, when the next ones find no room. One
// that leads elsewhere now is another grant: flows of the former end as revoked.
func (k *Kernel) Allow(grants ...Grant) error {
	for _, g := range grants {
		if err := g.check(); err != nil {
			return err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, g := range grants {
		k.allow(g)
	}
	k.nudge()
	return nil
}

func (k *Kernel) allow(g Grant) {
	old := k.grants[g.key()]
	next := &granted{Grant: g}
	switch {
	case old == nil:
	case old.VM == g.VM:
		old.Grant, old.left, next = g, false, old
		for _, f := range old.flows {
			f.replaceable = true
		}
	case !g.VM.IsValid(): // flows go on
		next.flows = old.flows
		for _, f := range old.flows {
			f.grant = next
		}
	default:
		old.end(Revoked)
	}
	k.grants[g.key()] = next
	k.changed(g.key())
}

// Forbid notes that grants are gone and ends their flows for a reason. Settle tells when
// no more can begin.
func (k *Kernel) Forbid(why relay.Reason, grants ...Grant) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, g := range grants {
		if old := k.grants[g.key()]; old != nil {
			delete(k.grants, g.key())
			k.changed(g.key())
			old.end(why)
		}
	}
	k.nudge()
}

// Settle returns when the table is as the calls of Allow and Forbid before it said, or
// says why it is not; then it is tried again without being asked. Many callers share one
// transaction. Without the data path there is nothing to wait for.
func (k *Kernel) Settle() error {
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

// changed notes that rules have to hear of a grant. While they are not asked nothing is
// kept for them: they hear of all when they are. The caller holds the lock.
func (k *Kernel) changed(key netip.AddrPort) {
	if k.cfg.Enabled {
		k.dirty[key] = struct{}{}
	}
}

// nudge has the loop act.
func (k *Kernel) nudge() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// commit tells rules of all grants that have changed: of many callers' at once. The
// caller holds changing. What rules refuse has still to be told.
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
			k.changed(key)
		}
	}
	return err
}

func (k *Kernel) edits() (add, remove []rules.Grant, dirty map[netip.AddrPort]struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	dirty, k.dirty = k.dirty, map[netip.AddrPort]struct{}{}
	for key := range dirty {
		g := k.grants[key]
		if g == nil {
			remove = append(remove, rules.Grant{Client: key.Addr(), Port: key.Port()})
			continue
		}
		if r, in := g.told(); in {
			add = append(add, r)
		} else {
			remove = append(remove, r)
		}
	}
	return add, remove, dirty
}

// told is a grant as rules hear of it; false: they are not to have it.
func (g *granted) told() (r rules.Grant, in bool) {
	r = rules.Grant(g.Grant)
	if g.Limit > 0 {
		g.class = g.wanted()
		r.Limit = g.class
	}
	return r, g.Limit == 0 || r.Limit > 0
}

// all are the grants that rules hear of when they are asked for the first time.
func (k *Kernel) all() []rules.Grant {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []rules.Grant
	for _, g := range k.grants {
		if r, in := g.told(); in {
			all = append(all, r)
		}
	}
	return all
}
