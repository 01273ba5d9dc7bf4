package gateway

import (
	"reflect"
	"slices"

	"vdi-gateway/gateway/relay"
)

// Apply makes cfg the state of the gateway. An error names what stands in the
// way, and nothing has changed; once Run has ended there is always one.
// Sessions keep what they started with, but for those that cfg forbids: they
// end with the reason admin.
func (g *Gateway) Apply(cfg Config) error {
	g.applying.Lock()
	defer g.applying.Unlock()
	g.mu.Lock()
	was, stopped := g.cfg, g.stopped
	g.mu.Unlock()
	if stopped {
		return errStopped
	}
	if reflect.DeepEqual(cfg, was) {
		return nil
	}
	if err := g.service.prepare(cfg); err != nil {
		return err
	}
	if err := g.ports.rebind(bindings{cfg.Listen, cfg.Freebind, cfg.Timeouts, cfg.Trusted}); err != nil {
		g.service.abandon()
		return err
	}
	g.install(cfg, was)
	if !slices.Equal(cfg.Trusted, was.Trusted) {
		g.ports.settleAll()
	}
	return nil
}

func (g *Gateway) install(cfg, was Config) {
	p := newPolicy(cfg.Targets, g.names.known())
	g.mu.Lock()
	g.cfg = cfg
	g.policy.Store(p)
	forbidden := g.forbidden(cfg, p)
	if cfg.Limits.OpenPerSecond != was.Limits.OpenPerSecond {
		g.opens = NewThrottle(cfg.Limits.OpenPerSecond, 2*cfg.Limits.OpenPerSecond)
	}
	freed := g.openOthers()
	var passing []relay.Pair
	if !cfg.Enabled {
		passing = g.passing()
	}
	g.mu.Unlock()
	g.ports.revoke(freed...)
	killAll(passing, ReasonAdmin)
	g.service.commit(cfg)
	g.names.watch(cfg.Targets.Refused)
	g.endAll(forbidden, "the settings no longer allow it")
}

// refresh rebuilds the policy when refused host names have new addresses.
func (g *Gateway) refresh() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.policy.Store(newPolicy(g.cfg.Targets, g.names.known()))
}

// Forbidden lists the connections that cfg would end: all of them when it
// disables the gateway, else those whose VM it no longer allows.
func (g *Gateway) Forbidden(cfg Config) []ConnectionID {
	p := newPolicy(cfg.Targets, g.names.known())
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.forbidden(cfg, p)
}

func (g *Gateway) forbidden(cfg Config, p *policy) []ConnectionID {
	var ids []ConnectionID
	for _, gr := range g.reg.sorted() {
		if !cfg.Enabled || gr.target.checkedBy(p) != nil {
			ids = append(ids, gr.id)
		}
	}
	return ids
}
