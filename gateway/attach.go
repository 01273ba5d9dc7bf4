package gateway

import (
	"context"
	"crypto/sha256"
	"errors"
	"net"
	"net/netip"
	"time"

	"vdi-gateway/gateway/relay"
)

// Attachment is a token that has been spent and a VM that has been dialled,
// waiting for the client's leg. Exactly one of Serve and Abort must be called.
type Attachment struct {
	gateway  *Gateway
	channel  *channel
	vm       net.Conn // behind its security, where the gateway goes through that
	giveBack func()
}

// Attach spends the token of a grant, or a ticket, and dials the VM. When the
// VM does not answer the token is given back. Errors are a *Refusal.
func (g *Gateway) Attach(ctx context.Context, token Secret, client netip.Addr) (*Attachment, error) {
	client = plain(client)
	ch, victim, giveBack, err := g.takeToken(token, client)
	if errors.Is(err, ErrTokenUnknown) && token != "" && g.deps.Tickets != nil {
		ch, victim, giveBack, err = g.takeTicket(ctx, token, client)
	}
	if err != nil {
		return nil, err
	}
	if victim != nil {
		victim.kill(ReasonReplaced)
	}
	vm, err := g.dial(ctx, ch)
	if err != nil {
		giveBack()
		return nil, err
	}
	return &Attachment{gateway: g, channel: ch, vm: vm, giveBack: giveBack}, nil
}

// dial reaches the VM of a channel whose client is not on a range port. It is
// given up when the client leaves or the channel is killed.
func (g *Gateway) dial(ctx context.Context, ch *channel) (net.Conn, error) {
	ctx, done := ch.living(ctx)
	defer done()
	vm, err := g.reach(ctx, ch)
	if err == nil {
		return vm, nil
	}
	if ctx.Err() != nil { // not the VM's failure
		ch.kill(relay.ClientClosed)
	}
	g.failed(ch, err)
	return nil, outside(err)
}

// takeToken spends a grant's token.
func (g *Gateway) takeToken(token Secret, client netip.Addr) (ch, victim *channel, giveBack func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	hash := token.hash()
	gr := g.reg.tokens[hash]
	if gr != nil && gr.remote {
		g.server(gr, time.Now()) // if its node has died, this one may serve it
	}
	_, lapsed := g.reg.expired[hash]
	switch {
	case g.stopped:
		return nil, nil, nil, refuseFor(10*time.Second, ErrDraining, "this node is stopping")
	case lapsed || gr != nil && !gr.remote && gr.expired(time.Now()):
		return nil, nil, nil, refuse(ErrExpired, "the token has expired; open the connection again")
	case gr == nil || gr.remote:
		return nil, nil, nil, refuse(ErrTokenUnknown, "the token is not known here")
	case gr.mode == ModePort && gr.client != client:
		return nil, nil, nil, refuse(ErrForbidden, "the connection was granted to another address")
	case gr.attached:
		return nil, nil, nil, refuse(ErrUsed, "the token was used before; open the connection again for a fresh one")
	}
	if g.rival(gr) {
		return nil, nil, nil, inUse()
	}
	ch, victim, err = gr.admit(time.Now())
	if err != nil {
		return nil, nil, nil, err
	}
	gr.attached = true
	g.reg.awaits(gr, gr.resumes[0], [sha256.Size]byte{}) // the page has the newest now
	g.spread(gr, time.Now())
	return ch, victim, func() { g.unspend(gr, hash) }, nil
}

func (g *Gateway) unspend(gr *grant, hash [32]byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if gr.token == hash && !gr.ended { // not exchanged for a fresh one meanwhile
		gr.attached = false
		g.spread(gr, time.Now())
	}
}

// takeTicket opens a grant for a ticket and spends its token at once. A grant
// that the client had already stays when the ticket is given back.
func (g *Gateway) takeTicket(ctx context.Context, ticket Secret, client netip.Addr) (ch, victim *channel, giveBack func(), err error) {
	if err := g.disabled(); err != nil {
		return nil, nil, nil, err
	}
	answer, returnTicket, err := g.redeem(ctx, OpenRequest{Client: client, Mode: ModeWebSocket, Ticket: ticket, here: true})
	if errors.Is(err, ErrTicketUnknown) {
		return nil, nil, nil, refuse(ErrTokenUnknown, "the token is not known here")
	}
	if err != nil {
		return nil, nil, nil, err
	}
	giveBack = func() {
		if !answer.Reopened {
			_ = g.GiveBack(ctx, answer.ID, answer.Token, client) // gone: just as well
		}
		returnTicket()
	}
	ch, victim, _, err = g.takeToken(answer.Token, client)
	if err != nil {
		giveBack()
		return nil, nil, nil, err
	}
	return ch, victim, giveBack, nil
}

// Abort gives the token back: the client's leg did not come about.
func (a *Attachment) Abort() {
	_ = a.vm.Close() // nothing was said on it
	a.gateway.release(a.channel)
	a.giveBack()
}
