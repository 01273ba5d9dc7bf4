package directory

import (
	"net/netip"
	"time"
)

const (
	chunkSize  = 256 << 10              // bytes of records in a message
	roundTime  = time.Second            // between two looks at what a peer knows
	firstRetry = 50 * time.Millisecond  // after a message that failed; doubles
	lastRetry  = time.Second            // and ends here
	waitLater  = 100 * time.Millisecond // after a peer said later
)

// link is what this node knows of what one peer knows. Its sender asks next what
// to do and tells heard or failed what became of it; one message is under way at
// a time.
type link struct {
	peer     netip.Addr
	alive    bool
	since    time.Time // alive became what it is
	status   Status
	instance uint64 // 0: not known yet
	pushed   uint64 // lsn up to which it was pushed what is urgent
	relayed  uint64 // lsn up to which it has everything
	vector   map[originID]uint64
	told     bool // it sent, once at least, everything that was missing here
	relaying bool // since the vector was heard
	admitted bool // may relay more than a message
	pushLast bool // so that rounds come to pass under load

	round  time.Time // when to ask again
	retry  time.Time // nothing before
	delay  time.Duration
	silent bool          // did not answer a Share in time, nor anything since
	trip   time.Duration // of the last message

	wake chan struct{} // capacity 1
}

func newLink(peer netip.Addr) *link {
	return &link{peer: peer, wake: make(chan struct{}, 1)}
}

// rouse makes the sender look for work.
func (l *link) rouse() { poke(l.wake) }

// enliven notes whether the peer is a living member.
func (l *link) enliven(alive bool, now time.Time) {
	if alive != l.alive {
		l.alive, l.since, l.relaying, l.admitted = alive, now, false, false
		l.round, l.retry, l.delay = time.Time{}, time.Time{}, 0
		l.rouse()
	}
}

// parcel is a message under way, and what it achieves.
type parcel struct {
	message
	to uint64 // lsn
}

// next returns what to send now, or nil and for how long there is nothing.
func (l *link) next(s *state, now time.Time) (*parcel, time.Duration) {
	switch {
	case !l.alive:
		return nil, time.Hour // enliven rouses
	case now.Before(l.retry):
		return nil, l.retry.Sub(now)
	case l.instance == 0:
		return l.parcel(s, ask, chunk{}), 0
	}
	due := l.relaying || !now.Before(l.round)
	if s.log.urgent > l.has() && (!due || !l.pushLast) {
		l.pushLast = true
		return l.parcel(s, push, s.log.take(l.has(), chunkSize, (*entry).isUrgent)), 0
	}
	l.pushLast = false
	if p := l.relay(s, now); p != nil {
		return p, 0
	}
	if !now.Before(l.round) {
		return l.parcel(s, ask, chunk{}), 0
	}
	if s.log.urgent > l.has() {
		return l.next(s, now)
	}
	return nil, l.round.Sub(now)
}

// has is the lsn up to which the peer has what is urgent.
func (l *link) has() uint64 { return max(l.pushed, l.relayed) }

func (e *entry) isUrgent() bool { return e.urgent }

// relay returns the next message of a round, or nil when the round is over.
func (l *link) relay(s *state, now time.Time) *parcel {
	if !l.relaying {
		return nil
	}
	c := s.log.take(l.relayed, chunkSize, l.lacks)
	switch {
	case !c.complete && !l.admitted:
		return l.parcel(s, relay, chunk{to: l.relayed}) // asks whether it may
	case c.complete && len(c.entries) == 0 && !l.gains(s.vector()):
		l.finish(c.to, now)
		return nil
	}
	return l.parcel(s, relay, c)
}

// lacks tells whether the peer may be without e.
func (l *link) lacks(e *entry) bool {
	pushed := e.urgent && e.lsn <= l.pushed
	return !pushed && e.via != l.instance && e.seq > l.vector[e.from.originID]
}

// gains tells whether the vector would tell the peer anything.
func (l *link) gains(vector []mark) bool {
	for _, m := range vector {
		if m.instance != l.instance && m.seq > l.vector[m.originID] {
			return true
		}
	}
	return false
}

func (l *link) finish(to uint64, now time.Time) {
	l.relayed = max(l.relayed, to)
	l.relaying, l.admitted = false, false
	l.round = now.Add(roundTime)
}

func (l *link) parcel(s *state, what byte, c chunk) *parcel {
	p := &parcel{to: c.to, message: message{what: what, complete: c.complete, from: s.self.instance, to: l.instance}}
	for _, e := range c.entries {
		p.items = append(p.items, item{e.shelf.kind, e})
	}
	switch {
	case c.complete && what == push:
		p.vector = []mark{s.ownMark()}
	case c.complete && what == relay:
		p.vector = s.vector()
	}
	return p
}

// failed notes that no answer came.
func (l *link) failed(now time.Time) {
	l.delay = min(max(2*l.delay, firstRetry), lastRetry)
	l.retry = now.Add(l.delay)
	l.relaying, l.admitted = false, false
}

// heard notes the answer to p.
func (l *link) heard(p *parcel, a answer, now time.Time) {
	l.silent = false
	if a.instance != l.instance {
		l.meet(a.instance)
	}
	switch {
	case a.outcome == later:
		l.retry, l.round = now.Add(waitLater), now
		l.relaying, l.admitted = false, false
	case a.outcome == tooNew:
		l.retry = now.Add(roundTime)
	case a.outcome != done:
		l.retry = now.Add(firstRetry) // a stranger, known now
	default:
		l.delay = 0
		l.achieved(p, a, now)
	}
}

// meet begins anew with another instance of the peer.
func (l *link) meet(instance uint64) {
	l.instance, l.pushed, l.relayed, l.vector, l.told = instance, 0, 0, nil, false
	l.relaying, l.admitted = false, false
}

// achieved moves on after the peer has taken p.
func (l *link) achieved(p *parcel, a answer, now time.Time) {
	switch p.what {
	case ask:
		l.vector = map[originID]uint64{}
		for _, m := range a.vector {
			l.vector[m.originID] = m.seq
		}
		l.relaying = true
	case push:
		l.pushed = max(l.pushed, p.to)
	case relay:
		if l.admitted, l.relayed = true, max(l.relayed, p.to); p.complete {
			l.finish(p.to, now)
		}
	}
}
