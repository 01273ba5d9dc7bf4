package vrrp

import (
	"errors"
	"net/netip"
	"slices"
	"time"
)

// Heard is what one router said on the interface while somebody listened. Routers with
// another id are left out: they have nothing to do with this one.
type Heard struct {
	From netip.Addr
	Last Advertisement // what can be read of it
	// Discarded is why nobody heeds it; "": it is heeded.
	Discarded Discard
	// Stranger says why it cannot be meant for this virtual router; "": it can.
	Stranger string
	Packets  int
}

// ListenTime is how long to listen at least: in this time a router that is Active has
// sent some advertisements, also when one or two were lost.
func (c Config) ListenTime() time.Duration { return max(time.Second, 3*c.Interval+c.Interval/2) }

// survey sums up packets by who sent them. source is the own address.
func (c Config) survey(packets []Packet, source netip.Addr) []Heard {
	met := map[netip.Addr]Heard{}
	for _, p := range packets {
		if p.From == source || len(p.Data) < headerLen || VRID(p.Data[1]) != c.VRID {
			continue
		}
		a, err := Parse(p)
		a.VRID = c.VRID
		if err == nil {
			err = c.admit(a, p.From, source)
		}
		h := Heard{From: p.From, Last: a, Stranger: c.stranger(a, err), Packets: met[p.From].Packets + 1}
		_ = errors.As(err, &h.Discarded) // Parse and admit return no other
		met[p.From] = h
	}
	list := make([]Heard, 0, len(met))
	for _, h := range met {
		list = append(list, h)
	}
	slices.SortFunc(list, func(a, b Heard) int { return a.From.Compare(b.From) })
	return list
}
