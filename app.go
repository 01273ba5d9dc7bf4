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
	"vdi-gateway/api/certificate"
	"vdi-gateway/api/certificate/acme"
	"vdi-gateway/api/statistics"
	"vdi-gateway/balancer"
	"vdi-gateway/gateway"
	"vdi-gateway/gateway/relay"
	"vdi-gateway/settingsdb"
	"vdi-gateway/settingsdb/agreement"
	"vdi-gateway/vrrp"
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
	// joinTime is how long a node that starts waits for others to tell what they
	// know, and joinLook how often it looks whether they have.
	joinTime = 2 * time.Second
	// toldTime is how long it waits while some live that have not told all: had it the
	// virtual address before, it would lose the sessions that it was not told of.
	toldTime = 15 * time.Second
	joinLook = 5 * time.Millisecond
)

// Where the store keeps that this node drains, and that its kernel has carried tunnels.
const (
	drainKey   = "drain"
	steeredKey = "steered"
)

// app is one running node: the parts, and who tells them what to be.
type app struct {
	store      *settingsdb.Store
	audit      *settingsdb.Audit
	tickets    *ticketStore
	cluster    *cluster
	gate       *gate
	certs      *certificate.Keeper
	acme       *acme.Manager
	agreement  *agreement.Agreement
	engine     *relay.Engine
	gateway    *gateway.Gateway
	kept       *kept
	balancer   *balancer.Balancer
	vrrp       *vrrp.VRRP
	notifier   *notifier
	statistics *statistics.Server
	api        *api.Server
	log        logrus.FieldLogger
	wanted     netip.Addr // --node; invalid: find out
	started    time.Time

	changing sync.Mutex // held while the parts are made what settings say

	mu      sync.Mutex
	current settingsdb.Revision
	steered bool                 // the kernel has, or may have, a table of this node
	waiting *settingsdb.Revision // applied, to be rolled back unless confirmed
	node    netip.Addr           // invalid: this host is none of the nodes
	fault   error                // why the parts are not what current says
	minor   map[string]error     // what sessions are served without, by the name of its check
	tried   time.Time            // when that was last tried
	rolled  time.Time            // when a rollback was last tried
	trying  bool                 // the parts are what a change wants that is not in force yet
	// accepted are keys that other nodes may use a moment longer, or already.
	accepted []acceptedKey
	serving  bool
	joined   bool // it has heard what the other nodes know, or waited for it
	// wasReady is what ready said last, served when it last was.
	wasReady bool
	served   time.Time
	// competes says that this node may have the virtual address, unfit why not.
	competes bool
	unfit    string
	electing bool // the election runs
}

// newApp builds the parts around an open store. Nothing runs yet.
func newApp(store *settingsdb.Store, wanted netip.Addr, log logrus.FieldLogger) *app {
	a := &app{store: store, log: log, wanted: wanted, started: time.Now(), engine: relay.New(), cluster: newCluster(log), gate: newGate(log)}
	a.engine.Admit = a.gate.admits
	a.certs = certificate.New(certificateDeps(store.Path()), log)
	a.acme = acme.New(acme.Deps{Dir: certificateDeps(store.Path()).Dir, Active: a.asksAuthority, Ask: a.askACME, Log: log})
	a.audit = settingsdb.NewAudit(store, settingsdb.AuditConfig{}, log)
	a.tickets = &ticketStore{db: store, cluster: a.cluster, vault: newVault(store.Path())}
	a.kept = newKept(store, log)
	a.notifier = newNotifier(log)
	a.cluster.kept = a.kept
	a.statistics = statistics.New(statistics.Deps{Source: a.snapshot, Admit: a.gate.admits, TLS: a.certs, Version: version, Log: log})
	a.gateway = gateway.New(gateway.Deps{
		Tickets: a.tickets, Audit: a.record, Engine: a.engine, Directory: grants{a.cluster}, Flows: flows{a.cluster}, Certificate: a.certs.Viewers, Log: log,
		Dialled: func(took time.Duration, err error) { a.statistics.Dialled(took, err == nil) },
	})
	a.cluster.learn, a.cluster.unlearn, a.cluster.lose, a.cluster.revoked = a.gateway.Learn, a.gateway.Unlearn, a.gateway.Lose, a.gateway.Revoked
	a.balancer = balancer.New(balancer.Deps{
		Listen: frontDoors(a.engine), Header: frontHeader, Members: a.cluster.frontMembers,
		Sticky: sticky{a.cluster.directory}, Held: a.gateway.Held, TLS: a.certs.Member, Log: log,
	})
	a.vrrp = vrrp.New(vrrp.Deps{
		Guard: guardCommandLine(), Prepare: a.gateway.Carry, Followed: a.followed, Log: log,
	})
	a.api = api.New(api.Deps{
		Gateway: a.gateway, Settings: a, Health: a.health, Ready: a.ready, Drain: a.drain, Failover: a.failover,
		Internal: a.cluster.internal, Cluster: wide{a}, Elsewhere: a.gateway.Elsewhere,
		Opened: a.opened, Admit: a.gate.admits, TLS: a.certs, Version: version, Log: log,
	})
	a.agreement = agreement.New(a.own, agreed{a}, fellows{a.cluster}, time.Now, log)
	a.answerPeers()
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
	// Each is stopped when all that need it have ended: the last one first.
	told := start(nil, func(until context.Context) error { return a.notifier.run(until, ctx, a.situation) })
	audit := start(nil, a.audit.Run)
	memory := start(nil, a.kept.run)
	files := start(nil, a.certs.Run)
	front := start(cancel, a.api.Run) // a node that cannot be reached any more is no use
	loops := start(cancel, a.engine.Run)
	peers := start(cancel, a.cluster.directory.Run)
	figures := start(nil, a.statistics.Run)
	authority := start(nil, a.acme.Run)
	err := a.begin()
	if err == nil {
		a.serve(ctx)
	}
	return errors.Join(err, authority.stop(), figures.stop(), peers.stop(), loops.stop(), front.stop(), files.stop(), memory.stop(), audit.stop(), told.stop())
}

// serve runs the parts that bring clients to their VMs until ctx is done. The virtual
// address goes first: another node has it when sessions end here.
func (a *app) serve(stop context.Context) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(stop))
	defer cancel()
	var parts errgroup.Group
	for _, run := range []func(context.Context) error{a.gateway.Run, a.tend, a.report, a.feel, a.agreement.Run} {
		parts.Go(func() error { return run(ctx) })
	}
	a.join(stop)
	parts.Go(func() error { return a.balancer.Run(ctx) }) // it would find its own node starting
	election := start(nil, a.vrrp.Run)
	a.elect(true)
	a.announce()
	<-stop.Done()
	a.elect(false)
	if err := election.stop(); err != nil {
		a.log.WithError(err).Error("the virtual address is not moved by this node")
	}
	a.log.Info("stopping: ending all sessions")
	cancel()
	_ = parts.Wait() // none of them fails
}

// join waits until this node knows what the others do: one that serves before
// would refuse their clients. It does not wait for nodes that are not there.
func (a *app) join(ctx context.Context) {
	began := time.Now()
	tick := time.NewTicker(joinLook)
	defer tick.Stop()
	for !a.cluster.directory.Joined() && ctx.Err() == nil && time.Since(began) < a.joinTime() {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	a.log.WithField("took", time.Since(began).String()).Debug("heard what the others know")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dbTime)
	defer cancel()
	if err := a.tickets.publish(ctx, time.Now()); err != nil {
		a.log.WithError(err).Warn("tickets from before the start are unknown to the other nodes")
	}
	if len(a.cluster.others()) == 0 {
		a.recall(ctx)
	}
	a.gateway.Reconcile()
	a.mu.Lock()
	a.joined = true
	a.mu.Unlock()
}

// joinTime is how long it waits for those who live now.
func (a *app) joinTime() time.Duration {
	if len(a.cluster.others()) > 0 {
		return toldTime
	}
	return joinTime
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
	steered, err := a.store.State(ctx, steeredKey)
	if err != nil {
		return err
	}
	a.steered = steered != ""
	s := a.current.Settings
	if alone(s) && a.waiting != nil && !time.Now().Before(*a.waiting.RollbackAt) {
		return a.rollBack(ctx, func(settingsdb.Settings) error { return nil })
	}
	return nil
}

// alone tells whether there are no other nodes that may have confirmed a change, or know
// of connections.
func alone(s settingsdb.Settings) bool { return s.VirtualAddr == "" || len(s.InternalAddrs) < 2 }

// begin brings the parts up. Only the API must come up; without the rest the
// node says so in its health and keeps trying.
func (a *app) begin() error {
	s := a.current.Settings
	node, err := a.identify(s)
	a.takeAway(s)
	a.gate.apply(planGate(s))
	_ = a.certs.Apply(planCertificate(s)) // health says so; a self-signed one serves meanwhile
	if err := a.api.Apply(newPlan(s, node).api); err != nil {
		return fmt.Errorf("the API cannot be served: %w; free the port, or change api_port or listen_ip with: vdi-gateway settings set", err)
	}
	a.mu.Lock()
	a.node = node
	a.mu.Unlock()
	if err == nil {
		err = a.bring(newPlan(s, node))
	}
	a.settle(node, err)
	if alone(s) { // its kernel's flows are its own from the start
		ctx, cancel := context.WithTimeout(context.Background(), dbTime)
		defer cancel()
		a.recall(ctx)
	}
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
			a.dropKeys(now)
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
	due := (a.fault != nil || len(a.minor) > 0) && !a.trying && now.Sub(a.tried) >= retryEvery
	s := a.current.Settings
	a.mu.Unlock()
	if !due || !a.changing.TryLock() {
		return
	}
	defer a.changing.Unlock()
	node, err := a.identify(s)
	if err == nil || !s.IsEnabled {
		err = a.bring(newPlan(s, node))
	}
	a.settle(node, err)
}

func (a *app) purge(ctx context.Context, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, dbTime)
	defer cancel()
	if _, err := a.store.PurgeTickets(ctx, now); err != nil {
		a.log.WithError(err).Warn("old tickets cannot be deleted")
	}
}

func (a *app) elect(running bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.electing = running
}

func (a *app) announce() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.log.WithFields(logrus.Fields{
		"version": version, "node": a.node.String(), "api_port": a.current.Settings.APIPort,
		"revision": a.current.Number, "database": a.store.Path(),
	}).Info("vdi-gateway is up")
}
