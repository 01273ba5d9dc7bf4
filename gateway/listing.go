package gateway

import (
	"cmp"
	"net/netip"
	"strings"
	"time"
)

// Connections lists the grants that f selects, oldest first, and how many it
// selects in all, on every page.
func (g *Gateway) Connections(f Filter) (list []Connection, total int) {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, gr := range g.reg.sorted() {
		if gr.expired(now) || !f.matches(gr) {
			continue
		}
		total++
		behind := f.After.ID == "" || comparePlaces(Place{gr.openedAt, gr.id}, f.After) > 0
		if behind && (f.Limit == 0 || len(list) < f.Limit) {
			list = append(list, gr.describe())
		}
	}
	return list, total
}

func (f Filter) matches(gr *grant) bool {
	return (f.State == "" || gr.state() == f.State) &&
		(f.User == "" || gr.user == f.User) &&
		(f.VMAddr == "" || gr.target.is(f.VMAddr)) &&
		(!f.Client.IsValid() || gr.client == plain(f.Client))
}

// is tells whether the target was asked for as host or is dialled at that
// address.
func (t target) is(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		for _, own := range t.addrs {
			if own.Addr() == plain(a) {
				return true
			}
		}
		return false
	}
	return strings.EqualFold(t.host, host)
}

func comparePlaces(a, b Place) int {
	return cmp.Or(a.OpenedAt.Compare(b.OpenedAt), cmp.Compare(a.ID, b.ID))
}

func (gr *grant) describe() Connection {
	c := Connection{
		ID: gr.id, Node: gr.node, State: gr.state(), User: gr.user, VMID: gr.vmID,
		VMAddr: gr.target.host, VMPort: gr.target.port, Protocol: gr.protocol,
		Client: gr.client, Port: gr.port, Mode: gr.mode,
		OpenedAt: gr.openedAt, ConnectedAt: gr.first,
	}
	c.BytesUp, c.BytesDown, c.LastActivity = gr.bytes()
	for _, ch := range gr.channels {
		if ch.session != nil {
			c.Channels++
			c.RTT = ch.stats().RTT
		}
	}
	return c
}
