package access

import (
	"net/netip"
	"slices"
)

// Range is the addresses from First to Last, both of one family.
type Range struct{ First, Last netip.Addr }

// Allowed are the addresses that may come in, in order and disjoint: those of IPv4, then
// those of IPv6.
func (l List) Allowed() []Range {
	return append(l.allowed(l.Allow.four, l.Deny.four, everything().four[0]), l.allowed(l.Allow.six, l.Deny.six, everything().six[0])...)
}

// allowed judges the addresses of a family between any two at which the answer may
// change.
func (l List) allowed(allow, deny []span, all span) (ranges []Range) {
	edges := []netip.Addr{all.first}
	for _, o := range slices.Concat(allow, deny) {
		edges = append(edges, o.first)
		if next := o.last.Next(); next.IsValid() {
			edges = append(edges, next)
		}
	}
	slices.SortFunc(edges, netip.Addr.Compare)
	edges = slices.Compact(edges)
	for i, first := range edges {
		last := all.last
		if i+1 < len(edges) {
			last = edges[i+1].Prev()
		}
		n := len(ranges)
		switch {
		case !l.Allows(first):
		case n > 0 && ranges[n-1].Last.Next() == first:
			ranges[n-1].Last = last
		default:
			ranges = append(ranges, Range{first, last})
		}
	}
	return ranges
}
