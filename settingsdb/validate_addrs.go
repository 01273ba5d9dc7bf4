package settingsdb

import (
	"fmt"
	"net/netip"
	"strings"
)

const maxNodes = 16

func checkInternal(p *Problems, s Settings) {
	if n := len(s.InternalAddrs); n < 1 || n > maxNodes {
		p.add("internal_addrs", "must hold 1 to %d addresses, holds %d", maxNodes, n)
	}
	virtual := parsed(s.VirtualAddr)
	seen := map[netip.Addr]int{}
	loopback, others := 0, 0
	for i, text := range s.InternalAddrs {
		field := fmt.Sprintf("internal_addrs[%d]", i)
		ip, ok := p.address(field, text)
		if !ok {
			continue
		}
		if first, twice := seen[ip]; twice {
			p.add(field, "must be unique: %s is internal_addrs[%d] already", ip, first)
			continue
		}
		seen[ip] = i
		if ip == virtual {
			p.add(field, "must differ from virtual_addr")
		}
		if ip.IsLoopback() {
			loopback++
		} else {
			others++
		}
	}
	if loopback > 0 && others > 0 {
		p.add("internal_addrs", "must be loopback addresses all or none, %d of them are", loopback)
	}
}

func checkDispatchers(p *Problems, s Settings) {
	seen := map[string]int{}
	for i, text := range s.DispAddrs {
		field := fmt.Sprintf("disp_addrs[%d]", i)
		name, ok := p.host(field, text)
		if !ok {
			continue
		}
		if first, twice := seen[name]; twice {
			p.add(field, "must be unique: it is disp_addrs[%d] already", first)
		}
		seen[name] = i
	}
}

func checkOutside(p *Problems, s Settings) {
	if s.PublicAddr != "" {
		p.host("public_addr", s.PublicAddr)
	}
	if s.VirtualAddr != "" {
		p.address("virtual_addr", s.VirtualAddr)
	}
	p.within("virtual_prefix_len", s.VirtualPrefixLen, 0, fullPrefixLen(s.VirtualAddr))
}

// address checks that text is an address somebody can have and returns it, an
// IPv4-mapped one as IPv4.
func (p *Problems) address(field, text string) (netip.Addr, bool) {
	ip, err := netip.ParseAddr(text)
	if err != nil {
		p.add(field, "must be an IP address, is %s", quoted(text))
		return ip, false
	}
	if wrong := unusable(ip); wrong != "" {
		p.add(field, "must be the IP address of a machine, %s is %s", ip, wrong)
		return ip, false
	}
	return ip.Unmap(), true
}

// unusable says why no machine has this address, "" if one can.
func unusable(ip netip.Addr) string {
	switch ip = ip.Unmap(); {
	case ip.Zone() != "":
		return "bound to the zone of one machine"
	case ip.IsUnspecified():
		return "the unspecified address"
	case ip.IsMulticast():
		return "a multicast address"
	case ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "the broadcast address"
	}
	return ""
}

// host checks an IP address or host name and returns it in the form in which
// equal ones are equal.
func (p *Problems) host(field, text string) (string, bool) {
	if _, err := netip.ParseAddr(text); err == nil {
		ip, ok := p.address(field, text)
		return ip.String(), ok
	}
	if !isHostName(text) {
		p.add(field, "must be an IP address or a host name, is %s", quoted(text))
		return "", false
	}
	return strings.ToLower(text), true
}

// isHostName reports whether text is a host name by RFC 1123, section 2.1. One
// whose last label is a number is a mistyped address.
func isHostName(text string) bool {
	if text == "" || len(text) > 253 {
		return false
	}
	labels := strings.Split(text, ".")
	for _, label := range labels {
		if !isLabel(label) {
			return false
		}
	}
	return strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

func isLabel(label string) bool {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	return !strings.ContainsFunc(label, func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// parsed returns the address in text, the zero Addr if there is none.
func parsed(text string) netip.Addr {
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return ip.Unmap()
}
