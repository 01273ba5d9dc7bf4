package kernel

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"vdi-gateway/gateway/kernel/conntrack"
	"vdi-gateway/gateway/relay"
)

// hear takes an event.
func (k *Kernel) hear(ctx context.Context, e conntrack.Event) error {
	now := time.Now()
	if e.Kind == conntrack.Overrun {
		return k.look(ctx, now)
	}
	k.mu.Lock()
	f := k.flows[e.Flow.Orig]
	ours, _ := k.ours(e.Flow)
	k.mu.Unlock()
	if !ours {
		return nil
	}
	if f != nil && e.Kind == conntrack.New && f.life.id != 0 && f.life.id != e.Flow.ID {
		k.happened(ctx, f, conntrack.Event{Kind: conntrack.Destroy, Flow: f.named()}, now)
		f = nil
	}
	if f == nil {
		if e.Kind != conntrack.Destroy && !closed(e.Flow) {
			k.begin(ctx, e.Flow, false, now)
		}
		return nil
	}
	k.happened(ctx, f, e, now)
	return nil
}

// look takes the whole table: what it does not have is gone, what is new has begun
// meanwhile, or before this process. Counters are read by the way.
func (k *Kernel) look(ctx context.Context, now time.Time) error {
	entries, err := k.table.Dump(ctx, k.filter())
	if err != nil {
		return err
	}
	k.mu.Lock()
	k.looked = now
	k.mu.Unlock()
	there := make(map[conntrack.Tuple]bool, len(entries))
	var unheard []conntrack.Flow
	for _, e := range entries {
		k.mu.Lock()
		f := k.flows[e.Orig]
		ours, _ := k.ours(e)
		if ours && f != nil && f.unheard(e, now) {
			unheard = append(unheard, e)
		}
		k.mu.Unlock()
		if !ours {
			continue
		}
		there[e.Orig] = true
		k.saw(ctx, f, e, now)
	}
	k.sound(ctx, unheard)
	k.mu.Lock()
	var gone []*Flow
	for at, f := range k.flows {
		if !there[at] {
			gone = append(gone, f)
		}
	}
	k.mu.Unlock()
	for _, f := range gone {
		k.happened(ctx, f, conntrack.Event{Kind: conntrack.Destroy, Flow: f.named()}, now)
	}
	return nil
}

// saw takes an entry of the table; f is nil when it was not known.
func (k *Kernel) saw(ctx context.Context, f *Flow, e conntrack.Flow, now time.Time) {
	if f != nil && f.life.id != 0 && f.life.id != e.ID {
		k.happened(ctx, f, conntrack.Event{Kind: conntrack.Destroy, Flow: f.named()}, now)
		f = nil
	}
	switch {
	case f != nil:
		k.mu.Lock()
		f.count(e, now)
		k.mu.Unlock()
		k.happened(ctx, f, conntrack.Event{Kind: conntrack.Update, Flow: e}, now)
	case !closed(e):
		k.begin(ctx, e, k.former(e), now)
	}
}

// former tells whether a flow began before flows were this node's. Of one that began
// since, the event is late, or was lost.
func (k *Kernel) former(e conntrack.Flow) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return e.Start.IsZero() || e.Start.Before(k.since)
}

// begin takes a flow that was not known.
func (k *Kernel) begin(ctx context.Context, e conntrack.Flow, adopted bool, now time.Time) {
	f := &Flow{kernel: k, entry: e, Adopted: adopted, begun: e.Status != 0 || !adopted, noted: now}
	f.life = life{id: e.ID, born: now, active: now}
	if !e.Start.IsZero() && e.Start.Before(now) {
		f.life.born = e.Start
	}
	k.mu.Lock()
	if !k.active && !k.cfg.Resident { // another node's, perhaps
		k.mu.Unlock()
		return
	}
	_, condemned := k.ours(e)
	if condemned && e.State == conntrack.SynSent { // its client is told when it asks again
		k.mu.Unlock()
		return
	}
	k.flows[e.Orig] = f
	accepted := !condemned && k.admit(f)
	if !accepted {
		f.refused = true
		f.doom(Revoked)
	}
	k.mu.Unlock()
	if accepted && !k.deps.Owner.Opened(f) {
		k.mu.Lock()
		f.refused = true
		f.doom(Revoked)
		k.mu.Unlock()
	}
	k.happened(ctx, f, conntrack.Event{Kind: conntrack.Update, Flow: e}, now)
}

// admit finds a flow's grant and room in it. The caller holds the lock.
func (k *Kernel) admit(f *Flow) bool {
	key := netip.AddrPortFrom(f.entry.Client().Addr(), f.Port())
	g := k.grants[key]
	if g == nil || g.VM != f.entry.VM() {
		return false
	}
	if f.Adopted {
		k.changed(key)
	} else {
		f.class = g.class
		victim, ok := g.admit()
		if !ok {
			return false
		}
		if victim != nil {
			victim.doom(Replaced)
		}
	}
	f.grant = g
	g.flows = append(g.flows, f)
	return true
}

// happened takes an event of a flow and does what follows.
func (k *Kernel) happened(ctx context.Context, f *Flow, e conntrack.Event, now time.Time) {
	k.mu.Lock()
	var v verdict
	f.life, v = f.life.hear(e, now)
	refused := f.refused
	k.mu.Unlock()
	if v.joined && !refused {
		k.deps.Owner.Joined(f)
		k.deps.Directory.Spread(sharedOf(f.entry, f.life.born).record())
		f.spread = true
	}
	if v.over {
		k.end(ctx, f, e, v, now)
	}
}

// end accounts for a flow that is over.
func (k *Kernel) end(ctx context.Context, f *Flow, e conntrack.Event, v verdict, now time.Time) {
	last := e.Flow
	if e.Kind != conntrack.Destroy {
		if got, err := k.table.Get(ctx, f.entry); err == nil && got.ID == f.life.id {
			last = got
		}
		k.linger = append(k.linger, lingering{f.named(), now.Add(lingerTime)})
	}
	if errors.Is(v.err, ErrSilent) || errors.Is(v.err, relay.ErrKilled) {
		k.linger = append(k.linger, lingering{f.named(), now.Add(callTime)})
	}
	k.mu.Lock()
	f.count(last, now)
	if k.flows[f.entry.Orig] == f {
		delete(k.flows, f.entry.Orig)
	}
	k.leave(f)
	result, refused := f.result(v), f.refused
	k.mu.Unlock()
	if f.spread && v.reason != Moved {
		k.deps.Directory.Forget(idOf(f.entry.Orig))
	}
	if !refused {
		k.deps.Owner.Ended(f, result)
	}
}

// leave gives the flow's place in its grant back. The caller holds the lock.
func (k *Kernel) leave(f *Flow) {
	g := f.grant
	if g == nil {
		return
	}
	g.flows = slices.DeleteFunc(g.flows, func(other *Flow) bool { return other == f })
	if k.grants[g.key()] != g {
		return
	}
	if g.Limit > 0 && g.wanted() != g.class {
		k.changed(g.key())
	}
	if g.left && len(g.flows) == 0 && !k.cfg.Enabled {
		delete(k.grants, g.key())
	}
}
