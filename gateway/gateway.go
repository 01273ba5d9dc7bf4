// Package gateway holds the tunnels of one node: who may reach which VM
// (tickets), what was reserved for whom (grants), and what is in use (sessions
// and their channels).
//
// Open reserves a tunnel for one client address. In ModePort a port of the
// range listens from then on, silent to everybody else; in ModeWebSocket only
// the token reaches the tunnel, by Attach. A connection that arrives is matched
// to its grant by (client, port), the VM is dialled at the address that was
// checked, and the relay moves the bytes. A grant ends when its time is over,
// when it is given back or disconnected; it does not expire while in use.
//
// State lives in the registry, which is pure; ports.go owns the sockets; Run
// watches the clock. Apply takes the complete wanted state.
package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"vdi-gateway/gateway/kernel"
	"vdi-gateway/gateway/relay"
)

const (
	// sweepEvery bounds how late an unused grant's port closes.
	sweepEvery = 250 * time.Millisecond
	// idleLook bounds how late an idle session is noticed: reading all
	// counters costs two system calls a channel.
	idleLook = time.Second
	// resolveTime bounds asking for a host name.
	resolveTime = 3 * time.Second
)

var errStopped = errors.New("the gateway has stopped")

// Deps are what a gateway needs of others. Only Tickets and Log are required.
type Deps struct {
	Tickets TicketStore
	// Audit gets every event. It must not block.
	Audit func(Event)
	// Resolve finds the addresses of a host name; nil asks the system.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Directory is what the nodes of a cluster know in common; nil: this node
	// is alone.
	Directory Directory
	// Flows are the connections that the kernel carries, as the nodes know them; nil:
	// this node is alone.
	Flows Flows
	// Engine relays; its owner runs it, longer than the gateway. nil: the
	// gateway has one of its own.
	Engine *relay.Engine
	// Dialled is told how long every attempt to reach a VM took, and how it
	// ended. It must not block.
	Dialled func(took time.Duration, err error)
	// Certificate is what this node shows viewers on range ports whose desktop it enters;
	// nil, or none: they are not encrypted.
	Certificate func() *tls.Config
	Log         logrus.FieldLogger
}

// Gateway is the tunnels of one node.
type Gateway struct {
	deps    Deps
	engine  *relay.Engine
	kernel  *kernel.Kernel
	ports   *ports
	service *service
	names   *names
	events  *chronicle
	policy  atomic.Pointer[policy]
	checker selfChecker

	applying sync.Mutex // one Apply at a time

	mu       sync.Mutex // taken before that of ports, never the other way round
	cfg      Config
	reg      *registry
	opens    *Throttle
	draining bool
	stopped  bool
	looked   time.Time // when idle sessions were last looked for
	pairs    int       // given to the relay and not ended
	quiet    sync.Cond // on mu: pairs is 0 again
	// forwarded are connections on their way to other nodes.
	forwarded map[relay.Pair]struct{}
	moved     traffic // of channels that have ended
	// steering: the kernel carries what can be steered. carries: it is this node's.
	steering, carries bool
	flows             map[*kernel.Flow]*channel
}

// New returns a gateway that refuses everything until Apply.
func New(deps Deps) *Gateway {
	if deps.Audit == nil {
		deps.Audit = func(Event) {}
	}
	if deps.Resolve == nil {
		deps.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if deps.Dialled == nil {
		deps.Dialled = func(time.Duration, error) {}
	}
	g := &Gateway{deps: deps, engine: deps.Engine, reg: newRegistry(), opens: NewThrottle(0, 0), forwarded: map[relay.Pair]struct{}{}, flows: map[*kernel.Flow]*channel{}}
	if g.engine == nil {
		g.engine = relay.New()
	}
	if deps.Directory == nil {
		g.deps.Directory = alone{}
	}
	g.quiet.L = &g.mu
	if deps.Flows == nil {
		g.deps.Flows = noFlows{}
	}
	g.kernel = kernel.New(kernel.Deps{Owner: flowOwner{g}, Directory: g.deps.Flows, Log: deps.Log})
	g.ports = newPorts(g.engine, g.kernel, g.knock, deps.Log)
	g.events = newChronicle(deps.Log, deps.Audit)
	g.service = newService(g.engine, deps.Resolve, deps.Log)
	g.names = newNames(deps.Resolve, deps.Log)
	g.policy.Store(newPolicy(Targets{RequireTicket: true}, nil))
	return g
}

// Run watches over grants and sessions until ctx is done; then it closes all
// ports, ends all sessions with the reason shutdown and returns when the last
// of them is audited.
func (g *Gateway) Run(ctx context.Context) error {
	relayCtx, stopRelay := context.WithCancel(context.Background())
	written := make(chan struct{})
	var parts, engine, scribe sync.WaitGroup
	scribe.Go(func() { g.events.run(written) })
	if g.deps.Engine == nil {
		engine.Go(func() { _ = g.engine.Run(relayCtx) }) // never fails
	}
	engine.Go(func() { _ = g.kernel.Run(relayCtx) }) // never fails
	parts.Go(func() { g.service.run(ctx) })
	parts.Go(func() { g.names.run(ctx, g.refresh) })
	g.sweepUntil(ctx)
	g.leaveFlows()
	g.cutAll(relay.Shutdown)
	g.ports.close()
	parts.Wait()
	g.awaitQuiet()
	stopRelay()
	engine.Wait()
	if err := g.kernel.Delete(); err != nil {
		g.deps.Log.WithError(err).Warn("the kernel's table of tunnels stays behind")
	}
	close(written) // last: every session has told its end
	scribe.Wait()
	return nil
}

// cutAll ends every channel for good, those included whose VM is being dialled.
func (g *Gateway) cutAll(why relay.Reason) {
	g.mu.Lock()
	g.stopped = true
	var ends []ending
	for _, gr := range g.reg.grants {
		ends = append(ends, gr.cut(why))
	}
	pairs := g.passing()
	g.mu.Unlock()
	g.end(ends)
	killAll(pairs, why)
}

// awaitQuiet waits until the relay has told the end of all that this gateway
// gave it.
func (g *Gateway) awaitQuiet() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.pairs > 0 {
		g.quiet.Wait()
	}
}

func (g *Gateway) sweepUntil(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			g.sweep(now)
		}
	}
}

// sweep ends grants whose time is over and sessions that idle or last too long.
func (g *Gateway) sweep(now time.Time) {
	g.mu.Lock()
	var ends []ending
	for _, gr := range g.reg.overdue(now) {
		g.reg.expire(gr, now)
		g.deps.Directory.Forget(gr.id)
		ends = append(ends, ending{doors: gr.shut()})
	}
	for _, gr := range g.reg.lapsedOthers(now) {
		ends = append(ends, ending{doors: g.reg.unlearn(gr)})
	}
	for _, gr := range g.reg.grants {
		ends = g.bereave(gr, now, ends)
	}
	if now.Sub(g.looked) >= idleLook {
		g.looked = now
		g.spreadInTime(now)
		g.concede(now)
		for _, gr := range g.reg.grants {
			switch why := overstays(gr, now); why {
			case ReasonMaxTime: // and no coming back
				ends = append(ends, g.revoke(gr, why, ""))
			case ReasonIdle:
				ends = append(ends, gr.cut(why))
			}
		}
	}
	g.mu.Unlock()
	g.end(ends)
}

// overstays tells why a session has to end now; "" when it may go on.
func overstays(g *grant, now time.Time) relay.Reason {
	if g.session == nil {
		return ""
	}
	if !g.until.IsZero() && !now.Before(g.until) {
		return ReasonMaxTime
	}
	if most := g.timeouts.SessionMax; most > 0 && now.Sub(g.session.since) >= most {
		return ReasonMaxTime
	}
	if g.timeouts.Idle <= 0 || now.Sub(g.session.since) < g.timeouts.Idle {
		return ""
	}
	if _, _, last := g.bytes(); now.Sub(last) >= g.timeouts.Idle {
		return ReasonIdle
	}
	return ""
}

// SetDrain turns draining on or off: a draining node opens no new sessions.
func (g *Gateway) SetDrain(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.draining = on
}

// Health tells how full the gateway is and which dispatchers answer.
func (g *Gateway) Health() Health {
	g.mu.Lock()
	h := Health{
		Max: g.cfg.Limits.Connections, Used: len(g.reg.grants),
		FreePorts: g.reg.freePorts(g.cfg.PortStart, g.cfg.PortStop), Draining: g.draining,
	}
	g.mu.Unlock()
	h.Dispatchers = g.service.health()
	return h
}

// Health of the gateway at one moment.
type Health struct {
	Max, Used   int // grants; Max 0: no limit
	FreePorts   int // ports of the range without any grant
	Draining    bool
	Dispatchers []Dispatcher
}

// Dispatcher is one target of the service tunnel.
type Dispatcher struct {
	Addr string // host:port
	OK   bool
}

// Check sends bytes through a real tunnel of this node and back; nil when they
// came through. An answer is remembered for a second.
func (g *Gateway) Check(ctx context.Context) error {
	g.mu.Lock()
	node, enabled := g.cfg.Node, g.cfg.Enabled
	g.mu.Unlock()
	if !enabled {
		return ErrDisabled
	}
	return g.checker.check(ctx, node, g.engine)
}
