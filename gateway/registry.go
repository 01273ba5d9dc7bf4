package gateway

import (
	"crypto/sha256"
	"net/netip"
	"slices"
	"time"
)

const (
	// tombstoneTime is how long an expired token is told apart from an
	// unknown one.
	tombstoneTime = 10 * time.Minute
	// tombstoneMax bounds the memory of that.
	tombstoneMax = 1 << 14
	// blockedTime is how long a port that somebody else has bound is not
	// tried again.
	blockedTime = 10 * time.Second
)

// registry is the table of grants: pure state, no sockets, no clock. The
// Gateway's lock guards it.
type registry struct {
	grants  map[ConnectionID]*grant
	tokens  map[[sha256.Size]byte]*grant
	slots   map[slot]*grant
	byKey   map[reopenKey]*grant
	clients map[netip.Addr]int // grants by client
	inUse   map[uint16]int     // grants by port
	blocked map[uint16]time.Time
	// expired remembers grants by token hash and by id.
	expired map[[sha256.Size]byte]time.Time
	lapsed  map[ConnectionID]time.Time
}

// slot is where a client meets its tunnel. It is unique over all grants.
type slot struct {
	client netip.Addr
	port   uint16
}

func newRegistry() *registry {
	return &registry{
		grants: map[ConnectionID]*grant{}, tokens: map[[sha256.Size]byte]*grant{},
		slots: map[slot]*grant{}, byKey: map[reopenKey]*grant{},
		clients: map[netip.Addr]int{}, inUse: map[uint16]int{}, blocked: map[uint16]time.Time{},
		expired: map[[sha256.Size]byte]time.Time{}, lapsed: map[ConnectionID]time.Time{},
	}
}

// room tells whether one more grant for client keeps within the limits.
func (r *registry) room(client netip.Addr, l Limits) error {
	if l.Connections > 0 && len(r.grants) >= l.Connections {
		return refuseFor(time.Second, ErrOverloaded, "the node holds as many connections as limits.max_connections allows")
	}
	if l.PerClient > 0 && r.clients[client] >= l.PerClient {
		return refuseFor(time.Second, ErrRateLimited, "the client holds as many connections as limits.max_per_client allows")
	}
	return nil
}

// add enters a new grant. In ModePort it gets the lowest free port of the
// range first to last.
func (r *registry) add(g *grant, first, last uint16, now time.Time) error {
	if g.mode == ModePort {
		if err := r.takePort(g, first, last, now); err != nil {
			return err
		}
	}
	r.grants[g.id] = g
	r.tokens[g.token] = g
	r.clients[g.client]++
	if g.key.user != "" {
		r.byKey[g.key] = g
	}
	return nil
}

func (r *registry) takePort(g *grant, first, last uint16, now time.Time) error {
	port, ok := r.freePort(g.client, first, last, now)
	if !ok {
		return refuseFor(time.Second, ErrNoFreePort, "every port of the range is taken for this client address")
	}
	g.port = port
	r.slots[slot{g.client, port}] = g
	r.inUse[port]++
	return nil
}

// leavePort keeps g.port readable for whoever still writes about the grant.
func (r *registry) leavePort(g *grant) {
	s := slot{g.client, g.port}
	if r.slots[s] != g {
		return
	}
	delete(r.slots, s)
	if r.inUse[g.port]--; r.inUse[g.port] == 0 {
		delete(r.inUse, g.port)
	}
}

// move gives a grant another port because its own cannot be bound.
func (r *registry) move(g *grant, first, last uint16, now time.Time) error {
	r.blocked[g.port] = now.Add(blockedTime)
	r.leavePort(g)
	return r.takePort(g, first, last, now)
}

// freePort is the lowest port of the range that the client has no grant on.
func (r *registry) freePort(client netip.Addr, first, last uint16, now time.Time) (uint16, bool) {
	for p := int(first); p <= int(last); p++ {
		port := uint16(p) //nolint:gosec // between two uint16
		if r.slots[slot{client, port}] != nil || now.Before(r.blocked[port]) {
			continue
		}
		return port, true
	}
	return 0, false
}

// remove takes a grant out; false when it is not in.
func (r *registry) remove(g *grant) bool {
	if r.grants[g.id] != g {
		return false
	}
	g.ended = true
	delete(r.grants, g.id)
	delete(r.tokens, g.token)
	if r.byKey[g.key] == g {
		delete(r.byKey, g.key)
	}
	if r.clients[g.client]--; r.clients[g.client] == 0 {
		delete(r.clients, g.client)
	}
	r.leavePort(g)
	return true
}

// expire removes a grant whose time is over and remembers that it was one.
func (r *registry) expire(g *grant, now time.Time) {
	if r.remove(g) && len(r.expired) < tombstoneMax {
		r.expired[g.token] = now
		r.lapsed[g.id] = now
	}
}

// overdue lists grants whose time is over and forgets old tombstones.
func (r *registry) overdue(now time.Time) []*grant {
	var late []*grant
	for _, g := range r.grants {
		if g.expired(now) {
			late = append(late, g)
		}
	}
	for h, at := range r.expired {
		if now.Sub(at) > tombstoneTime {
			delete(r.expired, h)
		}
	}
	for id, at := range r.lapsed {
		if now.Sub(at) > tombstoneTime {
			delete(r.lapsed, id)
		}
	}
	return late
}

// retoken gives a grant a fresh token; the former one stops working.
func (r *registry) retoken(g *grant) Secret {
	delete(r.tokens, g.token)
	s, h := newSecret()
	g.token, g.attached = h, false
	r.tokens[h] = g
	return s
}

// find returns the grant of id for who holds its token.
func (r *registry) find(id ConnectionID, token Secret, now time.Time) (*grant, error) {
	g := r.grants[id]
	if _, was := r.lapsed[id]; was || g != nil && g.expired(now) {
		return nil, refuse(ErrExpired, "the connection has expired; open it again")
	}
	if g == nil {
		return nil, refuse(ErrNotFound, "there is no such connection; open it again")
	}
	if !g.owns(token) {
		return nil, refuseField(ErrForbidden, "token", "the token is not the connection's current one")
	}
	return g, nil
}

// freePorts counts the ports of the range without any grant.
func (r *registry) freePorts(first, last uint16) int {
	free := int(last) - int(first) + 1
	for p := range r.inUse {
		if first <= p && p <= last {
			free--
		}
	}
	return max(free, 0)
}

// sorted lists all grants in the order of (openedAt, id).
func (r *registry) sorted() []*grant {
	list := make([]*grant, 0, len(r.grants))
	for _, g := range r.grants {
		list = append(list, g)
	}
	slices.SortFunc(list, func(a, b *grant) int {
		return comparePlaces(Place{a.openedAt, a.id}, Place{b.openedAt, b.id})
	})
	return list
}
