package vrrp

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
)

// lookIn finds the interfaces of the addresses inside among all, by the addresses that
// are present and by where they were before, when that is known.
func (l link) lookIn(c Config, all []net.Interface, present []netlink.Addr, before []port) link {
	for i, p := range c.Inside {
		var was port
		if i < len(before) {
			was = before[i]
		}
		name, byNetwork, why := p.Interface, false, ""
		if name == "" {
			name, byNetwork, why = l.nameFor(p.Prefix.Addr(), was, networkOf(p.Prefix.Addr(), c, all, present))
		}
		at, lacks := find(name, all)
		at.network = byNetwork
		l.inside = append(l.inside, at)
		l.lacks = cmp.Or(l.lacks, lacks, why)
	}
	return l
}

// nameFor chooses the interface of an address: the one that has its network, else the
// one that had it, of which it says then that this is not so any more, else the router's.
func (l link) nameFor(a netip.Addr, was port, has string) (name string, byNetwork bool, why string) {
	switch {
	case has != "":
		return has, true, ""
	case was.network:
		return was.name, true, fmt.Sprintf("interface %s has no network any more that contains %s", was.name, a)
	}
	return l.name, false, ""
}

// presentAddresses are those of this host, where an interface has to be found by them.
func presentAddresses(c Config) ([]netlink.Addr, error) {
	if !slices.ContainsFunc(c.Inside, func(p Placed) bool { return p.Interface == "" }) {
		return nil, nil
	}
	a, err := newAddresses()
	if err != nil {
		return nil, err
	}
	defer a.close()
	return a.present()
}

// networkOf is the interface that has the smallest network which contains an address,
// other than by an address that moves; "": there is none.
func networkOf(a netip.Addr, c Config, all []net.Interface, present []netlink.Addr) string {
	best, index := -1, 0
	for _, have := range present {
		own, _ := netip.AddrFromSlice(have.IP)
		bits, _ := have.Mask.Size()
		better := bits > best || bits == best && have.LinkIndex < index
		if better && netip.PrefixFrom(own.Unmap(), bits).Contains(a) && !c.virtual(own.Unmap()) {
			best, index = bits, have.LinkIndex
		}
	}
	for _, l := range all {
		if l.Index == index {
			return l.Name
		}
	}
	return ""
}

// find looks an interface up by its name, and says why it is of no use.
func find(name string, all []net.Interface) (at port, why string) {
	i := slices.IndexFunc(all, func(l net.Interface) bool { return l.Name == name })
	if i < 0 {
		return port{name: name}, missing(name)
	}
	return portOf(all[i]), useless(all[i])
}
