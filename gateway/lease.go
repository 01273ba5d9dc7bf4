package gateway

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"vdi-gateway/gateway/relay"
)

// Renew extends a grant by its ttl for who holds its token. A grant that lost its
// port to an older one, while nodes could not hear each other, gets a new one.
func (g *Gateway) Renew(ctx context.Context, id ConnectionID, token Secret, client netip.Addr) (Lease, error) {
	lease, moved, err := g.renew(id, token, client)
	if err == nil && moved {
		answer := Grant{ID: lease.ID, Port: lease.Port}
		err = g.publish(ctx, &answer)
		lease.Port = answer.Port
	}
	return lease, err
}

func (g *Gateway) renew(id ConnectionID, token Secret, client netip.Addr) (l Lease, moved bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	gr, err := g.held(id, token, client, now)
	if err != nil {
		return Lease{}, false, err
	}
	if moved = !g.reg.sits(gr); moved {
		if err := g.reseat(gr, nil, now); err != nil {
			return Lease{}, false, err
		}
	}
	gr.extend(now)
	return Lease{
		ID: gr.id, State: gr.state(), Addr: g.cfg.PublicAddr, Port: gr.port,
		ExpiresAt: gr.expiry(now), Heartbeat: heartbeat,
	}, moved, nil
}

// GiveBack ends a grant and its session for who holds its token.
func (g *Gateway) GiveBack(_ context.Context, id ConnectionID, token Secret, client netip.Addr) error {
	g.mu.Lock()
	gr, err := g.held(id, token, client, time.Now())
	if err != nil {
		g.mu.Unlock()
		return err
	}
	end := g.revoke(gr, relay.ClientClosed, "")
	g.mu.Unlock()
	g.end([]ending{end})
	return nil
}

// held finds a grant for its holder; a port grant answers its address only.
func (g *Gateway) held(id ConnectionID, token Secret, client netip.Addr, now time.Time) (*grant, error) {
	id = ConnectionID(strings.ToLower(string(id)))
	if gr := g.reg.others[id]; gr != nil && gr.owns(token) {
		g.server(gr, now) // if its node has died, this one may serve it
	}
	gr, err := g.reg.find(id, token, now)
	if err != nil {
		return nil, err
	}
	if gr.mode == ModePort && gr.client != plain(client) {
		return nil, refuse(ErrForbidden, "the connection was granted to another address")
	}
	return gr, nil
}
