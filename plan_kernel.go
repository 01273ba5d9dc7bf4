package main

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"vdi-gateway/api"
	"vdi-gateway/gateway/kernel"
	"vdi-gateway/gateway/kernel/rules"
	"vdi-gateway/settingsdb"
)

// Marks of connections that the kernel carries: "vdi" and what becomes of them.
const (
	markCarried   = 0x76646901
	markCondemned = 0x766469ff
)

// planKernel has the kernel carry tunnels from the virtual address to the VMs or, on a
// node alone, from its own.
func planKernel(s settingsdb.Settings, node netip.Addr) kernel.Config {
	outside := virtualOf(s)
	alone := !outside.IsValid()
	if s.Forwarding != "kernel" || !s.IsEnabled || !node.IsValid() {
		return kernel.Config{Resident: alone}
	}
	if alone {
		outside = node
	}
	var inside []netip.Addr
	if !alone {
		inside = []netip.Addr{insideOf(s)}
	}
	return kernel.Config{
		Enabled: true, Resident: alone,
		Rules: rules.Config{
			Virtual: []netip.Addr{outside}, Inside: inside,
			FirstPort: port(s.PortRangeStart), LastPort: port(s.PortRangeStop),
			Clients: clientRanges(planGate(s)), Mark: markCarried, Condemned: markCondemned,
		},
		Dial:      time.Duration(s.Timeouts.DialMS) * time.Millisecond,
		HalfClose: time.Duration(s.Timeouts.HalfCloseS) * time.Second,
		Poll:      pollFor(time.Duration(s.Timeouts.IdleS) * time.Second),
	}
}

// pollMax is how often it is looked whether sessions idle, however long they may.
const pollMax = 5 * time.Second

// pollFor is how often that has to be, so that a session that idles does not go on for
// much longer than it may. 0: it may for ever.
func pollFor(idle time.Duration) time.Duration { return min(idle/4, pollMax) }

// steer has the kernel carry tunnels, or not. That it may have a table is remembered: it
// outlives this process.
func (a *app) steer(c kernel.Config) error {
	a.mu.Lock()
	c.Former = a.steered
	a.mu.Unlock()
	if c.Enabled && !c.Former {
		ctx, cancel := context.WithTimeout(context.Background(), dbTime)
		defer cancel()
		if err := a.store.SetState(ctx, steeredKey, "true"); err != nil {
			return err
		}
		a.mu.Lock()
		a.steered = true
		a.mu.Unlock()
	}
	return a.gateway.Steer(c)
}

// clientRanges is the access list as the kernel wants it.
func clientRanges(p planAccess) (list []rules.Range) {
	for _, r := range p.list.Allowed() {
		list = append(list, rules.Range(r))
	}
	return list
}

// insideOf is the address that VMs see of the kernel.
func insideOf(s settingsdb.Settings) netip.Addr {
	if a, err := netip.ParseAddr(s.InsideAddr); err == nil {
		return a.Unmap()
	}
	return virtualOf(s)
}

// besides are the addresses that move together with the virtual one. They are there
// whatever forwards now: sessions stay on what they began with.
func besides(s settingsdb.Settings) []netip.Prefix {
	inside := insideOf(s)
	if inside == virtualOf(s) {
		return nil
	}
	return []netip.Prefix{netip.PrefixFrom(inside, inside.BitLen())}
}

// followed is that another node has the virtual address now.
func (a *app) followed(netip.Addr) {
	ctx, cancel := context.WithTimeout(context.Background(), dbTime)
	defer cancel()
	a.gateway.Follow(ctx)
}

// recall has the gateway know the connections that the process before has left: other
// nodes, which would know better, are not there.
func (a *app) recall(ctx context.Context) {
	records, err := a.kept.load(ctx, time.Now())
	if err != nil {
		a.log.WithError(err).Error("the connections of before the start are lost")
		return
	}
	for _, r := range records {
		if err := a.gateway.Learn(r); err != nil {
			a.log.WithError(err).WithField("connection_id", string(r.ID)).Warn("a connection of before the start is lost")
			continue
		}
		a.cluster.directory.Put(grantRecord(r))
	}
	if len(records) > 0 {
		a.log.Infof("knowing %d connections of before the start again", len(records))
	}
}

// forwardingChecks warn of what may keep the kernel from carrying tunnels.
func forwardingChecks(warnings []string) []api.Check {
	if len(warnings) == 0 {
		return nil
	}
	return []api.Check{{Name: checkForwarding, Detail: strings.Join(warnings, "; ")}}
}
