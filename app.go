package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"vdi-gateway/api"
	"vdi-gateway/gateway"
	"vdi-gateway/settingsdb"
)

const (
	// tendEvery bounds how late a timed rollback happens.
	tendEvery = 250 * time.Millisecond
	// retryEvery is how often a node whose parts could not be set up as the
	// settings say tries again: an address or port may come free.
	retryEvery = 2 * time.Second
	// purgeEvery is how often spent and expired tickets are deleted.
	purgeEvery = 10 * time.Minute
	// dbTime bounds one query.
	dbTime = 10 * time.Second
)

// drainKey is where the store keeps that this node drains.
const drainKey = "drain"

// app is one running node: the parts, and who tells them what to be.
type app struct {
	store   *settingsdb.Store
	audit   *settingsdb.Audit
	gateway *gateway.Gateway
	api     *api.Server
	log     logrus.FieldLogger
	wanted  netip.Addr // --node; invalid: find out
	started time.Time

	changing sync.Mutex // held while settings change

	mu      sync.Mutex
	current settingsdb.Revision
	waiting *settingsdb.Revision // applied, to be rolled back unless confirmed
	node    netip.Addr           // invalid: this host is none of the nodes
	fault   error                // why the parts are not what current says
	tried   time.Time            // when that was last tried
	rolled  time.Time            // when a rollback was last tried
	serving bool
}

// newApp builds the parts around an open store. Nothing runs yet.
func newApp(store *settingsdb.Store, wanted netip.Addr, log logrus.FieldLogger) *app {
	a := &app{store: store, log: log, wanted: wanted, started: time.Now()}
	a.audit = settingsdb.NewAudit(store, settingsdb.AuditConfig{}, log)
	a.gateway = gateway.New(gateway.Deps{Tickets: ticketStore{store}, Audit: a.record, Log: log})
	a.api = api.New(api.Deps{
		Gateway: a.gateway, Settings: a, Health: a.health, Ready: a.ready, Drain: a.drain,
		Version: version, Log: log,
	})
	return a
}

// run starts the node and serves until ctx is done. Sessions end before the
// API, the audit is written last. It returns what kept the node from starting
// or serving, or nil.
func (a *app) run(ctx context.Context) error {
	if err := a.load(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	auditCtx, stopAudit := context.WithCancel(context.Background())
	defer stopAudit()
	apiCtx, stopAPI := context.WithCancel(context.Background())
	defer stopAPI()
	var audit, front, parts errgroup.Group
	audit.Go(func() error { return a.audit.Run(auditCtx) })
	front.Go(func() error {
		defer cancel() // a node that cannot be reached any more is no use
		return a.api.Run(apiCtx)
	})
	err := a.begin()
	if err == nil {
		parts.Go(func() error { return a.gateway.Run(ctx) })
		parts.Go(func() error { return a.tend(ctx) })
		a.announce()
		<-ctx.Done()
		a.log.Info("stopping: ending all sessions")
	}
	err = errors.Join(err, parts.Wait())
	stopAPI()
	err = errors.Join(err, front.Wait())
	stopAudit()
	return errors.Join(err, audit.Wait())
}

// load reads what the node is to be, and rolls back a change whose time to be
// confirmed ended while the node was down.
func (a *app) load(ctx context.Context) error {
	// A stop that comes this early is no failure: it is obeyed after the start.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dbTime)
	defer cancel()
	var err error
	if a.current, err = a.store.Current(ctx); err != nil {
		return err
	}
	if a.waiting, err = a.store.PendingRollback(ctx); err != nil {
		return err
	}
	draining, err := a.store.State(ctx, drainKey)
	if err != nil {
		return err
	}
	a.gateway.SetDrain(draining != "")
	if a.waiting != nil && !time.Now().Before(*a.waiting.RollbackAt) {
		return a.rollBack(ctx, func(settingsdb.Settings) error { return nil })
	}
	return nil
}

// begin brings the parts up. Only the API must come up; without the rest the
// node says so in its health and keeps trying.
func (a *app) begin() error {
	s := a.current.Settings
	node, nodeErr := a.identify(s)
	if err := a.api.Apply(newPlan(s, node).api); err != nil {
		return fmt.Errorf("the API cannot be served: %w; free the port, or change api_port or listen_ip with: vdi-gateway settings set", err)
	}
	a.mu.Lock()
	a.node = node
	a.mu.Unlock()
	err := nodeErr
	if err == nil {
		err = a.apply(s)
	}
	a.settle(node, err)
	for _, w := range settingsdb.Warnings(s) {
		a.log.Warn(w)
	}
	return nil
}

func (a *app) identify(s settingsdb.Settings) (netip.Addr, error) {
	local, err := localAddrs()
	if err != nil {
		return netip.Addr{}, err
	}
	return ownNode(s, a.wanted, local)
}

// settle notes how far the parts are what the settings say.
func (a *app) settle(node netip.Addr, fault error) {
	a.mu.Lock()
	was := a.fault
	a.node, a.fault, a.tried, a.serving = node, fault, time.Now(), true
	a.mu.Unlock()
	switch {
	case fault != nil && (was == nil || was.Error() != fault.Error()):
		a.log.WithError(fault).Error("this node cannot serve sessions; trying again every two seconds")
	case fault == nil && was != nil:
		a.log.Info("this node serves sessions now")
	}
}

// apply makes the parts what s says, or leaves all of them as they were. The
// API is first: it can be put back as it was, sessions the gateway ended cannot.
func (a *app) apply(s settingsdb.Settings) error {
	node, err := a.identify(s)
	if err != nil && s.IsEnabled {
		return err
	}
	next := newPlan(s, node)
	if err := a.api.Apply(next.api); err != nil {
		return err
	}
	if err := a.gateway.Apply(next.gateway); err != nil {
		a.mu.Lock()
		was := newPlan(a.current.Settings, a.node)
		a.mu.Unlock()
		return errors.Join(err, a.api.Apply(was.api))
	}
	a.settle(node, nil)
	return nil
}

// tend does what time asks for: rollbacks, new attempts, and tidying.
func (a *app) tend(ctx context.Context) error {
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	purged := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			a.rollBackWhenDue(ctx, now)
			a.retry(now)
			if now.Sub(purged) >= purgeEvery {
				purged = now
				a.purge(ctx, now)
			}
		}
	}
}

func (a *app) retry(now time.Time) {
	a.mu.Lock()
	due := a.fault != nil && now.Sub(a.tried) >= retryEvery
	s := a.current.Settings
	a.mu.Unlock()
	if !due || !a.changing.TryLock() {
		return
	}
	defer a.changing.Unlock()
	if err := a.apply(s); err != nil {
		node, _ := a.identify(s) // an error of its own is err
		a.settle(node, err)
	}
}

func (a *app) purge(ctx context.Context, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, dbTime)
	defer cancel()
	if _, err := a.store.PurgeTickets(ctx, now); err != nil {
		a.log.WithError(err).Warn("old tickets cannot be deleted")
	}
}

// drain turns draining of this node on or off, for good.
func (a *app) drain(ctx context.Context, node string, on bool) error {
	a.mu.Lock()
	own := a.node
	a.mu.Unlock()
	if node != "" {
		if addr, err := netip.ParseAddr(node); err != nil || addr.Unmap() != own {
			return api.ErrNoSuchNode
		}
	}
	value := ""
	if on {
		value = "on"
	}
	if err := a.store.SetState(ctx, drainKey, value); err != nil {
		return err
	}
	a.gateway.SetDrain(on)
	a.log.WithField("on", on).Info("drain changed by the dispatcher")
	return nil
}

func (a *app) announce() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.log.WithFields(logrus.Fields{
		"version": version, "node": a.node.String(), "api_port": a.current.Settings.APIPort,
		"revision": a.current.Number, "database": a.store.Path(),
	}).Info("vdi-gateway is up")
}
