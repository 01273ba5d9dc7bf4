package main

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sync/errgroup"

	"vdi-gateway/settingsdb"
)

// step is what one part does of a plan.
type step struct {
	apply func(plan) error
	minor string // the name of its check in health: sessions are served without it
}

// steps are what it takes to apply a plan, in order.
func (a *app) steps() []step {
	return []step{
		{apply: func(p plan) error { a.gate.apply(p.gate); return nil }},
		{apply: func(p plan) error { return a.certs.Apply(p.certificate) }},
		{apply: func(p plan) error { a.acme.Apply(p.acme); return nil }},
		{apply: func(p plan) error { return a.api.Apply(p.api) }},
		{apply: func(p plan) error { return a.cluster.apply(p.cluster) }},
		{apply: func(p plan) error { return a.statistics.Apply(p.statistics) }, minor: checkStatistics},
		{apply: func(p plan) error { return a.balancer.Apply(p.balancer) }},
		{apply: func(p plan) error { return a.vrrp.Apply(p.vrrp) }},
		{apply: func(p plan) error { return a.steer(p.kernel) }, minor: checkForwarding},
		{apply: func(p plan) error { return a.gateway.Apply(p.gateway) }},
	}
}

// apply makes the parts what s says, or leaves all of them as they were. The
// gateway is last: the others can be put back as they were, sessions it ended
// cannot.
func (a *app) apply(s settingsdb.Settings) error {
	node, err := a.identify(s)
	if err != nil && s.IsEnabled {
		return err
	}
	a.mu.Lock()
	next := newPlan(s, node, a.keys()...)
	a.mu.Unlock()
	if err := a.carryOut(next, a.plan()); err != nil {
		return err
	}
	a.settle(node, nil)
	return nil
}

// carryOut applies a plan part by part. When one refuses, those before it go
// back to the former plan.
func (a *app) carryOut(next, was plan) error {
	steps := a.steps()
	for i, s := range steps {
		err := s.apply(next)
		if err == nil {
			continue
		}
		for _, done := range slices.Backward(steps[:i]) {
			err = errors.Join(err, done.apply(was))
		}
		return err
	}
	return nil
}

// bring applies a plan as far as possible, for a node that has nothing to go back
// to. A port of the statistics that is taken, or a kernel that lacks something, keeps
// nobody from his desktop.
func (a *app) bring(p plan) error {
	var fault error
	minor := map[string]error{}
	for _, s := range a.steps() {
		err := s.apply(p)
		switch {
		case s.minor == "":
			fault = errors.Join(fault, err)
		case err != nil:
			minor[s.minor] = err
		}
	}
	a.mu.Lock()
	was := a.minor
	a.minor = minor
	a.mu.Unlock()
	for name, err := range minor {
		if was[name] == nil {
			a.log.WithError(err).Warn(lacking(name))
		}
	}
	return fault
}

// lacking is what the journal says when a minor step fails.
func lacking(name string) string {
	if name == checkForwarding {
		return "new tunnels are relayed; trying again every two seconds whether the kernel can carry them"
	}
	return "there are no statistics; trying again every two seconds"
}

// running is a part that runs until it is stopped.
type running struct {
	cancel context.CancelFunc
	group  errgroup.Group
}

// start runs a part. ended, if there is one, is called when it is over.
func start(ended func(), run func(context.Context) error) *running {
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{cancel: cancel}
	r.group.Go(func() error {
		if ended != nil {
			defer ended()
		}
		return run(ctx)
	})
	return r
}

// stop ends the part and returns what it failed with.
func (r *running) stop() error {
	r.cancel()
	return r.group.Wait()
}
