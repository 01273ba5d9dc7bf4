package balancer

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	checkEvery = 500 * time.Millisecond
	// checkTime is how long a node has to answer.
	checkTime = time.Second
	// checkGap is the least time between two checks of a node, however many
	// clients could not reach it.
	checkGap = 50 * time.Millisecond
)

// watchAll has every node watched by a goroutine and ends those of nodes that
// are none any more.
func (b *Balancer) watchAll(ctx context.Context, checks *sync.WaitGroup, running map[*node]context.CancelFunc) {
	b.mu.Lock()
	wanted := b.nodes
	b.mu.Unlock()
	for n, cancel := range running {
		if !slices.Contains(wanted, n) {
			cancel()
			delete(running, n)
		}
	}
	for _, n := range wanted {
		if running[n] == nil {
			own, cancel := context.WithCancel(ctx)
			running[n] = cancel
			checks.Go(func() { b.watch(own, n) })
		}
	}
}

// watch checks one node until ctx is done: regularly, and soon after a client
// could not reach it.
func (b *Balancer) watch(ctx context.Context, n *node) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.kick:
			timer.Reset(time.Until(last.Add(checkGap)))
		case <-timer.C:
			last = time.Now()
			b.check(ctx, n, last)
			timer.Reset(time.Until(last.Add(checkEvery)))
		}
	}
}

func (b *Balancer) check(ctx context.Context, n *node, began time.Time) {
	limited, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	err := b.deps.Probe(limited, netip.AddrPortFrom(n.addr, b.apiPort()))
	if ctx.Err() == nil {
		b.judge(n, err, began, time.Now())
	}
}

func (b *Balancer) apiPort() uint16 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cfg.APIPort
}

// judge takes the result of a check.
func (b *Balancer) judge(n *node, err error, began, now time.Time) {
	b.mu.Lock()
	b.hear(now)
	n.checks++
	if err != nil {
		n.failed, n.lastErr = n.failed+1, err
	}
	n.health = n.health.checked(err == nil, n.member.Alive, now)
	if err == nil {
		b.trust(n, began)
	}
	b.sources.forget(b.cfg.StickyTTL, now)
	was, is := n.told, n.state()
	n.told = is
	left := n.leave(err != nil)
	b.mu.Unlock()
	for _, c := range left {
		c.cut()
	}
	if was != is {
		b.tell(n.addr, is, err)
	}
}

// trust ends the suspicions that are older than a check that was passed.
func (b *Balancer) trust(n *node, began time.Time) {
	for _, f := range b.fronts {
		if at := f.backends[n.addr]; at != nil && at.suspect.Before(began) {
			at.suspect = time.Time{}
		}
	}
}

// hear takes what the directory knows of the nodes; b.mu is held.
func (b *Balancer) hear(now time.Time) {
	if b.deps.Members == nil {
		for _, n := range b.nodes {
			n.heard(Member{Node: n.addr, Alive: true, Ready: true}, now)
		}
		return
	}
	members := b.deps.Members()
	for _, n := range b.nodes {
		i := slices.IndexFunc(members, func(m Member) bool { return m.Node == n.addr })
		if i < 0 {
			n.heard(Member{Node: n.addr}, now)
			continue
		}
		n.heard(members[i], now)
	}
}

// tell logs a node's new state.
func (b *Balancer) tell(node netip.Addr, is State, err error) {
	log := b.deps.Log.WithField("node", node.String()).WithField("state", string(is))
	switch {
	case is == StateDown && err == nil:
		log.Warn("clients are no longer sent to this node: the other nodes do not hear it")
		return
	case is == StateDown:
		log.WithError(err).Warn("clients are no longer sent to this node")
		return
	}
	log.Info("the state of a node has changed")
}
