package main

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"vdi-gateway/settingsdb"
	"vdi-gateway/settingsdb/access"
)

// denialEvery is how often denied clients are logged at most.
const denialEvery = time.Second

// gate is the access list in front of every port that clients use. Nodes and this
// host itself pass always, so that nobody locks out the cluster.
type gate struct {
	log    logrus.FieldLogger
	rules  atomic.Pointer[planAccess]
	denied atomic.Uint64
	logged atomic.Int64 // when, in ns since 1970
	untold atomic.Uint64
}

// planAccess is who may come in.
type planAccess struct {
	list   access.List
	exempt []netip.Addr
}

func newGate(log logrus.FieldLogger) *gate {
	g := &gate{log: log}
	g.rules.Store(&planAccess{})
	return g
}

func (g *gate) apply(p planAccess) { g.rules.Store(&p) }

// admits decides about a client. It takes no lock.
func (g *gate) admits(client netip.Addr) bool {
	if g.rules.Load().admits(client) {
		return true
	}
	g.denied.Add(1)
	g.tell(client, time.Now())
	return false
}

// tell logs a denial, or counts it for the next line. The log may block: who asks may
// not.
func (g *gate) tell(client netip.Addr, now time.Time) {
	last := g.logged.Load()
	if now.UnixNano()-last < int64(denialEvery) || !g.logged.CompareAndSwap(last, now.UnixNano()) {
		g.untold.Add(1)
		return
	}
	log := g.log.WithField("client", client)
	if more := g.untold.Swap(0); more > 0 {
		log = log.WithField("more", more)
	}
	go log.Warn("a client is denied by the access list")
}

func (p planAccess) admits(client netip.Addr) bool {
	client = client.Unmap().WithZone("")
	return p.list.Allows(client) || client.IsLoopback() || slices.Contains(p.exempt, client)
}

// planGate makes the access list of the settings.
func planGate(s settingsdb.Settings) planAccess {
	allow, _ := access.ParseSet(s.Access.AllowFrom) // valid settings have no other
	deny, _ := access.ParseSet(s.Access.DenyFrom)
	return planAccess{
		list:   access.List{Allow: allow, Deny: deny, DenyByDefault: s.Access.Policy == "deny"},
		exempt: nodesOf(s),
	}
}

// lockedOut warns a caller who could not come back after a change.
func lockedOut(s settingsdb.Settings, caller netip.Addr) []string {
	if !caller.IsValid() || planGate(s).admits(caller) {
		return nil
	}
	return []string{"access: " + caller.String() + ", which asks for this, will not come in any more"}
}
