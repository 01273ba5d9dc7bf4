package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"vdi-gateway/api"
	"vdi-gateway/vrrp"
)

// forgiven is how long a node whose check through a tunnel fails may have the virtual
// address all the same: under load one check can be late.
const forgiven = 2500 * time.Millisecond

// yieldTime bounds a hand-over of the virtual address.
const yieldTime = 3 * time.Second

// compete tells VRRP whether this node can serve.
func (a *app) compete(ready bool, why string) {
	fit := a.fitFor(ready, why, time.Now())
	if fit && !a.balancer.Ready() {
		fit, why = false, "this node is starting: its balancer has not checked the nodes yet"
	}
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
		v.Held = here(addr)
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
	if s.Role != vrrp.RoleActive && here(addr) {
		list = append(list, api.Check{Name: "virtual_addr", Detail: addr + " is on this host although this node is not active: remove whatever put it there"})
	}
	if s.Role != vrrp.RoleNone && !onLocalNetwork(addr) {
		list = append(list, api.Check{Name: "virtual_addr", OK: true, Detail: addr + " is in no network of this host: only those reach it who have a route to it"})
	}
	if len(s.Strangers) > 0 {
		list = append(list, api.Check{Name: "router_id", Detail: strangersText(s.Strangers)})
	}
	return list
}

// here tells whether this host has an address.
func here(addr string) bool {
	a, err := netip.ParseAddr(addr)
	if err != nil {
		return false
	}
	local, err := localAddrs()
	return err == nil && isLocal(a.Unmap(), local)
}

// onLocalNetwork tells whether an address is in the network of an interface of this
// host.
func onLocalNetwork(addr string) bool {
	a, err := netip.ParseAddr(addr)
	if err != nil {
		return true
	}
	local, err := net.InterfaceAddrs()
	return err != nil || slices.ContainsFunc(local, func(l net.Addr) bool {
		p, err := netip.ParsePrefix(l.String())
		return err == nil && p.Addr() != a && p.Contains(a)
	})
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

// failover has the Active node hand the virtual address over, whichever that is, and
// tells which one it was.
func (a *app) failover(ctx context.Context) (string, error) {
	active := a.active()
	if !active.IsValid() {
		return "", api.ErrNobodyActive
	}
	followed := false
	var err error
	if active == a.own() {
		followed, err = a.yield(ctx)
	} else {
		followed, err = ask[bool](ctx, a.cluster, active, callFailover, struct{}{})
	}
	switch {
	case err != nil:
		return "", &api.NodeRejected{Node: active.String(), Reason: err.Error()}
	case !followed:
		return "", api.ErrNoSuccessor
	}
	return active.String(), nil
}

// yield hands the virtual address of this node over. false: nobody followed, so this
// node has kept it.
func (a *app) yield(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, yieldTime)
	defer cancel()
	err := a.vrrp.Yield(ctx, "handed over by the dispatcher")
	if errors.Is(err, vrrp.ErrNobodyFollows) {
		return false, nil
	}
	return err == nil, err
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
