package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"vdi-gateway/api"
	"vdi-gateway/settingsdb"
	"vdi-gateway/vrrp"
)

// forgiven is how long a node whose check through a tunnel fails may have the virtual
// address all the same: under load one check can be late.
const forgiven = 2500 * time.Millisecond

// ownersTime is after how long two Active nodes are no hand-over any more: they tell
// each other their role several times a second.
const ownersTime = 2 * time.Second

// yieldTime bounds a hand-over of the virtual address.
const yieldTime = 3 * time.Second

// compete tells VRRP whether this node can serve.
func (a *app) compete(ready bool, why string) {
	fit := a.fitFor(ready, why, time.Now())
	if fit && !a.balancer.Ready() {
		fit, why = false, "this node is starting: its balancer has not checked the nodes yet"
	}
	a.mu.Lock()
	a.competes, a.unfit = fit, why
	a.mu.Unlock()
	a.vrrp.SetReady(fit, why)
}

// fitFor forgives when only the last check through a tunnel failed.
func (a *app) fitFor(ready bool, why string, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if ready {
		a.served = now
	}
	return ready || strings.HasPrefix(why, checkTunnel) && now.Sub(a.served) < forgiven
}

// virtualAddr is the virtual address as health shows it.
func virtualAddr(addr string, s vrrp.Status) api.VirtualAddr {
	v := api.VirtualAddr{Addr: addr, Held: s.Held}
	if s.Role == vrrp.RoleNone {
		v.Held, _ = localTo(addr)
	} else if s.Counters.Became[vrrp.RoleActive] > 0 {
		v.Since = &s.Since
	}
	return v
}

// addressChecks tell why this node has the virtual address or not, and who disturbs.
func addressChecks(addr string, s vrrp.Status) []api.Check {
	if s.Role == vrrp.RoleNone {
		return nil
	}
	list := []api.Check{{Name: "vrrp", OK: s.Role != vrrp.RoleFault, Detail: roleText(s)}}
	switch here, near := localTo(addr); {
	case here && s.Role != vrrp.RoleActive && !s.Held:
		list = append(list, api.Check{Name: "virtual_addr", Detail: addr + " is on this host although this node is not active: remove whatever put it there"})
	case !near:
		list = append(list, api.Check{Name: "virtual_addr", OK: true, Detail: addr + " is in no network of this host: only those reach it who have a route to it"})
	}
	if len(s.Strangers) > 0 {
		list = append(list, api.Check{Name: "router_id", Detail: strangersText(s.Strangers)})
	}
	return list
}

// ownerChecks find out that somebody else says of himself to be active, when this node
// has been for so long that he must have heard of it.
func ownerChecks(members []api.Member, s vrrp.Status, now time.Time) []api.Check {
	if s.Role != vrrp.RoleActive || now.Sub(s.Since) < ownersTime {
		return nil
	}
	var list []string
	for _, m := range members {
		if m.Alive && m.Role == string(vrrp.RoleActive) {
			list = append(list, m.Node)
		}
	}
	if len(list) < 2 {
		return nil
	}
	return []api.Check{{Name: "owners", Detail: strings.Join(list, " and ") +
		" are both active: they do not hear each other's VRRP (IP protocol 112), though each other's directory"}}
}

// localTo tells whether this host has an address, and whether one of its interfaces is
// in the same network.
func localTo(addr string) (here, near bool) {
	a, err := netip.ParseAddr(addr)
	local, lost := net.InterfaceAddrs()
	if err != nil || lost != nil {
		return false, true
	}
	a = a.Unmap()
	here = a.Is4() && a.IsLoopback()
	for _, l := range local {
		p, err := netip.ParsePrefix(l.String())
		own := err == nil && p.Addr().Unmap() == a
		here, near = here || own, near || err == nil && !own && p.Contains(a)
	}
	return here, near
}

func roleText(s vrrp.Status) string {
	text := fmt.Sprintf("%s since %s: %s", s.Role, s.Since.UTC().Format(time.RFC3339Nano), s.Why)
	switch {
	case s.Role == vrrp.RoleActive && s.Took > 0:
		text += fmt.Sprintf("; it took %s", s.Took.Round(10*time.Microsecond))
	case s.Active.IsValid():
		text += fmt.Sprintf("; %s is active", s.Active)
	}
	return text
}

func strangersText(list []vrrp.Stranger) string {
	var texts []string
	for _, s := range list {
		texts = append(texts, fmt.Sprintf("%s %s (last heard %s)", s.Addr, s.What, s.Last.UTC().Format(time.RFC3339)))
	}
	return strings.Join(texts, "; ")
}

// How a hand-over went.
const (
	handedOver  = "handed over"
	nobodyCame  = "nobody followed"
	hadNoneHere = "not active"
)

// failover has the Active node hand the virtual address over, whichever that is, and
// tells which one it was.
func (a *app) failover(ctx context.Context) (string, error) {
	active := a.active()
	if !active.IsValid() {
		return "", api.ErrNobodyActive
	}
	var went string
	var err error
	if active == a.own() {
		went, err = a.yield(ctx)
	} else {
		went, err = ask[string](ctx, a.cluster, active, callFailover, struct{}{})
	}
	switch {
	case err != nil:
		return "", &api.NodeRejected{Node: active.String(), Reason: err.Error()}
	case went == hadNoneHere:
		return "", api.ErrNobodyActive
	case went == nobodyCame:
		return "", api.ErrNoSuccessor
	}
	return active.String(), nil
}

// takeAway removes what a crash has left of the virtual address, before anybody is
// served: another node may have it now.
func (a *app) takeAway(s settingsdb.Settings) {
	found, err := release(s)
	switch {
	case len(found) > 0:
		a.log.WithField("virtual_addr", s.VirtualAddr).Warn("the virtual address was on this host at the start: removed")
	case err != nil:
		a.log.WithError(err).Warn("whether the virtual address was left on this host is not known")
	}
}

// yield hands the virtual address of this node over, and tells how that went.
func (a *app) yield(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, yieldTime)
	defer cancel()
	err := a.vrrp.Yield(ctx, "handed over by the dispatcher")
	switch {
	case errors.Is(err, vrrp.ErrNobodyFollows):
		return nobodyCame, nil
	case errors.Is(err, vrrp.ErrNotActive):
		return hadNoneHere, nil
	}
	return handedOver, err
}

// active is the node that has the virtual address, as far as is known here.
func (a *app) active() netip.Addr {
	for _, m := range a.cluster.directory.Members() {
		role := m.Role
		if m.Self {
			role = string(a.vrrp.Status().Role)
		}
		if (m.Alive || m.Self) && role == string(vrrp.RoleActive) {
			return m.Node
		}
	}
	return netip.Addr{}
}
