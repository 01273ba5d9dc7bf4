package kernel

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"vdi-gateway/gateway/kernel/conntrack"
)

// Inject makes flows of another node this node's own: call it on becoming active, before
// the addresses are announced. Flows whose grant is not here, or leads elsewhere now, stay
// ended. failed tells of each record that was not injected; err is for all.
func (k *Kernel) Inject(ctx context.Context, records []Record) (failed []error, err error) {
	err = k.ask(ctx, func(ctx context.Context) (func(), error) {
		var flows []conntrack.Flow
		since := map[conntrack.Tuple]time.Time{}
		for _, r := range records {
			s, err := r.decode()
			if err == nil {
				err = k.grantedHere(s)
			}
			if err != nil {
				failed = append(failed, fmt.Errorf("flow %s: %w", r.ID, err))
				continue
			}
			f := s.flow(k.mark())
			since[f.Orig] = s.since
			flows = append(flows, f)
		}
		missed, err := k.table.Inject(ctx, flows)
		for _, m := range missed {
			delete(since, m.Flow.Orig)
			failed = append(failed, m)
		}
		return func() { k.injected(ctx, flows, since) }, err
	})
	return failed, err
}

func (k *Kernel) mark() uint32 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.cfg.Rules.Mark
}

// grantedHere tells why a flow may not live here.
func (k *Kernel) grantedHere(s shared) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	g := k.grants[netip.AddrPortFrom(s.client.Addr(), s.virtual.Port())]
	if !k.cfg.Enabled || g == nil || g.VM != s.vm {
		return ErrNotGranted
	}
	return nil
}

// injected takes the flows that were made; since has those.
func (k *Kernel) injected(ctx context.Context, flows []conntrack.Flow, since map[conntrack.Tuple]time.Time) {
	now := time.Now()
	for _, f := range flows {
		k.mu.Lock()
		known := k.flows[f.Orig] != nil
		k.mu.Unlock()
		began, made := since[f.Orig]
		if known || !made {
			continue
		}
		f.State, f.Start = conntrack.Established, began
		k.begin(ctx, f, true, now)
	}
}

// Withdraw gives all flows up without a word to their ends: call it when another node has
// become active, also after this one comes back to find that. They end as Moved, and the
// directory keeps them.
func (k *Kernel) Withdraw(ctx context.Context) error {
	return k.ask(ctx, func(ctx context.Context) (func(), error) {
		entries, err := k.table.Dump(ctx, k.filter())
		if err == nil {
			var failed []conntrack.Failure
			failed, err = k.table.Delete(ctx, k.only(entries)...)
			for _, f := range failed {
				err = errors.Join(err, f)
			}
		}
		return func() { k.moved(ctx) }, err
	})
}

// only are the flows with our marks.
func (k *Kernel) only(entries []conntrack.Flow) []conntrack.Flow {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []conntrack.Flow
	for _, e := range entries {
		if ours, _ := k.ours(e); ours {
			all = append(all, e)
		}
	}
	return all
}

func (k *Kernel) moved(ctx context.Context) {
	k.mu.Lock()
	var all []*Flow
	for _, f := range k.flows {
		f.life.doomed = Moved
		all = append(all, f)
	}
	k.kills = nil
	k.mu.Unlock()
	now := time.Now()
	for _, f := range all {
		k.happened(ctx, f, conntrack.Event{Kind: conntrack.Destroy, Flow: f.named()}, now)
	}
}
