package agreement

import (
	"context"
	"net/netip"
	"time"
)

// sight is what was last heard of a peer's settings.
type sight struct {
	at time.Time
	state
}

// Saw tells of the revision that a living peer says it has. One that differs from
// the own has the peer asked at once.
func (a *Agreement) Saw(node netip.Addr, number int64) {
	a.mu.Lock()
	seen, known := a.seen[node]
	fresh := known && seen.Number == number
	if !fresh {
		delete(a.seen, node)
	}
	a.mu.Unlock()
	if !fresh {
		a.poke()
	}
}

// catchUp asks the peers whose turn it is, and follows who is ahead.
func (a *Agreement) catchUp(ctx context.Context) {
	if a.Busy() {
		return
	}
	living := a.members(nil)
	a.forget(living)
	for _, n := range living {
		if n == a.own() || ctx.Err() != nil || !a.due(n) {
			continue
		}
		mine := a.node.Current()
		got, err := a.send(ctx, n, message{Kind: kindAsk, State: stateOf(mine)})
		if err != nil {
			continue // it is asked again when it is seen
		}
		a.mu.Lock()
		a.seen[n] = sight{a.now(), got.State}
		a.mu.Unlock()
		a.compare(ctx, n, mine, got)
	}
}

// Look asks every living peer now.
func (a *Agreement) Look(ctx context.Context) {
	a.mu.Lock()
	clear(a.seen)
	a.mu.Unlock()
	a.catchUp(ctx)
}

// forget drops what was heard of nodes that are not alive: who comes back is
// asked at once.
func (a *Agreement) forget(living []netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	alive := map[netip.Addr]bool{}
	for _, n := range living {
		alive[n] = true
	}
	for n := range a.seen {
		if !alive[n] {
			delete(a.seen, n)
		}
	}
}

func (a *Agreement) due(n netip.Addr) bool {
	own := stateOf(a.node.Current())
	a.mu.Lock()
	defer a.mu.Unlock()
	seen, known := a.seen[n]
	age := a.now().Sub(seen.at)
	return !known || age >= askEvery || !seen.same(own) && age >= lookEvery
}

// compare follows from what a peer has in force.
func (a *Agreement) compare(ctx context.Context, n netip.Addr, mine Revision, got answer) {
	own := stateOf(mine)
	switch {
	case got.State.same(own):
		if mine.RollbackAt != nil && !got.Waiting { // confirmed there
			_, _ = a.send(ctx, a.own(), message{Kind: kindConfirm, State: own})
		}
	case a.node.Known(ctx, got.State.Number, got.State.Hash): // the peer is behind
	case got.Known, got.State.Hash == own.Hash && got.State.Number > own.Number:
		a.follow(ctx, n, mine)
	case got.State.Hash == own.Hash: // the peer takes the number
	case wins(own, a.own(), got.State, n):
		a.reissue(ctx, mine)
	}
	// Else the peer issues its own again.
}

// wins tells whether x, in force on node xn, goes before y on yn.
func wins(x state, xn netip.Addr, y state, yn netip.Addr) bool {
	switch {
	case x.Number != y.Number:
		return x.Number > y.Number
	case !x.At.Equal(y.At):
		return x.At.After(y.At)
	default:
		return xn.Less(yn)
	}
}

// follow takes over what is in force on a node that knows what is in force here.
func (a *Agreement) follow(ctx context.Context, from netip.Addr, mine Revision) {
	got, err := a.send(ctx, from, message{Kind: kindFetch})
	if err != nil {
		return
	}
	a.acting.Lock()
	defer a.acting.Unlock()
	p := got.Proposal
	if now := a.node.Current(); a.Busy() || !stateOf(now).same(stateOf(mine)) || p.Number <= now.Number {
		return
	}
	log := a.log.WithField("from", from.String()).WithField("was", mine.Number).WithField("revision", p.Number)
	err = a.node.Apply(ctx, p.revision())
	if err == nil {
		err = a.node.Commit(ctx, p.revision(), false)
	}
	if err != nil {
		log.WithError(err).Error("this node was away, and cannot have the settings of the others")
		return
	}
	log.Info("this node was away: newer settings taken from another node")
}

// reissue makes what is in force here the settings of all, under a new number. Of
// several nodes that could, the others find it done, or are refused and try again.
func (a *Agreement) reissue(ctx context.Context, mine Revision) {
	a.log.WithField("revision", mine.Number).Warn("the nodes had different settings; those of this node's half are issued again")
	_, err := a.Change(ctx, Request{Document: mine.Document, Author: mine.Author, merge: true})
	if err != nil {
		a.log.WithError(err).Info("the settings could not be issued again yet")
	}
}
