package gateway

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// resumeTime is how long a page may come back after it lost its connection, and how long
// it may take to make its first.
const resumeTime = 30 * time.Second

// Console is what a page gets to show a desktop.
type Console struct {
	ID     ConnectionID
	Cookie Secret // opens one WebSocket at GET /v3/connect/
	// Resume is for ResumeConsole, for 30 s after the connection is lost. "": the
	// connection was opened for other programs, and does not come back.
	Resume           Secret
	Desktop          string // what people call it: the VM's id, else its host
	User             string
	ViewOnly, Shared bool
}

// OpenConsole begins a session of a page with a ticket, which is used up, or with the
// token of a connection in mode websocket, which stays good for one attach. A VM that
// does not answer gives the ticket back. Errors are a *Refusal.
func (g *Gateway) OpenConsole(ctx context.Context, secret Secret, client netip.Addr) (Console, error) {
	client = plain(client)
	if err := g.disabled(); err != nil {
		return Console{}, err
	}
	if c, known, err := g.consoleOf(secret, client); known {
		return c, err
	}
	answer, returnTicket, err := g.redeem(ctx, OpenRequest{
		Client: client, Mode: ModeWebSocket, Ticket: secret, Probe: true, Console: true, here: true,
	})
	if errors.Is(err, ErrTicketUnknown) {
		return Console{}, refuse(ErrTicketUnknown, "the link is not known here; ask for a new one")
	}
	if err != nil {
		return Console{}, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	gr := g.reg.grants[answer.ID]
	if gr == nil {
		returnTicket()
		return Console{}, refuse(ErrNotFound, "the connection was ended")
	}
	return gr.console(answer.Token, answer.Resume), nil
}

// consoleOf is the console of a grant whose token was not used yet; known tells that there
// is one, or was.
func (g *Gateway) consoleOf(token Secret, client netip.Addr) (c Console, known bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	hash, now := token.hash(), time.Now()
	gr := g.reg.tokens[hash]
	if gr != nil && gr.remote {
		g.server(gr, now) // if its node has died, this one may serve it
	}
	_, lapsed := g.reg.expired[hash]
	switch {
	case lapsed || gr != nil && !gr.remote && gr.expired(now):
		return c, true, refuse(ErrExpired, "the link has expired; ask for a new one")
	case gr == nil || gr.remote:
		return c, false, nil
	case gr.mode == ModePort && gr.client != client:
		return c, true, refuse(ErrForbidden, "the connection was granted to another address")
	case gr.attached:
		return c, true, refuse(ErrUsed, "the link was used before; ask for a new one")
	}
	return gr.console(token, ""), true, nil
}

// ResumeConsole gives a page that lost its connection a fresh cookie and token. The
// former token stays good until the cookie is used: an answer may be lost, too. Errors are
// a *Refusal.
func (g *Gateway) ResumeConsole(ctx context.Context, resume Secret, client netip.Addr) (Console, error) {
	c, err := g.resume(resume, plain(client), time.Now())
	if err != nil {
		return Console{}, err
	}
	return c, g.share(ctx, c.ID)
}

func (g *Gateway) resume(resume Secret, client netip.Addr, now time.Time) (Console, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	gr := g.reg.resumes[resume.hash()]
	if gr != nil && gr.remote {
		g.server(gr, now) // if its node has died, this one may serve it
	}
	switch {
	case !g.cfg.Enabled:
		return Console{}, refuse(ErrDisabled, "the gateway is disabled by is_enabled")
	case g.stopped:
		return Console{}, refuseFor(time.Second, ErrDraining, "this node is stopping")
	case gr == nil:
		return Console{}, refuse(ErrForbidden, "the session is over, or was never here")
	case gr.remote:
		return Console{}, refuseFor(time.Second, ErrDraining, "another node serves the session")
	case gr.expired(now):
		return Console{}, refuse(ErrExpired, "the session has been away for too long, or has reached its end")
	case gr.bound && gr.client != client:
		return Console{}, refuse(ErrForbidden, "the ticket was made for another client address")
	}
	if g.rival(gr) {
		return Console{}, inUse()
	}
	return g.resumed(gr, resume, client, now), nil
}

// resumed makes a grant ready for its page to come back, from wherever that is now.
func (g *Gateway) resumed(gr *grant, used Secret, client netip.Addr, now time.Time) Console {
	g.reg.rehome(gr, client)
	token := g.reg.retoken(gr)
	for _, ch := range gr.channels {
		ch.replaceable = true
	}
	fresh, hash := newSecret()
	g.reg.awaits(gr, hash, used.hash())
	gr.extend(now)
	return gr.console(token, fresh)
}

func (gr *grant) console(cookie, resume Secret) Console {
	name := gr.vmID
	if name == "" {
		name = gr.target.host
	}
	return Console{
		ID: gr.id, Cookie: cookie, Resume: resume, Desktop: name, User: gr.user,
		ViewOnly: gr.desktop.ViewOnly, Shared: gr.desktop.Shared,
	}
}
