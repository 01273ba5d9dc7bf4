package balancer

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"
)

const (
	// triesMax is how many nodes a client's connection may try. More would leave
	// each too small a share of the time.
	triesMax = 4
	// crowdMin and crowdSlack say when a network is an office: its node holds at
	// least crowdMin of its grants, and crowdSlack more than an equal share.
	crowdMin   = 8
	crowdSlack = 2
	// ramp is how long a node that came up is spared, in steps of a tenth.
	ramp = 10 * time.Second
)

// situation is what a placement depends on, besides the client and the time.
type situation struct {
	algorithm  Algorithm
	turn       int // placements made by the algorithm so far
	candidates []candidate
	sticky     netip.Addr         // the node the client's network is with; invalid: none
	held       map[netip.Addr]int // live grants of the client by node
}

// candidate is a node that may be chosen.
type candidate struct {
	node    netip.Addr
	alive   bool // by the membership
	well    bool // by checks and by its own word
	drain   bool
	suspect bool // it was not reached a moment ago
	load    int
	since   time.Time // well since
}

// placement is what was decided.
type placement struct {
	order  []netip.Addr // to be tried in turn; empty: there is nobody
	stick  bool         // the first one reached becomes the network's node
	turned bool         // the algorithm chose the first one
}

// place decides where a client goes.
func place(s situation, client netip.Addr, now time.Time) placement {
	among := usable(s.candidates)
	if len(among) == 0 {
		return placement{}
	}
	stick := among[0].well && !among[0].drain
	i := slices.IndexFunc(among, func(c candidate) bool { return c.node == s.sticky && !c.suspect })
	switch {
	case i < 0:
		return placement{order: order(s, among, client, now), stick: stick, turned: true}
	case crowded(s, len(among)):
		s.algorithm = LeastConn
		return placement{order: order(s, among, client, now), turned: true}
	}
	first := among[i].node
	rest := order(s, slices.Delete(among, i, i+1), client, now)
	return placement{order: cut(append([]netip.Addr{first}, rest...)), stick: stick}
}

// usable are the best candidates there are: those that are well and do not
// drain; else those that drain, which can tell the client so; else those that
// are alive at least, since checks may be wrong, too.
func usable(all []candidate) []candidate {
	for _, good := range []func(candidate) bool{
		func(c candidate) bool { return c.well && !c.drain },
		func(c candidate) bool { return c.well },
		func(c candidate) bool { return c.alive },
	} {
		among := slices.DeleteFunc(slices.Clone(all), func(c candidate) bool { return !good(c) })
		if len(among) > 0 {
			return among
		}
	}
	return nil
}

// crowded tells whether the sticky node holds more than its share of the
// client's grants: an office behind one address must not fill one node.
func crowded(s situation, nodes int) bool {
	mine, total := s.held[s.sticky], 0
	for _, n := range s.held {
		total += n
	}
	share := (total + nodes - 1) / nodes
	return nodes > 1 && mine >= crowdMin && mine > share+crowdSlack
}

// order sorts candidates by the algorithm, suspected ones last. Equal ones take
// turns.
func order(s situation, among []candidate, client netip.Addr, now time.Time) []netip.Addr {
	n := len(among)
	all := make([]ranked, n)
	for i, c := range among {
		all[i] = ranked{candidate: c, behind: (i + n - s.turn%n) % n}
		switch s.algorithm {
		case LeastConn:
			all[i].cost = float64(c.load+1) / weight(c.since, now)
		case Rendezvous:
			all[i].hash = score(client, c.node)
		}
	}
	slices.SortFunc(all, ranked.compare)
	nodes := make([]netip.Addr, n)
	for i, r := range all {
		nodes[i] = r.node
	}
	return cut(nodes)
}

// ranked is a candidate with what it is compared by.
type ranked struct {
	candidate
	cost   float64 // load, as if a node being spared had more; less is better
	hash   uint64  // more is better
	behind int     // places behind the one whose turn it is
}

func (r ranked) compare(o ranked) int {
	switch {
	case r.suspect && !o.suspect:
		return 1
	case o.suspect && !r.suspect:
		return -1
	}
	return cmp.Or(cmp.Compare(r.cost, o.cost), cmp.Compare(o.hash, r.hash), cmp.Compare(r.behind, o.behind))
}

// weight is the part of its share that a node gets: a tenth when it came up, all
// of it after ramp. A node that is empty because it was away would get every
// client otherwise.
func weight(since, now time.Time) float64 {
	tenths := now.Sub(since) / (ramp / 10)
	return float64(min(max(tenths, 1), 10)) / 10
}

// score is high on one node for a client, on another for the next. It is the
// same in every process.
func score(client, node netip.Addr) uint64 {
	c, n := client.As16(), node.As16()
	return xxhash.Sum64(append(c[:], n[:]...))
}

// cut leaves as many nodes as one connection may try.
func cut(nodes []netip.Addr) []netip.Addr { return nodes[:min(len(nodes), triesMax)] }
