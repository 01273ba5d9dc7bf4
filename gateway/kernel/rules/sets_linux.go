package rules

import (
	"hash/fnv"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
)

// setID is how rules of a transaction find a set made in the same one. The library
// would count ids in a variable that goroutines share without a lock.
func setID(name string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // never fails
	return h.Sum32() | 1
}

func newSet(name string, key nftables.SetDatatype, change func(*nftables.Set)) *nftables.Set {
	s := &nftables.Set{Table: table(), Name: name, ID: setID(name), KeyType: key, KeyByteOrder: binaryutil.BigEndian}
	change(s)
	return s
}

// familySets are the sets and maps of a family.
func familySets(f family) []*nftables.Set {
	return []*nftables.Set{
		newSet(f.allowed(), f.addr, func(s *nftables.Set) { s.Interval = true }),
		grantsMap(f),
		limitsMap(f),
		relayedSet(f),
	}
}

// grantsMap leads from a client and port to a VM.
func grantsMap(f family) *nftables.Set {
	return newSet(f.grants(), f.pair(), func(s *nftables.Set) { s.IsMap, s.DataType = true, f.pair() })
}

// limitsMap leads from a client and port to the chain of its limit.
func limitsMap(f family) *nftables.Set {
	return newSet(f.limits(), f.pair(), func(s *nftables.Set) { s.IsMap, s.DataType = true, nftables.TypeVerdict })
}

// relayedSet has the clients and ports that a socket of this host serves.
func relayedSet(f family) *nftables.Set {
	return newSet(f.relayed(), f.pair(), func(*nftables.Set) {})
}

// set has the clients with flows that are counted; the kernel drops those without.
func (k class) set() *nftables.Set {
	return newSet(k.live(), k.family().pair(), func(s *nftables.Set) { s.Dynamic, s.Size = true, liveSize })
}

// intervals are the ranges of a family as elements of a set: where one begins, and
// where the first address behind it is, if there is one.
func intervals(f family, ranges []Range) []nftables.SetElement {
	var all []nftables.SetElement
	for i, r := range ranges {
		if familyOf(r.First).suffix != f.suffix {
			continue
		}
		if i == 0 || ranges[i-1].Last.Next() != r.First {
			all = append(all, nftables.SetElement{Key: r.First.AsSlice()})
		}
		behind := r.Last.Next()
		if behind.IsValid() && !beginsAt(ranges, i+1, behind) {
			all = append(all, nftables.SetElement{Key: behind.AsSlice(), IntervalEnd: true})
		}
	}
	return all
}

// beginsAt tells whether the range at an index begins with an address.
func beginsAt(ranges []Range, i int, a netip.Addr) bool {
	return i < len(ranges) && ranges[i].First == a
}
