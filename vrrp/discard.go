package vrrp

import "net/netip"

// Packet is one that arrived, with what its IP header said.
type Packet struct {
	From, To netip.Addr // without zones
	Hops     int        // TTL or hop limit
	Data     []byte     // the message
}

// Discard is why a packet was not heeded; each is counted (RFC 9568 section 7.1).
type Discard string

// The reasons.
const (
	DiscardHops      Discard = "hops"      // a router has forwarded it
	DiscardTruncated Discard = "truncated" // shorter than it says
	DiscardVersion   Discard = "version"   // another version than this router speaks
	DiscardType      Discard = "type"      // no advertisement
	DiscardCount     Discard = "count"     // no addresses
	DiscardChecksum  Discard = "checksum"  // damaged
	DiscardInterval  Discard = "interval"  // 0, or with version 2 another than ours
	DiscardAuth      Discard = "auth"      // an authentication that RFC 3768 removed
	DiscardFamily    Discard = "family"    // version 2 over IPv6
	DiscardVRID      Discard = "vrid"      // another virtual router's
	DiscardAddresses Discard = "addresses" // version 2, and other addresses than ours
	DiscardSource    Discard = "source"    // no node of the cluster, in mode unicast
	DiscardOwn       Discard = "own"       // sent by this node, or in its name
)

// Error is the reason.
func (d Discard) Error() string { return "discarded: " + string(d) }
