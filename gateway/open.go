package gateway

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/google/uuid"
)

// heartbeat is how often a client should renew: well within the shortest ttl
// people use, seldom enough not to matter.
const heartbeat = 20 * time.Second

// Open reserves a tunnel for r.Client. From the moment it returns the client
// may connect. The same client asking again for the same VM and user gets its
// living grant with a fresh token. Errors are a *Refusal.
func (g *Gateway) Open(ctx context.Context, r OpenRequest) (Grant, error) {
	r.Client = plain(r.Client)
	if err := g.mayOpen(r); err != nil {
		return Grant{}, err
	}
	answer, _, err := g.redeem(ctx, r)
	return answer, err
}

// mayOpen checks what does not depend on the VM.
func (g *Gateway) mayOpen(r OpenRequest) error {
	if err := g.disabled(); err != nil {
		return err
	}
	g.mu.Lock()
	opens := g.opens
	g.mu.Unlock()
	if !opens.Allow(r.Client) {
		return refuseFor(time.Second, ErrRateLimited, "too many open_connection calls from this address; see limits.open_per_client_per_s")
	}
	if r.Ticket == "" && g.policy.Load().requireTicket {
		return refuseField(ErrTicketRequired, "ticket", "this gateway opens tunnels for tickets of the dispatcher only")
	}
	return nil
}

func (g *Gateway) disabled() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.cfg.Enabled {
		return refuse(ErrDisabled, "the gateway is disabled by is_enabled")
	}
	return nil
}

func (g *Gateway) open(ctx context.Context, r OpenRequest, t TicketRequest) (Grant, error) {
	vm, err := g.resolveTarget(ctx, r.VMAddr, r.VMPort)
	if err != nil {
		return Grant{}, err
	}
	if r.Mode == "" {
		r.Mode = ModePort
	}
	if r.Protocol, err = r.protocol(); err != nil {
		return Grant{}, err
	}
	key := reopenKey{r.Client, vm.host, vm.port, r.User, r.Mode}
	if answer, err := g.reopenElsewhere(ctx, key, r, t); err == nil {
		return answer, nil
	}
	if r.Probe && !g.live(key) {
		if err := g.probe(ctx, vm); err != nil {
			return Grant{}, err
		}
	}
	answer, err := g.reserve(r, t, vm, key)
	if err != nil {
		return answer, err
	}
	if err := g.publish(ctx, &answer); err != nil {
		if !answer.Reopened {
			_ = g.GiveBack(ctx, answer.ID, answer.Token, answer.Client) // gone: just as well
		}
		return Grant{}, err
	}
	return answer, nil
}

// live tells whether key names a grant in use, whose VM needs no probe.
func (g *Gateway) live(key reopenKey) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	gr := g.reg.byKey[key]
	return gr != nil && gr.session != nil // never of another node's
}

// reserve answers with the living grant of key, or else with a new one whose
// port is bound. All of it happens under the lock: there is no second grant of
// key, and what forbids it comes before or after.
func (g *Gateway) reserve(r OpenRequest, t TicketRequest, vm target, key reopenKey) (Grant, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if answer, ok := g.reopen(key, r, t, now); ok {
		return answer, nil
	}
	if err := g.mayEnter(r.Client, vm); err != nil {
		return Grant{}, err
	}
	gr, token := g.newGrant(r, t, vm, key, now)
	if r.Console && g.rival(gr) {
		return Grant{}, inUse()
	}
	if err := g.enter(gr, now); err != nil {
		g.reg.remove(gr)
		return Grant{}, err
	}
	resume := g.returnable(gr, r)
	answer := g.answer(gr, token, now)
	answer.Resume = resume
	return answer, nil
}

func (g *Gateway) reopen(key reopenKey, r OpenRequest, t TicketRequest, now time.Time) (Grant, bool) {
	gr := g.reg.byKey[key]
	if key.user == "" || gr == nil || gr.expired(now) {
		return Grant{}, false
	}
	if gr.remote {
		g.server(gr, now) // if its node has died, this one may serve it
	}
	if gr.remote || !g.reg.sits(gr) && g.reseat(gr, nil, now) != nil {
		return Grant{}, false
	}
	token := g.reg.retoken(gr)
	for _, ch := range gr.channels {
		ch.replaceable = true
	}
	g.reg.unseat(gr)
	g.configure(gr, r, t)
	g.resteer(gr)
	g.reg.seat(gr)
	resume := g.returnable(gr, r)
	gr.extend(now)
	answer := g.answer(gr, token, now)
	answer.Reopened, answer.Resume = true, resume
	return answer, true
}

// returnable has the page of a console come back by the token it returns.
func (g *Gateway) returnable(gr *grant, r OpenRequest) Secret {
	if !r.Console {
		g.reg.awaits(gr, [sha256.Size]byte{}, [sha256.Size]byte{})
		return ""
	}
	resume, hash := newSecret()
	g.reg.awaits(gr, hash, [sha256.Size]byte{})
	return resume
}

// protocol is what the VM speaks, as far as the request tells.
func (r OpenRequest) protocol() (Protocol, error) {
	vnc := r.Desktop.entered() || r.Console
	switch {
	case vnc && r.Protocol != "" && r.Protocol != "tcp" && r.Protocol != "vnc":
		return "", refuseField(ErrInvalid, "protocol", fmt.Sprintf("%s cannot be shown or entered by the gateway, which knows vnc only", r.Protocol))
	case vnc:
		return "vnc", nil
	case r.Protocol == "":
		return "tcp", nil
	}
	return r.Protocol, nil
}

// configure sets what a request may set anew each time.
func (g *Gateway) configure(gr *grant, r OpenRequest, t TicketRequest) {
	gr.desktop, gr.passcode, gr.bound, gr.until = r.Desktop, passcode{}, t.Client.IsValid(), time.Time{}
	if r.Desktop.entered() && r.Mode == ModePort {
		gr.passcode = newPasscode()
	}
	gr.protocol, gr.vmID, gr.verified = r.Protocol, r.VMID, r.Ticket != ""
	gr.ttl, gr.limit, gr.timeouts = r.TTL, r.Channels, g.cfg.Timeouts
	if gr.ttl == 0 {
		gr.ttl = g.cfg.Timeouts.Grant
	}
	if r.Console {
		gr.ttl = resumeTime
	}
	if gr.limit == 0 {
		gr.limit = r.Protocol.Channels()
	}
	if most := gr.timeouts.SessionMax; t.SessionMax > 0 && (most == 0 || t.SessionMax < most) {
		gr.timeouts.SessionMax = t.SessionMax
	}
}

func (g *Gateway) newGrant(r OpenRequest, t TicketRequest, vm target, key reopenKey, now time.Time) (*grant, Secret) {
	token, hash := newSecret()
	gr := &grant{
		id: ConnectionID(uuid.NewString()), key: key, client: r.Client, target: vm, node: g.cfg.Node,
		user: r.User, mode: r.Mode, token: hash, openedAt: now,
	}
	g.configure(gr, r, t)
	gr.steered = g.steerable(gr)
	gr.extend(now)
	return gr, token
}

// mayEnter checks again what may have changed since mayOpen and resolveTarget,
// and what depends on who is there.
func (g *Gateway) mayEnter(client netip.Addr, vm target) error {
	switch {
	case !g.cfg.Enabled:
		return refuse(ErrDisabled, "the gateway is disabled by is_enabled")
	case g.draining, g.stopped: // stopping is draining to its end
		return refuseFor(10*time.Second, ErrDraining, "this node is draining and opens no new sessions")
	}
	if err := vm.checkedBy(g.policy.Load()); err != nil {
		return err
	}
	return g.reg.room(client, g.cfg.Node, g.cfg.Limits)
}

// enter adds the grant and opens its port. A port that somebody else has bound
// is passed over.
func (g *Gateway) enter(gr *grant, now time.Time) error {
	err := g.reg.add(gr, g.choice(nil), now)
	if err == nil && gr.mode == ModePort {
		err = g.bindFor(gr, g.choice(nil), now)
	}
	return err
}

// choice is the ports a grant of this node may get, but for those in not.
func (g *Gateway) choice(not map[uint16]bool) choice {
	c := choice{first: g.cfg.PortStart, last: g.cfg.PortStop, not: not, of: len(g.cfg.Nodes)}
	c.turn = max(slices.Index(g.cfg.Nodes, g.cfg.Node), 0)
	return c
}

// taken tells whether a port could not be bound because it is another program's.
func taken(err error) bool {
	return errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EACCES)
}

// bindFor opens the port of gr, or else one of the choice.
func (g *Gateway) bindFor(gr *grant, among choice, now time.Time) (err error) {
	for err == nil {
		w := g.wayOf(gr)
		err = g.ports.allow(w)
		switch {
		case err == nil:
			gr.door = w
			return nil
		case starved(err):
			return outOfDescriptors()
		case !taken(err):
			return refuseFor(time.Second, ErrNoFreePort, fmt.Sprintf("port %d cannot be opened: %v", gr.port, err))
		}
		g.deps.Log.WithError(err).WithField("port", gr.port).Warn("a port of the range is taken by another program; trying the next")
		err = g.reg.move(gr, among, now)
	}
	return err
}

// answer describes gr to its client.
func (g *Gateway) answer(gr *grant, token Secret, now time.Time) Grant {
	return Grant{
		ID: gr.id, Token: token, Addr: g.cfg.PublicAddr, Port: gr.port, Node: gr.node,
		Client: gr.client, Protocol: gr.protocol, TTL: gr.ttl, ExpiresAt: gr.expiry(now), Password: gr.passcode.password,
	}
}

// expiry is when the grant would end if its channels closed now.
func (gr *grant) expiry(now time.Time) time.Time {
	if len(gr.channels) > 0 && gr.ttl > 0 {
		return now.Add(gr.ttl)
	}
	return gr.expires
}
