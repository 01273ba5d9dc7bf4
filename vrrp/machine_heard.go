package vrrp

import (
	"fmt"
	"net/netip"
	"time"
)

// heard is another router's advertisement for this virtual router.
func (m machine) heard(a Advertisement, from netip.Addr, now time.Time) (machine, output) {
	switch {
	case m.role == RoleBackup:
		return m.heardByBackup(a, from, now), output{}
	case m.role != RoleActive:
		return m, output{}
	case m.leaving != staying:
		if a.Priority == 0 {
			return m, output{}
		}
		m = m.left(now)
		m.heardOf = from
		return m, output{}
	}
	return m.heardByActive(a, from, now)
}

// heardByBackup is 6.4.2.
func (m machine) heardByBackup(a Advertisement, from netip.Addr, now time.Time) machine {
	m.heardOf, m.ended, m.granted = from, a.Priority == 0, false
	if m.ended {
		m.due = now.Add(m.skew(m.learned))
		return m
	}
	m.lower = m.lowerSince(a, now)
	if m.preempts(now) {
		return m
	}
	m.learned = m.learn(a.Interval)
	m.due = now.Add(m.down(m.learned))
	return m
}

// learn is the interval to reckon with.
func (m machine) learn(heard time.Duration) time.Duration {
	return min(heard, max(10*m.interval, learnedMax))
}

// lowerSince is since when the Active router has had a lower priority than this one.
func (m machine) lowerSince(a Advertisement, now time.Time) time.Time {
	switch {
	case a.Priority >= m.priority:
		return time.Time{}
	case m.lower.IsZero():
		return now
	}
	return m.lower
}

// preempts tells whether it takes over from the Active router. The owner of an address
// always does (section 6.1, Preempt_Mode).
func (m machine) preempts(now time.Time) bool {
	if m.lower.IsZero() || m.yielded {
		return false
	}
	return m.priority == ownerPriority || m.preempt && now.Sub(m.lower) >= m.delay
}

// heardByActive is 6.4.3: one of the two has to go.
func (m machine) heardByActive(a Advertisement, from netip.Addr, now time.Time) (machine, output) {
	switch {
	case a.Priority == 0:
		m.rival = time.Time{}
		return m.announceAgain(now).answer(now)
	case a.Priority > m.priority || a.Priority == m.priority && m.source.Less(from):
		// Its last word: the other has to know that there were two, and announces.
		out := output{adverts: []uint8{m.priority}}
		m.learned = m.learn(a.Interval)
		m = m.become(RoleBackup, m.beatenBy(a, from), now)
		m.heardOf = from
		return m, out
	}
	if m.rival.IsZero() {
		m = m.announceAgain(now)
	}
	m.rival = now.Add(downFactor * m.learn(a.Interval))
	return m.answer(now)
}

func (m machine) beatenBy(a Advertisement, from netip.Addr) string {
	if a.Priority == m.priority {
		return fmt.Sprintf("%s is active too, with the same priority %d and the higher address", from, a.Priority)
	}
	return fmt.Sprintf("%s is active too, with priority %d", from, a.Priority)
}

// answer advertises at once, or as soon as the gap allows.
func (m machine) answer(now time.Time) (machine, output) {
	if gap := m.sent.Add(answerGap); now.Before(gap) {
		if gap.Before(m.due) {
			m.due = gap
		}
		return m, output{}
	}
	return m.advertise(now)
}
