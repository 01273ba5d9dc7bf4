package vrrp

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"time"
)

// system is what the loop needs of a host. Simulated nodes have another one.
type system struct {
	// look finds the interfaces of a config. It is told what was seen before.
	look  func(Config, link) link
	watch func(ctx context.Context, changed chan<- struct{})
	open  func(Config, link) (wire, error)
	guard func() keeper
	alarm func() (alarm, error)
	// uptime goes on while the host sleeps, which other clocks do not.
	uptime func() time.Duration
}

// link is the interface of a router, and those of the addresses inside.
type link struct {
	port
	source netip.Addr // the primary address
	why    string     // it is of no use; "": it is
	inside []port     // those of Config.Inside, in that order
	lacks  string     // why one of them is of no use; "": they are
	failed string     // why nothing is known of it now; "": the rest is true
}

// port is one interface.
type port struct {
	name    string
	index   int // which another one of that name has not; 0: there is none
	mac     string
	network bool // it was found by its network
}

func (l link) same(o link) bool {
	return l.port == o.port && l.source == o.source && l.why == o.why && slices.Equal(l.inside, o.inside) && l.lacks == o.lacks
}

// unfit is why a router cannot serve with it; "": it can.
func (l link) unfit() string { return cmp.Or(l.why, l.lacks) }

// wire is the interface as seen by the protocol. receive is for another goroutine than
// the rest and ends when the wire is closed.
type wire interface {
	send(datagram) error
	receive() (Packet, error)
	announce([]place) error
	close()
}

// keeper passes orders to the guard and has its reports. It never waits.
type keeper interface {
	run(ctx context.Context)
	order(order)
	reports() <-chan report
}

// alarm goes off once, some time after it was set.
type alarm interface {
	run()
	set(after time.Duration)
	rings() <-chan struct{}
	close()
}
