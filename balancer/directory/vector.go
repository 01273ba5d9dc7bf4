package directory

import "time"

// A vector tells of each origin up to which sequence number its records are held
// here, each or something newer of its key. It only grows by what proves that: a
// peer's vector, once everything in that peer's log was sent or was here already.

// vector is what is known here. Origins without a record are left out: nothing
// of theirs would be sent.
func (s *state) vector() []mark {
	marks := []mark{s.ownMark()}
	for id, o := range s.origins {
		if o != s.self && o.known > 0 && len(marks) < maxOrigins {
			marks = append(marks, mark{id, o.known})
		}
	}
	return marks
}

func (s *state) ownMark() mark { return mark{s.self.originID, s.known()} }

// merge takes over a peer's vector.
func (s *state) merge(vector []mark) {
	for _, m := range vector {
		if o := s.origins[m.originID]; o != nil && o != s.self {
			o.known = max(o.known, m.seq)
		}
	}
}

// bulkTime is how long a peer that began to relay may pause.
const bulkTime = 500 * time.Millisecond

// bulk lets one peer at a time relay more than a message, so that a node that
// comes back is not told the same by all.
type bulk struct {
	peer  uint64 // instance
	until time.Time
}

// admit tells whether the peer may send; complete: this is its last message.
func (b *bulk) admit(peer uint64, complete bool, now time.Time) bool {
	mine := b.peer == peer
	if complete {
		if mine {
			*b = bulk{}
		}
		return true
	}
	if !mine && now.Before(b.until) {
		return false
	}
	*b = bulk{peer: peer, until: now.Add(bulkTime)}
	return true
}
