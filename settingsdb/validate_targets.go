package settingsdb

import (
	"fmt"
	"net/netip"
)

func checkTargets(p *Problems, s Settings) {
	for i, target := range s.Targets.Allow {
		field := fmt.Sprintf("targets.allow[%d]", i)
		p.prefix(field+".cidr", target.CIDR)
		if target.Ports != nil && len(target.Ports) == 0 {
			p.add(field+".ports", "must not be empty: leave it out to allow the ports of targets.ports")
		}
		p.ports(field+".ports", target.Ports)
	}
	p.ports("targets.ports", s.Targets.Ports)
}

func (p *Problems) ports(field string, entries []string) {
	for i, entry := range entries {
		if _, err := ParsePorts(entry); err != nil {
			p.add(fmt.Sprintf("%s[%d]", field, i), "%s", err)
		}
	}
}

// prefix checks a network in CIDR form without host bits.
func (p *Problems) prefix(field, text string) {
	network, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		p.add(field, "%s", notPrefix(text))
	case network.Addr().Is4In6():
		p.add(field, "must be written as IPv4, is %s", quoted(text))
	case network != network.Masked():
		p.add(field, "must be a network without host bits: write %s or %s",
			network.Masked(), netip.PrefixFrom(network.Addr(), network.Addr().BitLen()))
	}
}

func notPrefix(text string) string {
	if ip, err := netip.ParseAddr(text); err == nil && ip.Zone() == "" {
		ip = ip.Unmap()
		return "must be a network: write " + netip.PrefixFrom(ip, ip.BitLen()).String()
	}
	return `must be a network such as "10.0.0.0/8", is ` + quoted(text)
}
