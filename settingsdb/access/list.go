package access

import "net/netip"

// List is an access list; the zero value lets everybody in.
type List struct {
	Allow, Deny   Set
	DenyByDefault bool
}

// Allows tells whether an address may come in.
func (l List) Allows(a netip.Addr) bool {
	allowed, denied := l.Allow.Contains(a), l.Deny.Contains(a)
	if allowed == denied {
		return !l.DenyByDefault
	}
	return allowed
}
