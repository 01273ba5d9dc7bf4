package gateway

import (
	"context"
	"net/netip"
)

// Console is what a page gets to show a desktop.
type Console struct {
	ID       ConnectionID
	Cookie   Secret // opens one WebSocket at GET /v3/connect/
	Resume   Secret // for ResumeConsole
	Desktop  string // what the page calls it: what the dispatcher calls the VM, never its address
	User     string
	ViewOnly bool // the gateway lets nothing but looking through
	Shared   bool // others may look at the same time
}

// OpenConsole spends a ticket for a page, or takes the token of a grant that was not
// attached yet. Errors are a *Refusal: ErrTicketUnknown for a secret that is neither.
func (g *Gateway) OpenConsole(ctx context.Context, secret Secret, client netip.Addr) (Console, error) {
	client = plain(client)
	if err := g.disabled(); err != nil {
		return Console{}, err
	}
	if c, known, err := g.consoleOf(secret, client); known {
		return c, err
	}
	answer, _, err := g.redeem(ctx, OpenRequest{Client: client, Mode: ModeWebSocket, Ticket: secret, Probe: true, here: true})
	if err != nil {
		return Console{}, err
	}
	c, _, err := g.consoleOf(answer.Token, client)
	return c, err
}

// ResumeConsole gives a page that lost its connection a fresh cookie and resume token.
// Errors are a *Refusal: ErrTokenUnknown for a token that nobody has.
func (g *Gateway) ResumeConsole(context.Context, Secret, netip.Addr) (Console, error) {
	return Console{}, refuse(ErrTokenUnknown, "the token is not known here")
}

// consoleOf is the console of a grant of this node whose token was not used yet.
func (g *Gateway) consoleOf(token Secret, client netip.Addr) (c Console, known bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	gr := g.reg.tokens[token.hash()]
	switch {
	case gr == nil || gr.remote:
		return Console{}, false, nil
	case gr.mode == ModePort && gr.client != client:
		return Console{}, true, refuse(ErrForbidden, "the connection was granted to another address")
	case gr.attached:
		return Console{}, true, refuse(ErrUsed, "the token was used before; open the connection again for a fresh one")
	}
	return Console{ID: gr.id, Cookie: token, Desktop: gr.vmID, User: gr.user}, true, nil
}
