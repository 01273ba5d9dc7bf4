package access

import (
	"net/netip"
	"slices"
)

// Set is a set of addresses; the zero value is empty.
type Set struct {
	four, six []span // disjoint, in order
}

// span is a range of addresses of one family, both ends included.
type span struct{ first, last netip.Addr }

// everything are both families.
func everything() Set {
	return Set{
		four: []span{spanOf(netip.PrefixFrom(netip.IPv4Unspecified(), 0))},
		six:  []span{spanOf(netip.PrefixFrom(netip.IPv6Unspecified(), 0))},
	}
}

// Contains tells whether an address is in the set.
func (s Set) Contains(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	list := s.six
	if a.Is4() {
		list = s.four
	}
	i, found := slices.BinarySearchFunc(list, a, func(o span, a netip.Addr) int { return o.first.Compare(a) })
	return found || i > 0 && a.Compare(list[i-1].last) <= 0
}

// Empty tells whether nothing was listed.
func (s Set) Empty() bool { return len(s.four)+len(s.six) == 0 }

// joined is the set of all of these spans.
func joined(all []span) Set {
	var s Set
	slices.SortFunc(all, func(a, b span) int { return a.first.Compare(b.first) })
	for _, o := range all {
		list := &s.six
		if o.first.Is4() {
			list = &s.four
		}
		n := len(*list)
		if n > 0 && o.first.Compare((*list)[n-1].last) <= 0 {
			if o.last.Compare((*list)[n-1].last) > 0 {
				(*list)[n-1].last = o.last
			}
			continue
		}
		*list = append(*list, o)
	}
	return s
}

func spanOf(p netip.Prefix) span {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	last, _ := netip.AddrFromSlice(b) // as long as the first
	return span{p.Addr(), last}
}
