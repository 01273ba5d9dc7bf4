package vrrp

import (
	"context"
	"net/netip"
	"time"
)

// system is what the loop needs of a host. Simulated nodes have another one.
type system struct {
	look  func(Config) link
	watch func(ctx context.Context, changed chan<- struct{})
	open  func(Config, link) (wire, error)
	guard func() keeper
	alarm func() (alarm, error)
	// uptime goes on while the host sleeps, which other clocks do not.
	uptime func() time.Duration
}

// link is the interface of a router.
type link struct {
	name   string
	index  int
	mac    string
	source netip.Addr // the primary address
	why    string     // it is of no use; "": it is
	failed string     // why nothing is known of it now; "": the rest is true
}

// wire is the interface as seen by the protocol. receive is for another goroutine than
// the rest and ends when the wire is closed.
type wire interface {
	send(datagram) error
	receive() (Packet, error)
	announce([]netip.Prefix) error
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
