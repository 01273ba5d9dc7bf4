package gateway

import (
	"net/netip"
	"time"
)

// learn enters a grant of another node, or what is new about one; denied tells
// that an older grant keeps the slot it wants. freed are doors that were open on
// behalf of grants that have them no more.
func (r *registry) learn(g *grant, now time.Time) (denied bool, freed []way) {
	g.remote = true
	if before := r.others[g.id]; before != nil {
		freed = r.unlearn(before)
	}
	r.others[g.id] = g
	r.enter(g)
	if g.mode != ModePort {
		return false, freed
	}
	rival := r.slots[slot{g.client, g.port}]
	if rival != nil && !rival.expired(now) && rival.older(g) {
		return true, freed
	}
	r.sit(g)
	if rival != nil {
		freed = append(freed, rival.shut()...)
	}
	return false, freed
}

// shut notes that the grant has no door any more and returns the one it had.
func (g *grant) shut() []way {
	if g.door == (way{}) {
		return nil
	}
	was := g.door
	g.door = way{}
	return []way{was}
}

// unlearn takes a grant of another node out.
func (r *registry) unlearn(g *grant) (freed []way) {
	delete(r.others, g.id)
	r.leave(g)
	if g.mode == ModePort {
		r.leavePort(g)
	}
	return g.shut()
}

// adopt makes a grant of another node this node's own.
func (r *registry) adopt(g *grant, node netip.Addr) {
	delete(r.others, g.id)
	r.leave(g)
	g.remote, g.node = false, node
	r.grants[g.id] = g
	r.enter(g)
}

// cede makes a grant of this node that of another one.
func (r *registry) cede(g *grant, node netip.Addr) {
	r.leave(g)
	g.node = node
	r.disown(g)
	r.enter(g)
}

// disown makes a grant of this node another's.
func (r *registry) disown(g *grant) {
	delete(r.grants, g.id)
	g.remote = true
	r.others[g.id] = g
}

// lapsedOthers lists the grants of other nodes whose records have expired.
func (r *registry) lapsedOthers(now time.Time) (late []*grant) {
	for _, g := range r.others {
		if g.expired(now) {
			late = append(late, g)
		}
	}
	return late
}

// older tells which of two grants keeps a slot that both have.
func (g *grant) older(h *grant) bool {
	return comparePlaces(Place{g.openedAt, g.id}, Place{h.openedAt, h.id}) < 0
}
