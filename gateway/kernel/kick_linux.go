package kernel

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"vdi-gateway/gateway/kernel/conntrack"
)

// kicks are those under way. One may take long, for an end that is gone, and holds up no
// other.
type kicks struct {
	going  sync.WaitGroup
	ctx    context.Context // nil: none was begun since halt
	cancel context.CancelFunc
}

func (k *kicks) begin(ctx context.Context, kick func(context.Context)) {
	if k.ctx == nil {
		k.ctx, k.cancel = context.WithCancel(ctx)
	}
	ctx = k.ctx
	k.going.Go(func() { kick(ctx) })
}

// halt returns when nothing is sent any more.
func (k *kicks) halt() {
	if k.cancel != nil {
		k.cancel()
	}
	k.going.Wait()
	k.ctx, k.cancel = nil, nil
}

// punish has doomed flows kicked.
func (k *Kernel) punish(ctx context.Context) {
	k.mu.Lock()
	flows := k.kills
	k.kills = nil
	k.mu.Unlock()
	if len(flows) > 0 {
		flows = k.held(ctx, flows)
	}
	if len(flows) == 0 {
		return
	}
	k.mu.Lock()
	var calls, entries []conntrack.Flow
	for _, f := range flows {
		if f.life.phase == calling {
			calls = append(calls, f.named())
		} else {
			entries = append(entries, f.named())
		}
	}
	mark := k.cfg.Rules.Condemned
	k.mu.Unlock()
	k.kicks.begin(ctx, func(ctx context.Context) {
		err := k.kick(ctx, mark, calls, entries)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			k.deps.Log.WithError(err).Warn("flows could not be reset")
		}
		k.wasKicked(flows)
	})
}

// held are the flows whose virtual address is on this host. A process that stood still,
// and does not know yet that another node has taken it, must not reset what lives there.
func (k *Kernel) held(ctx context.Context, flows []*Flow) (here []*Flow) {
	var local []net.Addr
	err := k.deps.Within(func() (err error) { local, err = net.InterfaceAddrs(); return err })
	if err != nil {
		return flows
	}
	at := map[netip.Addr]bool{}
	for _, a := range local {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			at[p.Addr()] = true
		}
	}
	var away []*Flow
	for _, f := range flows {
		if at[f.entry.Virtual().Addr()] {
			here = append(here, f)
		} else {
			away = append(away, f)
		}
	}
	k.lose(ctx, away)
	return here
}

// lose takes flows for what they are without the address: another node's.
func (k *Kernel) lose(ctx context.Context, flows []*Flow) {
	now := time.Now()
	for _, f := range flows {
		k.mu.Lock()
		f.life.doomed = Moved
		e := conntrack.Event{Kind: conntrack.Destroy, Flow: f.named()}
		k.mu.Unlock()
		k.happened(ctx, f, e, now)
	}
}

// kick ends flows at both ends. A client whose SYN is unanswered takes a SYN for its
// answer, and then sends nothing any more that conntrack would know. So such a flow is only
// marked: the SYN that its client sends next is answered with a reset.
func (k *Kernel) kick(ctx context.Context, mark uint32, calls, entries []conntrack.Flow) error {
	if _, err := k.table.SetMark(ctx, mark, calls...); err != nil {
		return err
	}
	for _, f := range calls {
		now, err := k.table.Get(ctx, f)
		if err == nil && now.State != conntrack.SynSent { // the VM was faster
			entries = append(entries, f)
		}
	}
	if len(entries) == 0 {
		return nil
	}
	return k.deps.Within(func() error {
		failed, err := k.table.Kick(ctx, mark, entries...)
		for _, f := range failed {
			k.deps.Log.WithError(f).Debug("an end of a flow was not seen to be reset")
		}
		return err
	})
}

func (k *Kernel) wasKicked(flows []*Flow) {
	now := time.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, f := range flows {
		f.kicked = now
	}
}
