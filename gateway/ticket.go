package gateway

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/netip"
	"time"

	"github.com/google/uuid"
)

// ticketTTL is a ticket's life when the dispatcher does not say.
const ticketTTL = time.Minute

// TicketStore keeps tickets over a restart. It sees hashes, never secrets. Use
// and Return must be atomic; Use answers ErrTicketUnknown, ErrUsed or
// ErrExpired as they are.
type TicketStore interface {
	Put(ctx context.Context, hash [sha256.Size]byte, id string, t TicketRequest, expires time.Time) error
	Use(ctx context.Context, hash [sha256.Size]byte, now time.Time) (TicketRequest, error)
	Return(ctx context.Context, hash [sha256.Size]byte) error
	Revoke(ctx context.Context, s Selector) (int, error)
}

// IssueTicket makes a ticket for one VM, which must be an allowed target.
func (g *Gateway) IssueTicket(ctx context.Context, r TicketRequest) (Ticket, error) {
	if err := g.disabled(); err != nil {
		return Ticket{}, err
	}
	if _, err := g.resolveTarget(ctx, r.VMAddr, r.VMPort); err != nil {
		return Ticket{}, err
	}
	if r.TTL == 0 {
		r.TTL = ticketTTL
	}
	if r.MaxUses == 0 {
		r.MaxUses = 1
	}
	secret, hash := newSecret()
	t := Ticket{Secret: secret, ID: uuid.NewString(), ExpiresAt: time.Now().Add(r.TTL)}
	return t, g.deps.Tickets.Put(ctx, hash, t.ID, r, t.ExpiresAt)
}

// redeem opens a tunnel and uses the request's ticket for it, if it has one.
// giveBack undoes the use; when nothing was opened that is done already.
func (g *Gateway) redeem(ctx context.Context, r OpenRequest) (answer Grant, giveBack func(), err error) {
	t, giveBack, err := g.spend(ctx, &r)
	if err != nil {
		return Grant{}, nil, err
	}
	answer, err = g.open(ctx, r, t)
	if err != nil {
		giveBack()
	}
	return answer, giveBack, err
}

// spend uses the request's ticket, if it has one, and fills r with what the
// ticket says. giveBack undoes the use.
func (g *Gateway) spend(ctx context.Context, r *OpenRequest) (t TicketRequest, giveBack func(), err error) {
	if r.Ticket == "" {
		return TicketRequest{}, func() {}, nil
	}
	t, giveBack, err = g.useTicket(ctx, r.Ticket, r.Client)
	if err != nil {
		return TicketRequest{}, nil, err
	}
	r.VMAddr, r.VMPort, r.VMID, r.User, r.Desktop = t.VMAddr, t.VMPort, t.VMID, t.User, t.Desktop
	if t.Protocol != "" {
		r.Protocol = t.Protocol
	}
	if t.Channels > 0 {
		r.Channels = t.Channels
	}
	return t, giveBack, nil
}

// useTicket spends one use of a ticket for a client. giveBack undoes that,
// when the tunnel did not come about.
func (g *Gateway) useTicket(ctx context.Context, ticket Secret, client netip.Addr) (t TicketRequest, giveBack func(), err error) {
	hash := ticket.hash()
	t, err = g.deps.Tickets.Use(ctx, hash, time.Now())
	switch {
	case errors.Is(err, ErrTicketUnknown):
		return t, nil, refuseField(ErrTicketUnknown, "ticket", "the ticket is not known here")
	case errors.Is(err, ErrUsed):
		return t, nil, refuseField(ErrUsed, "ticket", "the ticket was used before; ask for a new one")
	case errors.Is(err, ErrExpired):
		return t, nil, refuseField(ErrExpired, "ticket", "the ticket has expired; ask for a new one")
	case err != nil:
		return t, nil, err
	}
	giveBack = func() {
		// The request may be cancelled; the ticket is to come back all the same.
		if err := g.deps.Tickets.Return(context.WithoutCancel(ctx), hash); err != nil {
			g.deps.Log.WithError(err).Error("a ticket could not be given back")
		}
	}
	if t.Client.IsValid() && plain(t.Client) != plain(client) {
		giveBack()
		return t, nil, refuseField(ErrForbidden, "ticket", "the ticket was made for another client address")
	}
	return t, giveBack, nil
}
