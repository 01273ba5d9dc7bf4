package main

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"vdi-gateway/settingsdb"
)

// ownNode finds out which of the document's nodes this host is: the one whose
// address is local, or wanted when it is valid.
func ownNode(s settingsdb.Settings, wanted netip.Addr, local []netip.Addr) (netip.Addr, error) {
	var own []netip.Addr
	for _, text := range s.InternalAddrs {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return netip.Addr{}, fmt.Errorf("internal_addrs: %w", err)
		}
		a = a.Unmap()
		if a == wanted || !wanted.IsValid() && isLocal(a, local) {
			own = append(own, a)
		}
	}
	list := strings.Join(s.InternalAddrs, ", ")
	switch {
	case len(own) == 1:
		return own[0], nil
	case wanted.IsValid():
		return netip.Addr{}, fmt.Errorf("--node %s is not in internal_addrs (%s): add it there or name another", wanted, list)
	case len(own) == 0:
		return netip.Addr{}, fmt.Errorf("no address of internal_addrs (%s) is on an interface of this host: correct internal_addrs, or bring the interface up", list)
	default:
		return netip.Addr{}, fmt.Errorf("several addresses of internal_addrs (%s) are on this host: say which one this node is with --node ADDR", list)
	}
}

// isLocal tells whether a is an address of this host; Linux takes all of
// 127.0.0.0/8 for one.
func isLocal(a netip.Addr, local []netip.Addr) bool {
	if a.Is4() && a.IsLoopback() {
		return true
	}
	for _, l := range local {
		if l == a {
			return true
		}
	}
	return false
}

// localAddrs lists the addresses of all interfaces, in the order of the
// interfaces, without zones.
func localAddrs() ([]netip.Addr, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list the addresses of this host: %w", err)
	}
	var list []netip.Addr
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			list = append(list, p.Addr().Unmap())
		}
	}
	return list, nil
}

// firstAddr is the address a fresh node takes for its own: the first one that
// other hosts can reach, IPv4 before IPv6; without one 127.0.0.1.
func firstAddr(local []netip.Addr) netip.Addr {
	for _, is := range []func(netip.Addr) bool{netip.Addr.Is4, netip.Addr.Is6} {
		for _, a := range local {
			if is(a) && a.IsGlobalUnicast() {
				return a
			}
		}
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}
