package directory

import (
	"net/netip"
	"time"
)

// Stats are counts since the start, and how things are.
type Stats struct {
	Records  map[string]int // by kind, without deletions
	Bytes    int            // of all keys and values
	Peers    []PeerStats    // in no order
	Stored   uint64         // records of other nodes that were stored
	Stale    uint64         // that were here already, or older than what is here
	Ahead    uint64         // not stored: written more than a minute in the future
	Dropped  uint64         // not stored: beyond the limits
	TooNew   uint64         // own messages that peers did not store for Ahead
	Messages uint64         // refused: no message, or not from a peer
	Packets  uint64         // of membership, refused: not from a peer, another key, or garbage
}

// PeerStats is how far a peer has come.
type PeerStats struct {
	Node      netip.Addr
	Alive     bool
	Waited    bool          // Share waits for it
	Behind    int           // records of this node that it has not acknowledged
	Lag       time.Duration // since when
	RoundTrip time.Duration // of the last message it acknowledged
}

// traffic is what is counted of messages; Directory.mu guards it.
type traffic struct {
	stored, stale, ahead, dropped, refusedByPeers, refused uint64
}

// note counts what came in.
func (t *traffic) note(v verdict) {
	switch v {
	case stored:
		t.stored++
	case stale:
		t.stale++
	case ahead:
		t.ahead++
	case full:
		t.dropped++
	}
}

// Stats returns what was counted.
func (d *Directory) Stats() Stats {
	d.mu.RLock()
	defer d.mu.RUnlock()
	now, t := d.now(), d.traffic
	s := Stats{
		Records: map[string]int{}, Bytes: d.state.bytes,
		Stored: t.stored, Stale: t.stale, Ahead: t.ahead, Dropped: t.dropped, TooNew: t.refusedByPeers,
		Messages: t.refused, Packets: d.gossip.Refused(),
	}
	for kind, sh := range d.state.shelves {
		s.Records[kind] = sh.live
	}
	for _, l := range d.links {
		s.Peers = append(s.Peers, l.stats(d.state, now))
	}
	return s
}

func (l *link) stats(s *state, now time.Time) PeerStats {
	p := PeerStats{Node: l.peer, Alive: l.alive, Waited: l.alive && !l.silent, RoundTrip: l.trip}
	for _, e := range s.log.after(l.has()) {
		if !e.urgent || e.superseded {
			continue
		}
		if p.Behind++; p.Behind == 1 {
			p.Lag = max(0, now.Sub(time.Unix(0, e.stamp)))
		}
	}
	return p
}
