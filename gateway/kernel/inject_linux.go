package kernel

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"vdi-gateway/gateway/kernel/conntrack"
	"vdi-gateway/gateway/kernel/rules"
)

// NotInjected is a record whose flow does not live here. Where it is for ErrNotGranted the
// record is of no use to anybody.
type NotInjected struct {
	ID  string // of the record
	Err error
}

func (n *NotInjected) Error() string { return fmt.Sprintf("flow %s: %v", n.ID, n.Err) }

func (n *NotInjected) Unwrap() error { return n.Err }

// Inject makes flows of another node this node's own: call it on becoming active, before
// the addresses are announced. Flows that live here already stay as they are. Flows whose
// grant is not here, or leads elsewhere now, stay ended (ErrNotGranted). failed has a
// *NotInjected for each record whose flow does not live here; err is for all.
func (k *Kernel) Inject(ctx context.Context, records []Record) (failed []error, err error) {
	k.carry(true)
	err = k.ask(ctx, func(ctx context.Context) (func(), error) {
		i := injection{since: map[conntrack.Tuple]time.Time{}}
		err := k.inject(ctx, records, &i)
		failed = i.failed
		return func() { k.injected(ctx, i) }, err
	})
	return failed, err
}

// injection is what becomes of records.
type injection struct {
	flows  []conntrack.Flow              // to be made
	since  map[conntrack.Tuple]time.Time // of those that were not refused
	failed []error
	// revoked have no grant here: they end, and their ends have to know.
	revoked []conntrack.Flow
}

func (k *Kernel) inject(ctx context.Context, records []Record, i *injection) error {
	cfg := k.config()
	if !cfg.Enabled {
		return errNotRunning
	}
	for _, r := range records {
		if err := k.sort(r, cfg.Rules, i); err != nil {
			i.failed = append(i.failed, &NotInjected{r.ID, err})
		}
	}
	// Those that are condemned are found by the loop, which resets both ends.
	_, condemned := k.table.Inject(ctx, i.revoked)
	missed, err := k.table.Inject(ctx, i.flows)
	err = errors.Join(err, condemned)
	for _, m := range missed {
		delete(i.since, m.Flow.Orig)
		i.failed = append(i.failed, &NotInjected{idOf(m.Flow.Orig), m.Err})
	}
	return err
}

// sort takes a record's flow in, or says why not.
func (k *Kernel) sort(r Record, marks rules.Config, i *injection) error {
	s, err := r.decode()
	if err != nil {
		return err
	}
	f := s.flow(marks.Mark)
	if err := k.grantedHere(s); err != nil {
		f.Mark = marks.Condemned
		i.revoked = append(i.revoked, f)
		return err
	}
	i.flows, i.since[f.Orig] = append(i.flows, f), s.since
	return nil
}

func (k *Kernel) carry(active bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if active && !k.active {
		k.since = time.Now()
	}
	k.active = active
}

// grantedHere tells why a flow may not live here.
func (k *Kernel) grantedHere(s shared) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	g := k.grants[netip.AddrPortFrom(s.client.Addr(), s.virtual.Port())]
	if g == nil || g.VM != s.vm {
		return ErrNotGranted
	}
	return nil
}

// injected takes the flows that were made.
func (k *Kernel) injected(ctx context.Context, i injection) {
	now := time.Now()
	for _, f := range i.flows {
		k.mu.Lock()
		known := k.flows[f.Orig] != nil
		k.mu.Unlock()
		began, made := i.since[f.Orig]
		if known || !made {
			continue
		}
		f.State, f.Start = conntrack.Established, began
		k.begin(ctx, f, true, now)
	}
}

// Withdraw gives all flows up without a word to their ends: call it when another node has
// become active, also after this one comes back to find that. They end as Moved, and the
// directory keeps them. When it returns nothing is sent to either end any more.
func (k *Kernel) Withdraw(ctx context.Context) error {
	k.carry(false)
	return k.ask(ctx, func(ctx context.Context) (func(), error) {
		k.kicks.halt()
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
		if f.kicked.IsZero() { // else it has ended, and only that was not heard yet
			f.life.doomed = Moved
		}
		all = append(all, f)
	}
	k.kills = nil
	k.mu.Unlock()
	now := time.Now()
	for _, f := range all {
		k.happened(ctx, f, conntrack.Event{Kind: conntrack.Destroy, Flow: f.named()}, now)
	}
}
