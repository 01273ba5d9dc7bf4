// Package access decides which addresses may reach the ports that clients use. A list
// is made of what is allowed, what is denied, and a policy for the rest, with the
// meaning that Proxmox's pveproxy gives ALLOW_FROM, DENY_FROM and POLICY:
//
//	allow, err := access.ParseSet("10.0.0.1-10.0.0.5,192.168.0.0/22")
//	deny, err := access.ParseSet("all")
//	list := access.List{Allow: allow, Deny: deny, DenyByDefault: true}
//	list.Allows(netip.MustParseAddr("10.0.0.3")) // true
//
// An address that both match, or neither, is the policy's; else the one that matches
// decides. An IPv4 address written as an IPv6 one counts as IPv4.
//
// Sets are values that never change after they were parsed, so that a decision takes
// no lock: a binary search over disjoint ranges.
package access
