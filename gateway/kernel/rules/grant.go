package rules

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
)

// MaxLimit is the largest limit of a grant.
const MaxLimit = 64

// Grant lets connections of one client to one port of the virtual address through: to
// a VM, or to a socket of this host.
type Grant struct {
	Client netip.Addr
	Port   uint16
	// VM is where connections are led. The zero one makes the grant relayed: a socket
	// of this host serves the client, and the table lets him through to it, whatever
	// the interface. Such a grant has no limit here.
	VM netip.AddrPort
	// Limit is how many flows of Client to Port may live at a time, up to MaxLimit; 0
	// is any number. The kernel counts the flows that it saw begin while this limit
	// was in force: not those that were injected, nor those begun under another limit.
	// Whoever injects flows leaves them out of Limit until they have ended.
	Limit int
}

// Relayed tells whether a socket of this host serves the client.
func (g Grant) Relayed() bool { return g.VM == netip.AddrPort{} }

// String is the grant as one reads it.
func (g Grant) String() string {
	if g.Relayed() && g.Limit == 0 {
		return fmt.Sprintf("%s to port %d, relayed", g.Client, g.Port)
	}
	text := fmt.Sprintf("%s to port %d -> %s", g.Client, g.Port, g.VM)
	if g.Limit > 0 {
		text += fmt.Sprintf(", at most %d", g.Limit)
	}
	return text
}

// key is what there is one grant for.
func (g Grant) key() netip.AddrPort { return netip.AddrPortFrom(g.Client, g.Port) }

// compare orders grants by client and port.
func (g Grant) compare(other Grant) int { return g.key().Compare(other.key()) }

// Check tells what is wrong with the grant.
func (g Grant) Check() error {
	switch {
	case !usable(g.Client):
		return fmt.Errorf("grant %s: address %q cannot be used", g, g.Client)
	case g.Port == 0:
		return fmt.Errorf("grant %s: there is no port 0", g)
	case g.Relayed() && g.Limit != 0:
		return fmt.Errorf("grant %s: it is relayed, and so can have no limit", g)
	case g.Relayed():
		return nil
	case !usable(g.VM.Addr()):
		return fmt.Errorf("grant %s: address %q cannot be used", g, g.VM.Addr())
	case g.VM.Port() == 0:
		return fmt.Errorf("grant %s: there is no port 0", g)
	case g.Client.BitLen() != g.VM.Addr().BitLen():
		return fmt.Errorf("grant %s: client and VM must both be IPv4, or both IPv6", g)
	case g.Limit < 0 || g.Limit > MaxLimit:
		return fmt.Errorf("grant %s: the limit must be 0 to %d", g, MaxLimit)
	}
	return nil
}

// usable tells whether an address can be an end of a flow.
func usable(a netip.Addr) bool {
	return a.IsValid() && !a.Is4In6() && a.Zone() == "" && !a.IsUnspecified()
}

// indexed is the grants by their key; the last one of a key counts.
func indexed(grants []Grant) (map[netip.AddrPort]Grant, error) {
	all := make(map[netip.AddrPort]Grant, len(grants))
	for _, g := range grants {
		if err := g.Check(); err != nil {
			return nil, err
		}
		all[g.key()] = g
	}
	return all, nil
}

// sorted is the grants in the order of their keys.
func sorted(all map[netip.AddrPort]Grant) []Grant {
	grants := make([]Grant, 0, len(all))
	for _, g := range all {
		grants = append(grants, g)
	}
	slices.SortFunc(grants, Grant.compare)
	return grants
}

// encode is an address and a port as the kernel keeps them in keys and values: each
// fills whole words.
func encode(a netip.AddrPort) []byte {
	return append(binary.BigEndian.AppendUint16(a.Addr().AsSlice(), a.Port()), 0, 0)
}

// decode undoes encode; what has another length is not ours.
func decode(b []byte) (netip.AddrPort, bool) {
	if len(b) != 8 && len(b) != 20 {
		return netip.AddrPort{}, false
	}
	a, _ := netip.AddrFromSlice(b[:len(b)-4])
	return netip.AddrPortFrom(a, binary.BigEndian.Uint16(b[len(b)-4:])), true
}
