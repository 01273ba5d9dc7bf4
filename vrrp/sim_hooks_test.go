package vrrp

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
)

// prepare has the nodes prepare before they take the address, some of them for too long,
// and not all of them heed the end of their time.
func (f *fleet) prepare(r *rand.Rand) {
	if r.IntN(2) == 0 {
		return
	}
	f.slow = prepareTime
	for _, n := range f.nodes {
		seed := r.Uint64()
		var calls atomic.Uint64
		n.preparing = func(ctx context.Context) {
			chance := rand.New(rand.NewPCG(seed, calls.Add(1)))
			enough := ctx.Done()
			if chance.IntN(3) == 0 {
				enough = nil
			}
			select {
			case <-time.After(time.Duration(chance.Int64N([]int64{1, 20, 200, 1500}[chance.IntN(4)])) * time.Millisecond):
			case <-enough:
			}
		}
	}
}

func (n *simNode) deps(log *logrus.Logger) Deps {
	d := Deps{Log: log, Followed: n.followed}
	if n.preparing != nil {
		d.Prepare = n.prepare
	}
	return d
}

// prepare notes what it does.
func (n *simNode) prepare(ctx context.Context) {
	began := time.Now()
	n.net.note("%s prepares", n.addr())
	n.preparing(ctx)
	n.gate()
	n.net.note("%s has prepared for %s", n.addr(), time.Since(began))
	n.mu.Lock()
	defer n.mu.Unlock()
	if began.After(n.prepared) {
		n.prepared = began
	}
}

// checkPrepared complains when the addresses come before Prepare has returned, or had
// its time.
func (g *simGuard) checkPrepared() {
	n := g.node
	n.mu.Lock()
	early := n.preparing != nil && n.prepared.Before(g.decided) && time.Since(g.decided) < prepareTime
	n.mu.Unlock()
	if early {
		n.net.complain("%s: the addresses are put %s after the decision, without Prepare", n.addr(), time.Since(g.decided))
	}
}

// complain notes what must not happen.
func (s *simNet) complain(format string, args ...any) {
	s.note("WRONG: "+format, args...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong = append(s.wrong, fmt.Sprintf(format, args...))
}
