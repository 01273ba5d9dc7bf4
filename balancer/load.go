package balancer

import "time"

const (
	// linger is how long a connection counts after its end, less a slot at most:
	// the node has reported the grant that it may have made by then.
	linger = 2 * time.Second
	// lingerSlots divide linger.
	lingerSlots = 4
)

// load is how much a node has to do: the live grants it reports, what this
// balancer has open there, and what has ended so recently that the report cannot
// tell of it yet. So a burst is spread although reports come late.
type load struct {
	report int
	open   int
	ended  [lingerSlots]int // by time of the end, oldest first
	until  int64            // the slot of the last of ended, in slots since 1970
}

func (l load) total() int {
	sum := l.report + l.open
	for _, n := range l.ended {
		sum += n
	}
	return sum
}

// at is l as of now, with what is too old forgotten.
func (l load) at(now time.Time) load {
	slot := now.UnixNano() / int64(linger/lingerSlots)
	steps := min(max(slot-l.until, 0), lingerSlots)
	var ended [lingerSlots]int
	copy(ended[:], l.ended[steps:])
	l.ended, l.until = ended, max(slot, l.until)
	return l
}

// opened is l with one connection more.
func (l load) opened() load {
	l.open++
	return l
}

// missed is l without a connection that never came about.
func (l load) missed() load {
	l.open--
	return l
}

// closed is l after a connection has ended.
func (l load) closed(now time.Time) load {
	l = l.at(now)
	l.open--
	l.ended[lingerSlots-1]++
	return l
}

// reported is l after the node has told its live grants: what they have grown by
// are connections that need not be remembered any more, the oldest first.
func (l load) reported(grants int, now time.Time) load {
	l = l.at(now)
	grown := max(grants-l.report, 0)
	l.report = grants
	for i, n := range l.ended {
		known := min(grown, n)
		l.ended[i], grown = n-known, grown-known
	}
	return l
}
