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
//
// Besides its own it holds what it was told of the grants of other nodes
// (registry_others.go). Those are in tokens, slots and byKey, too, and remote.
type registry struct {
	grants  map[ConnectionID]*grant // own
	others  map[ConnectionID]*grant // of other nodes
	tokens  map[[sha256.Size]byte]*grant
	slots   map[slot]*grant
	byKey   map[reopenKey]*grant
	resumes map[[sha256.Size]byte]*grant
	desks   map[desk]map[*grant]struct{}      // grants for people at desktops
	clients map[netip.Addr]map[netip.Addr]int // grants by client and node
	inUse   map[uint16]int                    // grants by port
	blocked map[uint16]time.Time
	// expired remembers grants by token hash and by id.
	expired map[[sha256.Size]byte]time.Time
	lapsed  map[ConnectionID]time.Time
	// revoked remembers steered grants that were ended on purpose.
	revoked map[ConnectionID]time.Time
}

// slot is where a client meets its tunnel. It is unique over all grants.
type slot struct {
	client netip.Addr
	port   uint16
}

func newRegistry() *registry {
	return &registry{
		grants: map[ConnectionID]*grant{}, others: map[ConnectionID]*grant{}, tokens: map[[sha256.Size]byte]*grant{},
		slots: map[slot]*grant{}, byKey: map[reopenKey]*grant{},
		resumes: map[[sha256.Size]byte]*grant{}, desks: map[desk]map[*grant]struct{}{},
		clients: map[netip.Addr]map[netip.Addr]int{}, inUse: map[uint16]int{}, blocked: map[uint16]time.Time{},
		expired: map[[sha256.Size]byte]time.Time{}, lapsed: map[ConnectionID]time.Time{}, revoked: map[ConnectionID]time.Time{},
	}
}

// room tells whether one more grant for client keeps within the limits.
func (r *registry) room(client, node netip.Addr, l Limits) error {
	if l.Connections > 0 && len(r.grants) >= l.Connections {
		return refuseFor(time.Second, ErrOverloaded, "the node holds as many connections as limits.max_connections allows")
	}
	if l.PerClient > 0 && r.clients[client][node] >= l.PerClient {
		return refuseFor(time.Second, ErrRateLimited, "the client holds as many connections as limits.max_per_client allows")
	}
	return nil
}

// add enters a new grant of this node. In ModePort it gets a port of the range.
func (r *registry) add(g *grant, among choice, now time.Time) error {
	if g.mode == ModePort {
		if err := r.takePort(g, among, now); err != nil {
			return err
		}
	}
	r.grants[g.id] = g
	r.enter(g)
	return nil
}

// enter makes a grant known by its tokens, client, key and desktop.
func (r *registry) enter(g *grant) {
	r.tokens[g.token] = g
	r.awaits(g, g.resumes[0], g.resumes[1])
	r.seat(g)
	if r.clients[g.client] == nil {
		r.clients[g.client] = map[netip.Addr]int{}
	}
	r.clients[g.client][g.node]++
	if g.key.user != "" {
		r.byKey[g.key] = g
	}
}

// leave undoes enter.
func (r *registry) leave(g *grant) {
	if r.tokens[g.token] == g {
		delete(r.tokens, g.token)
	}
	if r.byKey[g.key] == g {
		delete(r.byKey, g.key)
	}
	r.dropResumes(g)
	r.unseat(g)
	nodes := r.clients[g.client]
	if nodes[g.node]--; nodes[g.node] <= 0 {
		delete(nodes, g.node)
	}
	if len(nodes) == 0 {
		delete(r.clients, g.client)
	}
}

func (r *registry) takePort(g *grant, among choice, now time.Time) error {
	port, ok := r.freePort(g.client, among, now)
	if !ok {
		return refuseFor(time.Second, ErrNoFreePort, "every port of the range is taken for this client address")
	}
	g.port = port
	r.sit(g)
	return nil
}

// sit gives the grant its slot, whoever had it.
func (r *registry) sit(g *grant) {
	s := slot{g.client, g.port}
	if r.slots[s] == nil {
		r.inUse[g.port]++
	}
	r.slots[s] = g
}

// sits tells whether the grant has its slot: one that is older may have it after
// nodes could not hear each other.
func (r *registry) sits(g *grant) bool {
	return g.mode != ModePort || r.slots[slot{g.client, g.port}] == g
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
func (r *registry) move(g *grant, among choice, now time.Time) error {
	r.blocked[g.port] = now.Add(blockedTime)
	r.leavePort(g)
	return r.takePort(g, among, now)
}

// remove takes a grant out; false when it is not in.
func (r *registry) remove(g *grant) bool {
	if r.grants[g.id] != g {
		return false
	}
	g.ended = true
	delete(r.grants, g.id)
	r.leave(g)
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

// revoke removes a grant that was ended on purpose.
func (r *registry) revoke(g *grant, now time.Time) {
	if r.remove(g) && g.steered && len(r.revoked) < tombstoneMax {
		r.revoked[g.id] = now
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
	forget(r.expired, now)
	forget(r.lapsed, now)
	forget(r.revoked, now)
	return late
}

// forget drops what was noted long ago.
func forget[K comparable](noted map[K]time.Time, now time.Time) {
	for k, at := range noted {
		if now.Sub(at) > tombstoneTime {
			delete(noted, k)
		}
	}
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
