package gateway

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// policy decides which addresses a tunnel may reach. It is immutable.
type policy struct {
	allow         []Target // each with its ports filled in
	requireTicket bool
	refused       map[netip.Addr]bool
	refusedHosts  map[string]bool
}

// newPolicy compiles t. resolved holds the addresses of those of t.Refused
// that are host names, as far as they are known.
func newPolicy(t Targets, resolved map[string][]netip.Addr) *policy {
	p := &policy{requireTicket: t.RequireTicket, refused: map[netip.Addr]bool{}, refusedHosts: map[string]bool{}}
	for _, a := range t.Allow {
		if a.Ports == nil {
			a.Ports = t.Ports
		}
		p.allow = append(p.allow, a)
	}
	for _, r := range t.Refused {
		if a, err := netip.ParseAddr(r); err == nil {
			p.refused[plain(a)] = true
			continue
		}
		p.refusedHosts[bareHost(r)] = true
		for _, a := range resolved[r] {
			p.refused[plain(a)] = true
		}
	}
	return p
}

// check returns nil when a tunnel to the target may be opened, else a Refusal
// that wraps ErrTargetDenied and names the rule.
func (p *policy) check(target netip.AddrPort) error {
	addr := plain(target.Addr())
	special := p.special(addr)
	inside := false
	for _, t := range p.allow {
		if !t.Prefix.Contains(addr) || special != "" && !t.Prefix.IsSingleIP() {
			continue
		}
		inside = true
		if containsPort(t.Ports, target.Port()) {
			return nil
		}
	}
	switch {
	case inside:
		return denied("vm_port", "port %d is not among the ports allowed for %s", target.Port(), addr)
	case special != "":
		return denied("vm_address", "%s is %s: refused unless targets.allow lists that very address", addr, special)
	default:
		return denied("vm_address", "%s is in no network of targets.allow", addr)
	}
}

// special names why an address is refused even inside an allowed network; ""
// for an ordinary one.
func (p *policy) special(a netip.Addr) string {
	switch {
	case a.IsLoopback():
		return "a loopback address"
	case a.IsLinkLocalUnicast():
		return "a link-local address"
	case a.IsMulticast(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "a multicast address"
	case a.IsUnspecified(), a.Is4() && a.As4()[0] == 0: // RFC 1122 section 3.2.1.3
		return "an unspecified address"
	case p.refused[a]:
		return "an address of the gateway or of a dispatcher"
	default:
		return ""
	}
}

func containsPort(ranges []PortRange, port uint16) bool {
	for _, r := range ranges {
		if r.First <= port && port <= r.Last {
			return true
		}
	}
	return false
}

func denied(field, format string, args ...any) *Refusal {
	return refuseField(ErrTargetDenied, field, fmt.Sprintf(format, args...))
}

// plain gives an address the one form it is compared in: IPv4-mapped becomes
// IPv4, a zone is dropped.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// bareHost is the one form in which host names are compared.
func bareHost(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// hostName is RFC 1123 with an alphabetic start of the last label, so that
// odd spellings of IPv4 addresses (127.1, 0x7f.1) are not taken for names.
var hostName = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?$`)

// target is a VM whose addresses were resolved once and checked; only they
// are ever dialled, so a name that changes its mind later reaches nothing.
type target struct {
	host  string // as asked for, in canonical form
	port  uint16
	addrs []netip.AddrPort // at least one
}

// checkedBy returns nil when a tunnel to every address of t may be opened.
func (t target) checkedBy(p *policy) error {
	for _, a := range t.addrs {
		if err := p.check(a); err != nil {
			return err
		}
	}
	return nil
}

// resolveTarget finds the addresses of host and checks every one of them.
func (g *Gateway) resolveTarget(ctx context.Context, host string, port uint16) (target, error) {
	p := g.policy.Load()
	if port == 0 {
		return target{}, refuseField(ErrInvalid, "vm_port", "vm_port must be 1..65535")
	}
	addrs, err := g.addresses(ctx, p, host)
	if err != nil {
		return target{}, err
	}
	t := target{host: strings.ToLower(host), port: port}
	for _, a := range addrs {
		t.addrs = append(t.addrs, netip.AddrPortFrom(plain(a), port))
	}
	if err := t.checkedBy(p); err != nil {
		return target{}, err
	}
	if literal, err := netip.ParseAddr(host); err == nil {
		t.host = plain(literal).String()
	}
	return t, nil
}

func (g *Gateway) addresses(ctx context.Context, p *policy, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Zone() != "" {
			return nil, refuseField(ErrInvalid, "vm_address", "vm_address must have no zone")
		}
		return []netip.Addr{a}, nil
	}
	if len(host) > 253 || !hostName.MatchString(host) {
		return nil, refuseField(ErrInvalid, "vm_address", "vm_address must be an IP address or a host name")
	}
	if p.refusedHosts[bareHost(host)] {
		return nil, denied("vm_address", "%s is a name of the gateway or of a dispatcher", host)
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	addrs, err := g.deps.Resolve(ctx, host)
	if err != nil || len(addrs) == 0 {
		return nil, refuseField(ErrVMUnreachable, "vm_address", fmt.Sprintf("the name %s cannot be resolved", host))
	}
	return addrs, nil
}
