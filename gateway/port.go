package gateway

import (
	"maps"
	"net/netip"
	"slices"
	"sync"

	"vdi-gateway/gateway/relay"
)

// port is one bound port of the range, on every listen address.
type port struct {
	number uint16

	// The lock of ports guards these.
	clients map[netip.Addr]int // how often each was allowed
	doors   map[netip.Addr]relay.Door
	changes uint64 // of the set of clients

	filtering sync.Mutex // held while filters change; taken before the lock of ports
	settled   uint64     // the changes that the filters know
}

// newPort is a port for its first client, not yet bound. Doors are opened
// with the filter of the clients at that moment.
func newPort(number uint16, client netip.Addr) *port {
	return &port{number: number, clients: map[netip.Addr]int{client: 1}, doors: map[netip.Addr]relay.Door{}}
}

func (o *port) add(client netip.Addr) {
	o.clients[client]++
	if o.clients[client] == 1 {
		o.changes++
	}
}

// remove tells whether the client is none of the port's any more.
func (o *port) remove(client netip.Addr) bool {
	if o.clients[client]--; o.clients[client] > 0 {
		return false
	}
	delete(o.clients, client)
	o.changes++
	return true
}

func (o *port) allowed() []netip.Addr { return slices.Collect(maps.Keys(o.clients)) }

// tune has connections accepted from now on notice dead peers as t says.
func (o *port) tune(t Timeouts) {
	for _, d := range o.doors {
		_ = d.Control(func(fd int) error { return tune(fd, t) }) // only fails when closed
	}
}

func (o *port) close() { o.closeBut(nil) }

func (o *port) closeBut(keep []netip.Addr) {
	for a, d := range o.doors {
		if !slices.Contains(keep, a) {
			d.Close()
			delete(o.doors, a)
		}
	}
}
