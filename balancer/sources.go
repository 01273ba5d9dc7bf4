package balancer

import (
	"net/netip"
	"time"
)

const (
	// sourcesMax bounds the networks whose entries this node writes in a tenth of
	// their life, and so what strangers can make every node remember. Clients of
	// further ones are placed by the algorithm.
	sourcesMax = 1 << 15
	// forgetEvery is how often what is too old is looked for.
	forgetEvery = time.Minute
)

// sources remembers when a sticky entry was last written, so that one in
// constant use is written ten times in its life and not with every connection.
type sources struct {
	written map[netip.Prefix]note
	swept   time.Time
}

// note is one entry as it was written.
type note struct {
	node netip.Addr
	at   time.Time
}

// due tells whether an entry has to be written, and takes it as written then.
// known is the node that the entry names now.
func (s *sources) due(source netip.Prefix, node, known netip.Addr, ttl time.Duration, now time.Time) bool {
	if ttl <= 0 {
		return false
	}
	last, noted := s.written[source]
	if noted && last.node == node && known == node && now.Sub(last.at) < ttl/10 {
		return false
	}
	if !noted && len(s.written) >= sourcesMax {
		return false
	}
	s.written[source] = note{node, now}
	return true
}

// forget drops notes that no longer keep anything from being written.
func (s *sources) forget(ttl time.Duration, now time.Time) {
	if now.Sub(s.swept) < forgetEvery {
		return
	}
	s.swept = now
	for source, n := range s.written {
		if now.Sub(n.at) >= ttl/10 {
			delete(s.written, source)
		}
	}
}
