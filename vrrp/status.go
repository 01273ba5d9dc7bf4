package vrrp

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

const (
	// strangersMax bounds how many strange routers are remembered.
	strangersMax = 16
	// strangerTime is how long one is shown that is not heard any more.
	strangerTime = 2 * time.Minute
)

// Status is how a VRRP does.
type Status struct {
	Role  Role
	Since time.Time // of the role
	Why   string    // it has the role
	// Took is how long the last take-over took, from the decision until the addresses
	// were announced; 0: there was none, negative: it is under way.
	Took      time.Duration
	Held      bool       // this host has the addresses
	Interface string     // "" when there is none
	Active    netip.Addr // the Active router as it was heard; invalid: unknown, or this one
	Strangers []Stranger // routers of somebody else that use the same id
	Counters  Counters
}

// Stranger is a router that uses the same router id for something else.
type Stranger struct {
	Addr netip.Addr
	Last time.Time
	What string // in words
}

// Counters count since the start.
type Counters struct {
	Sent, Received, Announced uint64
	SendErrors                uint64
	Became                    map[Role]uint64
	Discarded                 map[Discard]uint64
	Guards                    uint64 // failures of the guard
}

func (s Status) clone() Status {
	s.Strangers = slices.Clone(s.Strangers)
	s.Counters.Became, s.Counters.Discarded = maps.Clone(s.Counters.Became), maps.Clone(s.Counters.Discarded)
	return s
}

// meet remembers a stranger; true: it is news.
func (s *Status) meet(from netip.Addr, what string, now time.Time) bool {
	s.Strangers = slices.DeleteFunc(s.Strangers, func(o Stranger) bool { return now.Sub(o.Last) > strangerTime })
	i := slices.IndexFunc(s.Strangers, func(o Stranger) bool { return o.Addr == from })
	switch {
	case i >= 0:
		news := s.Strangers[i].What != what
		s.Strangers[i].Last, s.Strangers[i].What = now, what
		return news
	case len(s.Strangers) == strangersMax:
		return false
	}
	s.Strangers = append(s.Strangers, Stranger{from, now, what})
	return true
}
