package gateway

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
)

// Learn takes in what another node tells of a grant, at first or again. When it
// returns nil, the grant's client can come here, too. ErrSlotTaken means that
// there is an older grant on the client's port, or another program on the port
// here; the record is kept for its token.
// It may be called before Apply and Run.
func (g *Gateway) Learn(r Record) error {
	if g.knows(r) {
		return nil
	}
	gr, err := r.grant()
	if err != nil {
		return err
	}
	now := time.Now()
	if gr.expired(now) {
		return nil
	}
	denied, freed, err := g.learn(gr, now)
	g.ports.revoke(freed...)
	switch {
	case taken(err):
		g.deps.Log.WithError(err).WithField("port", gr.port).Warn("a port of the range is taken by another program; another node has to give its client another one")
		return ErrSlotTaken
	case err != nil:
		return fmt.Errorf("port %d cannot be opened here: %w", gr.port, err)
	case denied:
		return ErrSlotTaken
	case gr.mode == ModePort:
		return g.ports.reach(gr.port)
	}
	return nil
}

// knows tells whether a record says nothing new of a grant that is served here.
func (g *Gateway) knows(r Record) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	gr := g.reg.others[r.ID]
	if gr == nil || !bytes.Equal(gr.value, r.Value) || gr.mode == ModePort && gr.door == (way{}) {
		return false
	}
	gr.expires = r.Expires
	return true
}

func (g *Gateway) learn(gr *grant, now time.Time) (denied bool, freed []way, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if own := g.reg.grants[gr.id]; own != nil {
		if g.keeps(own, gr, now) {
			return false, nil, nil
		}
		g.reg.disown(own)
	}
	denied, freed = g.reg.learn(gr, now)
	if err := g.openFor(gr); err != nil {
		return denied, freed, err
	}
	if gr.node == g.cfg.Node { // from before this process
		g.regain(gr, now)
	}
	return denied, freed, nil
}

// keeps tells whether this node goes on serving its own grant, of which another
// node says that it serves it now: it does while the grant is in use here. Of two
// nodes that do, the lower address stays the owner for the others. The caller
// holds the lock.
func (g *Gateway) keeps(own, told *grant, now time.Time) bool {
	switch {
	case told.node == g.cfg.Node:
		return true
	case own.steered:
		return g.keepsSteered(own, told)
	}
	if len(own.channels) > 0 && g.cfg.Node.Less(told.node) {
		g.spread(own, now)
	}
	return len(own.channels) > 0
}

// openFor opens the port of a grant of another node for its client; the caller
// holds the lock. While the gateway is disabled nothing is open: see openOthers.
func (g *Gateway) openFor(gr *grant) error {
	if gr.door != (way{}) || gr.mode != ModePort || !g.cfg.Enabled || !g.reg.sits(gr) {
		return nil
	}
	w := g.wayOf(gr)
	err := g.ports.allow(w)
	if err == nil {
		gr.door = w
	}
	return err
}

// openOthers opens or closes the ports of the grants of other nodes, as the
// configuration says; to be called like revoke.
func (g *Gateway) openOthers() (freed []way) {
	for _, gr := range g.reg.others {
		switch {
		case !g.cfg.Enabled:
			freed = append(freed, gr.shut()...)
		case gr.node == g.cfg.Node: // from before this process
			if g.openFor(gr) == nil {
				g.regain(gr, time.Now())
			}
		default:
			if err := g.openFor(gr); err != nil {
				g.deps.Log.WithError(err).WithField("port", gr.port).Warn("the port of another node's connection cannot be opened here")
			}
		}
	}
	return freed
}

// regain makes a grant from before this process this node's own again. Whoever used it is
// gone, which the others cannot know. The caller holds the lock.
func (g *Gateway) regain(gr *grant, now time.Time) {
	g.reg.adopt(gr, gr.node)
	if gr.busy {
		g.spreadUse(gr, now)
	}
}

// Elsewhere is the living other node that serves a connection: the one of this
// id or, when that is "", of this token, which may be one to resume by. Invalid: this one does, or nobody. A
// connection whose owner has died, and that comes to this node, is this node's
// from now on.
func (g *Gateway) Elsewhere(id ConnectionID, token Secret) netip.Addr {
	g.mu.Lock()
	defer g.mu.Unlock()
	gr := g.reg.others[ConnectionID(strings.ToLower(string(id)))]
	if id == "" {
		gr = g.reg.known(token)
	}
	if gr == nil || !gr.remote {
		return netip.Addr{}
	}
	return g.server(gr, time.Now())
}

// server is the living other node that serves gr, a grant of another node.
// Invalid: it has become this node's own just now, or nobody serves it. The
// caller holds the lock.
func (g *Gateway) server(gr *grant, now time.Time) netip.Addr {
	node := serverOf(gr, g.deps.Directory.Living())
	if node != g.cfg.Node {
		return node
	}
	if was := gr.node; g.takeOver(gr, now) {
		log := g.deps.Log.WithField("connection_id", string(gr.id)).WithField("node", was.String())
		go log.Info("this node serves the connection of a node that died") // off the loop: a log may block
	}
	return netip.Addr{}
}

// serverOf is the owner of a grant while it lives, else the living node that all
// choose alike (rendezvous hashing).
func serverOf(gr *grant, living []netip.Addr) netip.Addr {
	var heir netip.Addr
	var most uint64
	for _, node := range living {
		if node == gr.node {
			return node
		}
		if weight := xxhash.Sum64String(string(gr.id) + node.String()); !heir.IsValid() || weight > most {
			heir, most = node, weight
		}
	}
	return heir
}

// takeOver makes the grant of another node this node's own, if this one may serve it.
// It lives for its ttl from now on, as after every connection. The caller holds the
// lock.
func (g *Gateway) takeOver(gr *grant, now time.Time) bool {
	if g.stopped || g.openFor(gr) != nil || gr.target.checkedBy(g.policy.Load()) != nil {
		return false
	}
	g.reg.adopt(gr, g.cfg.Node)
	gr.inherited()
	gr.extend(now)
	g.spread(gr, now)
	return true
}

// spread tells the other nodes about a grant of this one; the caller holds the
// lock.
func (g *Gateway) spread(gr *grant, now time.Time) {
	r := gr.record(now)
	gr.told, gr.busy = r.Expires, len(gr.channels) > 0
	gr.telling++
	g.deps.Directory.Spread(r)
}

// spreadUse tells them that somebody came to a desktop, or went; the caller holds the
// lock.
func (g *Gateway) spreadUse(gr *grant, now time.Time) {
	if gr.viewing() && !gr.ended && !gr.remote {
		g.spread(gr, now)
	}
}

// spreadInTime tells them again of grants whose records would lapse before they
// do; the caller holds the lock.
func (g *Gateway) spreadInTime(now time.Time) {
	for _, gr := range g.reg.grants {
		expires := gr.expiry(now)
		switch {
		case !gr.lost.IsZero(), expires.IsZero() && gr.told.IsZero():
		case expires.IsZero(), !gr.told.IsZero() && gr.told.Sub(expires) < recordMargin/3:
			g.spread(gr, now)
		}
	}
}
