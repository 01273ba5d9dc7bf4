package vrrp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/sirupsen/logrus"
)

// Config is one virtual router; the zero value is none.
type Config struct {
	// Addrs are the virtual addresses with their prefix lengths; they move together.
	// Those of the family of the first one are advertised, in this order.
	Addrs []netip.Prefix
	// Inside are further addresses that are held and announced together with Addrs, each
	// on its own interface. They are not advertised: routers that hear this node know
	// nothing of them.
	Inside []Placed
	// Interface carries Addrs and the protocol; "" is the first one of the host that is
	// no loopback.
	Interface string
	// Node is this node's own address. It is the source of packets where it is on the
	// interface; over IPv6 multicast that is the link-local address (RFC 9568 section
	// 5.1.2.1).
	Node netip.Addr
	// Peers are the other routers in mode unicast; empty: multicast.
	Peers        []netip.Addr
	Version      uint8 // 2 or 3
	VRID         VRID
	Priority     uint8         // 1 to 255; 255 owns the address
	Interval     time.Duration // between advertisements; 10 ms to 40.95 s, whole seconds with version 2
	Preempt      bool
	PreemptDelay time.Duration
	Checksum     Checksum
}

// Placed is an address with the length of its prefix, and where it is.
type Placed struct {
	Prefix netip.Prefix
	// Interface is its interface; "" is the one of this host that has a network which
	// contains the address (the longest prefix wins), else that of the router. It is
	// looked for anew whenever the host's interfaces change. An address whose network
	// goes does not move to the router's interface: then this node cannot serve.
	Interface string
}

// Deps is what a VRRP needs of others.
//
// Its hooks, which may be nil, are called from a goroutine of Run's own, one at a time
// and in the order of what happened. One that hangs holds up the others, but not the
// election. Those whose turn has not come when things have changed again are left out.
type Deps struct {
	// Guard is the command line of a program that calls RunGuard on its standard input
	// and output.
	Guard []string
	Log   logrus.FieldLogger
	// Prepare is for what has to be done before the addresses are here: this node has
	// decided to be Active, and advertises. The addresses are put when it returns, or
	// half a second after the decision; ctx ends then, or when this node is not Active
	// any more, after which they are not put at all.
	Prepare func(ctx context.Context)
	// Followed is that another node is heard to be Active: the first one since the start
	// or since this node was Active itself, and each time that it is another one than
	// before. It is called also while this node does not compete, if it can hear; silence
	// is nothing it is called for.
	Followed func(active netip.Addr)
}

func (c Config) enabled() bool { return len(c.Addrs) > 0 }

// check finds what settings that were validated have none of.
func (c Config) check() error {
	if !c.enabled() {
		return nil
	}
	for _, p := range c.Addrs {
		if !p.IsValid() {
			return errors.New("vrrp: an address is missing")
		}
	}
	switch {
	case c.Version != 2 && c.Version != 3:
		return fmt.Errorf("vrrp: version %d: must be 2 or 3", c.Version)
	case c.Version == 2 && (c.six() || c.Interval%time.Second != 0 || c.Interval > 255*time.Second):
		return errors.New("vrrp: version 2 knows IPv4 and 1 to 255 whole seconds")
	case c.Interval < centisecond || c.Interval > maxInterval:
		return fmt.Errorf("vrrp: interval %s: must be %s to %s", c.Interval, centisecond, maxInterval)
	case c.VRID == 0 || c.Priority == 0:
		return errors.New("vrrp: router id and priority must be 1 to 255")
	}
	return c.checkInside()
}

func (c Config) checkInside() error {
	met := map[netip.Addr]bool{}
	for _, p := range c.Addrs {
		met[p.Addr()] = true
	}
	for _, p := range c.Inside {
		switch {
		case !p.Prefix.IsValid():
			return errors.New("vrrp: an address inside is missing")
		case met[p.Prefix.Addr()]:
			return fmt.Errorf("vrrp: the address %s is there twice", p.Prefix.Addr())
		}
		met[p.Prefix.Addr()] = true
	}
	return nil
}

func (c Config) six() bool { return c.Addrs[0].Addr().Is6() }

// advertised are the addresses that an advertisement lists.
func (c Config) advertised() (list []netip.Addr) {
	for _, p := range c.Addrs {
		if p.Addr().Is6() == c.six() {
			list = append(list, p.Addr())
		}
	}
	return list
}

// targets are where advertisements go to: RFC 9568 sections 5.1.1.2 and 5.1.2.2.
func (c Config) targets() []netip.Addr {
	switch {
	case len(c.Peers) > 0:
		return c.Peers
	case c.six():
		return []netip.Addr{netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 0x12})}
	}
	return []netip.Addr{netip.AddrFrom4([4]byte{224, 0, 0, 18})}
}

func (c Config) election(source netip.Addr) election {
	return election{
		version: c.Version, priority: c.Priority, interval: c.Interval,
		preempt: c.Preempt, delay: c.PreemptDelay, source: source,
	}
}

// advertisement is this router's own with a priority.
func (c Config) advertisement(priority uint8) Advertisement {
	return Advertisement{Version: c.Version, VRID: c.VRID, Priority: priority, Interval: c.Interval, Addrs: c.advertised()}
}

// sameRouter tells whether a router of one config can go on by another: only how it
// takes part differs, or which addresses move along.
func (c Config) sameRouter(o Config) bool {
	return c.Interface == o.Interface && c.Node == o.Node && c.Version == o.Version && c.VRID == o.VRID &&
		slices.Equal(c.Addrs, o.Addrs) && len(c.Peers) == 0 == (len(o.Peers) == 0)
}

// admit says why an advertisement is not for this router, nil if it is.
func (c Config) admit(a Advertisement, from, source netip.Addr) error {
	switch {
	case a.VRID != c.VRID:
		return DiscardVRID
	case from == source:
		return DiscardOwn
	case len(c.Peers) > 0 && !slices.Contains(c.Peers, from):
		return DiscardSource
	case a.Version != c.Version:
		return DiscardVersion
	case c.Version == 2 && a.Interval != c.Interval: // RFC 3768 section 7.1
		return DiscardInterval
	case c.Version == 2 && a.Priority != ownerPriority && !c.lists(a): // likewise
		return DiscardAddresses
	}
	return nil
}

// stranger says why an advertisement with the id of this router cannot be meant for it,
// "" if it can, or has another id. err is what Parse or admit had against it.
func (c Config) stranger(a Advertisement, err error) string {
	switch {
	case a.VRID != c.VRID || len(a.Addrs) == 0:
		return ""
	case a.Version != c.Version:
		return fmt.Sprintf("speaks version %d with router id %d, this node version %d: change vrrp.version or vrrp.router_id", a.Version, a.VRID, c.Version)
	case !c.lists(a) && (err == nil || errors.Is(err, DiscardAddresses) || errors.Is(err, DiscardSource)):
		return fmt.Sprintf("uses router id %d for other addresses (%s): change vrrp.router_id here or there", a.VRID, listed(a.Addrs))
	}
	return ""
}

// lists tells whether an advertisement is about the addresses of this router.
func (c Config) lists(a Advertisement) bool {
	own := c.advertised()
	if len(own) != len(a.Addrs) {
		return false
	}
	for _, addr := range a.Addrs {
		if !slices.Contains(own, addr) {
			return false
		}
	}
	return true
}

// virtual tells whether an address is one that moves.
func (c Config) virtual(a netip.Addr) bool {
	return slices.ContainsFunc(c.Addrs, func(p netip.Prefix) bool { return p.Addr() == a }) ||
		slices.ContainsFunc(c.Inside, func(p Placed) bool { return p.Prefix.Addr() == a })
}
