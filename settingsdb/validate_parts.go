package settingsdb

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"vdi-gateway/settingsdb/access"
)

func checkInterfaces(p *Problems, s Settings) {
	p.interfaceName("interface", s.Interface)
}

// maxInterfaceLen is IFNAMSIZ of Linux without the closing zero byte.
const maxInterfaceLen = 15

func (p *Problems) interfaceName(field, name string) {
	bad := func(r rune) bool { return r == '/' || r == ':' || unicode.IsSpace(r) || !unicode.IsPrint(r) }
	if len(name) > maxInterfaceLen || name == "." || name == ".." || strings.ContainsFunc(name, bad) {
		p.add(field, "must be the name of a network interface (at most %d bytes, no blank, / or :), is %s",
			maxInterfaceLen, quoted(name))
	}
}

func checkNodes(p *Problems, s Settings) {
	internal := map[netip.Addr]bool{}
	for _, text := range s.InternalAddrs {
		internal[parsed(text)] = true
	}
	seen := map[netip.Addr]string{}
	for _, key := range slices.Sorted(maps.Keys(s.Nodes)) {
		node, field := s.Nodes[key], join("nodes", key)
		addr := parsed(key)
		if !addr.IsValid() || !internal[addr] {
			p.add(field, "must be one of internal_addrs, is %s", quoted(key))
		} else if first, twice := seen[addr]; twice {
			p.add(field, "must be unique: %s names the same node", quoted(first))
		}
		seen[addr] = key
		p.interfaceName(field+".interface", node.Interface)
		p.listenAddress(field+".listen_ip", node.ListenIP)
		p.within(field+".priority", node.Priority, 0, 254)
	}
}

func checkListen(p *Problems, s Settings) {
	p.listenAddress("listen_ip", s.ListenIP)
	for i, text := range s.TrustedProxies {
		field := fmt.Sprintf("trusted_proxies[%d]", i)
		if strings.Contains(text, "/") {
			p.prefix(field, text)
			continue
		}
		p.address(field, text)
	}
}

// listenAddress checks an address to listen on, which alone may be a wildcard
// or carry the zone of a link-local address.
func (p *Problems) listenAddress(field, text string) {
	if text == "" {
		return
	}
	ip, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		p.add(field, "must be an IP address or empty, is %s", quoted(text))
	case ip.Unmap().IsMulticast():
		p.add(field, "must not be a multicast address, is %s", ip)
	case ip.Zone() != "" && !ip.IsLinkLocalUnicast():
		p.add(field, "must carry a zone only with a link-local address, is %s", quoted(text))
	}
}

func checkAccess(p *Problems, s Settings) {
	p.oneOf("access.policy", s.Access.Policy, "allow", "deny")
	for field, text := range map[string]string{"access.allow_from": s.Access.AllowFrom, "access.deny_from": s.Access.DenyFrom} {
		if _, err := access.ParseSet(text); err != nil {
			p.add(field, "%v", err)
		}
	}
}

func checkForwarding(p *Problems, s Settings) {
	p.oneOf("forwarding", s.Forwarding, "proxy", "kernel")
	if s.InsideAddr == "" {
		return
	}
	ip, ok := p.address("inside_addr", s.InsideAddr)
	virtual := parsed(s.VirtualAddr)
	switch {
	case !ok:
	case ip.BitLen() != virtual.BitLen():
		p.add("inside_addr", "must be of the family of virtual_addr (%s), is %s", quoted(s.VirtualAddr), ip)
	case slices.ContainsFunc(s.InternalAddrs, func(a string) bool { return parsed(a) == ip }):
		p.add("inside_addr", "is a node's own address: it must be one that can move")
	}
}

func checkConsole(p *Problems, s Settings) {
	p.within("console.ping_s", s.Console.PingS, 0, 3600)
	for i, text := range s.Console.AllowedOrigins {
		if _, err := ParseOrigin(text); err != nil {
			p.add(fmt.Sprintf("console.allowed_origins[%d]", i), "%v", err)
		}
	}
}
