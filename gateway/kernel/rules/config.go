package rules

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Config is all that the table shall be, apart from grants.
type Config struct {
	// Virtual are the addresses that clients connect to.
	Virtual []netip.Addr
	// Inside are the addresses that VMs see, one of each family in Virtual. One may be
	// a virtual address too; then flows get source ports from 32768 on, which no packet
	// of a client carries as its destination.
	// None at all are for a host whose flows never move: VMs see the address that it has
	// on their side.
	Inside []netip.Addr
	// OutsideInterface is where clients come from: from elsewhere no connection is
	// steered, only refused. InsideInterface is where VMs are; it matters where an
	// address is both virtual and inside, and keeps the guard from other interfaces.
	// "" is any.
	OutsideInterface, InsideInterface string
	// FirstPort to LastPort are the ports of grants on the virtual addresses.
	FirstPort, LastPort uint16
	// Clients may connect; nobody else may, grant or not. Ranges are in order and do
	// not overlap. Everybody is all of them.
	Clients []Range
	// Mark is the connection mark of flows that grants let through. Condemned is the
	// one of flows that shall end, and the packet mark of what is sent for that.
	Mark, Condemned uint32
}

// Range is the addresses from First to Last, both of one family.
type Range struct{ First, Last netip.Addr }

// Everybody is every address.
func Everybody() []Range {
	all := bytes.Repeat([]byte{0xff}, 16)
	return []Range{
		{netip.IPv4Unspecified(), netip.AddrFrom4([4]byte(all))},
		{netip.IPv6Unspecified(), netip.AddrFrom16([16]byte(all))},
	}
}

// check tells what is wrong with the config.
func (c Config) check() error {
	switch {
	case len(c.Virtual) == 0:
		return errors.New("no virtual address")
	case c.FirstPort == 0 || c.LastPort < c.FirstPort:
		return fmt.Errorf("ports %d to %d are no range", c.FirstPort, c.LastPort)
	case c.Mark == 0 || c.Condemned == 0 || c.Mark == c.Condemned:
		return fmt.Errorf("marks %#x and %#x must differ, from each other and from 0", c.Mark, c.Condemned)
	}
	return errors.Join(c.checkAddresses(), c.checkClients(), checkInterface(c.OutsideInterface), checkInterface(c.InsideInterface))
}

func (c Config) checkAddresses() error {
	for i, a := range slices.Concat(c.Virtual, c.Inside) {
		switch {
		case !usable(a):
			return fmt.Errorf("address %q cannot be used", a)
		case slices.Contains(c.Virtual[:min(i, len(c.Virtual))], a) && i < len(c.Virtual):
			return fmt.Errorf("virtual address %s is there twice", a)
		case len(c.Inside) > 0 && c.inside(a.Is4()) == netip.Addr{}:
			return fmt.Errorf("virtual address %s has no inside address of its family", a)
		}
	}
	for i, a := range c.Inside {
		if a != c.inside(a.Is4()) {
			return fmt.Errorf("inside address %s is a second one of its family", c.Inside[i])
		}
	}
	return nil
}

func (c Config) checkClients() error {
	var last netip.Addr
	for _, r := range c.Clients {
		switch {
		case !r.First.IsValid() || r.First.BitLen() != r.Last.BitLen() || r.Last.Less(r.First):
			return fmt.Errorf("clients %s to %s are no range", r.First, r.Last)
		case last.IsValid() && !last.Less(r.First):
			return fmt.Errorf("clients from %s come after %s: ranges must be in order and not overlap", r.First, last)
		}
		last = r.Last
	}
	return nil
}

// checkInterface refuses what cannot be the name of an interface.
func checkInterface(name string) error {
	if len(name) > 15 || strings.ContainsAny(name, "/ \x00") {
		return fmt.Errorf("%q is no name of an interface", name)
	}
	return nil
}

// inside is the inside address of a family, or none.
func (c Config) inside(four bool) netip.Addr {
	for _, a := range c.Inside {
		if a.Is4() == four {
			return a
		}
	}
	return netip.Addr{}
}

// clone keeps the config from what its maker does with his slices later.
func (c Config) clone() *Config {
	c.Virtual, c.Inside, c.Clients = slices.Clone(c.Virtual), slices.Clone(c.Inside), slices.Clone(c.Clients)
	return &c
}
