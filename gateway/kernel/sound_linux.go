package kernel

import (
	"context"
	"time"

	"vdi-gateway/gateway/kernel/conntrack"
)

// quiet is how long an injected flow may carry nothing until its ends are asked whether
// they are there.
const quiet = time.Second

// unheard tells whether nothing was heard of an injected flow yet. Its connection may have
// ended while it moved: at the node before, which could not say so in time, or on the way.
// The caller holds the lock.
func (f *Flow) unheard(e conntrack.Flow, now time.Time) bool {
	return !f.begun && f.life.doomed == "" && e.Counted && e.Sent.Packets+e.Back.Packets == 0 && now.Sub(f.noted) >= quiet
}

// sound asks the ends of flows whether they are there.
func (k *Kernel) sound(ctx context.Context, flows []conntrack.Flow) {
	mark := k.config().Rules.Condemned
	if len(flows) == 0 || mark == 0 {
		return
	}
	k.kicks.begin(ctx, func(ctx context.Context) {
		err := k.deps.Within(func() error { return k.table.Sound(ctx, mark, flows...) })
		if err != nil && ctx.Err() == nil {
			k.deps.Log.WithError(err).Warn("ends of connections of the node before could not be asked whether they are there")
		}
	})
}
