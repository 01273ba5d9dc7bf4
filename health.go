package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"vdi-gateway/api"
	"vdi-gateway/gateway"
)

// health says how the node does; see api-v3's health.
func (a *app) health(ctx context.Context) api.Health {
	a.mu.Lock()
	rev, node, fault, serving := a.current, a.node, a.fault, a.serving && a.joined
	a.mu.Unlock()
	g := a.gateway.Health()
	s := rev.Settings
	v := a.vrrp.Status()
	h := api.Health{
		Node: nodeName(s, node), Version: version, UptimeS: int64(time.Since(a.started).Seconds()),
		Role: string(v.Role), SettingsRevision: rev.Number,
		Capacity: api.Capacity{Max: g.Max, Used: g.Used, FreePorts: g.FreePorts},
	}
	h.VirtualAddr = virtualAddr(s.VirtualAddr, v)
	h.Cluster = a.members(h)
	for _, d := range g.Dispatchers {
		h.Dispatchers = append(h.Dispatchers, api.Dispatcher{Addr: d.Addr, OK: d.OK})
	}
	h.Checks = append(a.checks(ctx, fault), clusterChecks(h)...)
	h.Checks = append(h.Checks, certificateChecks(a.certs.Status(), s.TLS, time.Now())...)
	h.Checks = append(h.Checks, acmeChecks(a.acme.Status())...)
	h.Checks = append(h.Checks, addressChecks(s.VirtualAddr, v)...)
	h.Checks = append(h.Checks, ownerChecks(h.Cluster, v, time.Now())...)
	h.Status = status(serving, s.IsEnabled, h.Checks, g)
	return h
}

// members are the nodes of the cluster. This one speaks for itself.
func (a *app) members(h api.Health) []api.Member {
	var list []api.Member
	for _, m := range a.cluster.directory.Members() {
		line := api.Member{Node: addrText(m.Node), Alive: m.Alive, Role: m.Role, Connections: m.Connections, Revision: m.Revision}
		if m.Self {
			line = api.Member{Node: h.Node, Alive: true, Role: h.Role, Connections: h.Capacity.Used, Revision: h.SettingsRevision}
		}
		line.Addr = line.Node
		list = append(list, line)
	}
	return list
}

// checkMembers tells which nodes are missing, or have other settings.
func checkMembers(members []api.Member, revision int64) error {
	var wrong []error
	for _, m := range members {
		switch {
		case !m.Alive:
			wrong = append(wrong, fmt.Errorf("node %s is not alive", m.Node))
		case m.Revision != revision:
			wrong = append(wrong, fmt.Errorf("node %s has revision %d of the settings, this one %d", m.Node, m.Revision, revision))
		}
	}
	return errors.Join(wrong...)
}

// The checks of a node. The first two decide whether it serves at all.
const (
	checkSetup      = "setup"
	checkTunnel     = "tunnel"
	checkAudit      = "audit"
	checkStatistics = "statistics"
	checkForwarding = "forwarding"
)

// serves tells whether a node that fails the check serves nobody.
func serves(check string) bool { return check == checkSetup || check == checkTunnel }

func (a *app) checks(ctx context.Context, fault error) []api.Check {
	list := []api.Check{check(checkSetup, fault, "the parts run as the settings say")}
	if fault == nil && a.enabled() {
		list = append(list, check(checkTunnel, a.gateway.Check(ctx), "bytes went through a tunnel and came back"))
	}
	list = append(list, check(checkAudit, a.audit.Err(), fmt.Sprintf("%d rows lost since the start", a.audit.Dropped())))
	s, _ := a.Current()
	if !s.Targets.RequireTicket {
		list = append(list, api.Check{
			Name: "targets", OK: true,
			Detail: "targets.require_ticket is false: any holder of cli_key may name any allowed VM",
		})
	}
	if lost := a.agreement.Superseded(); lost != "" {
		list = append(list, api.Check{Name: "settings", OK: true, Detail: lost})
	}
	a.mu.Lock()
	minor := a.minor
	a.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(minor)) {
		list = append(list, check(name, minor[name], ""))
	}
	return append(list, forwardingChecks(a.gateway.Forwarding())...)
}

// clusterChecks are those of a node that is not alone.
func clusterChecks(h api.Health) []api.Check {
	var list []api.Check
	if len(h.Cluster) > 1 {
		list = append(list, check("cluster", checkMembers(h.Cluster, h.SettingsRevision), "all nodes are alive and have the same settings"))
	}
	return list
}

func (a *app) enabled() bool {
	s, _ := a.Current()
	return s.IsEnabled
}

func check(name string, err error, fine string) api.Check {
	if err != nil {
		return api.Check{Name: name, Detail: err.Error()}
	}
	return api.Check{Name: name, OK: true, Detail: fine}
}

// status sums the checks up. A node that serves, but less well than it should,
// is degraded.
func status(serving, enabled bool, checks []api.Check, g gateway.Health) string {
	degraded := false
	for _, c := range checks {
		switch {
		case c.OK:
		case serves(c.Name):
			return "fail"
		default:
			degraded = true
		}
	}
	for _, d := range g.Dispatchers {
		degraded = degraded || !d.OK
	}
	switch {
	case !serving:
		return "starting"
	case !enabled:
		return "disabled"
	case g.Draining:
		return "draining"
	case degraded:
		return "degraded"
	default:
		return "ok"
	}
}

// ready tells whether the node serves, for probes that are open to all. The
// check through a tunnel is made at most once a second, however often they ask.
func (a *app) ready() bool {
	ready, _ := a.fit(context.Background())
	return ready
}

// fit tells whether the node serves, and why not.
func (a *app) fit(ctx context.Context) (bool, string) {
	h := a.health(ctx)
	switch h.Status {
	case "ok", "degraded", "draining":
		return true, ""
	case "fail":
		for _, c := range h.Checks {
			if !c.OK && serves(c.Name) {
				return false, c.Name + ": " + c.Detail
			}
		}
	}
	return false, "this node is " + h.Status
}
