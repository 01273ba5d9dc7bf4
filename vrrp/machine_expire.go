package vrrp

import (
	"fmt"
	"time"
)

// next is when expire wants to be called; zero: never.
func (m machine) next() time.Time {
	var first time.Time
	for _, t := range []time.Time{m.due, m.announce, m.rival} {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// holds is that the guard has the addresses: announce them, by the rounds.
func (m machine) holds(now time.Time) machine {
	if m.role == RoleActive && !m.held {
		m.held = true
		m = m.announceAgain(now)
	}
	return m
}

// announceAgain begins with the first round.
func (m machine) announceAgain(now time.Time) machine {
	if !m.held {
		return m
	}
	if soon := m.told.Add(announceAfter[1]); soon.After(now) { // a flood is not answered by another
		now = soon
	}
	m.began, m.announce, m.round = now, now, 0
	return m
}

// expire does what is due by now.
func (m machine) expire(now time.Time) (machine, output) {
	var out output
	if !m.rival.IsZero() && !now.Before(m.rival) {
		m.rival = time.Time{}
		m = m.announceAgain(now)
	}
	if !m.announce.IsZero() && !now.Before(m.announce) {
		out.announce, m.told = true, now
		m = m.nextRound(now)
	}
	if m.due.IsZero() || now.Before(m.due) {
		return m, out
	}
	m, more := m.overdue(now)
	out.adverts = more.adverts
	return m, out
}

func (m machine) nextRound(now time.Time) machine {
	m.round++
	if m.round < len(announceAfter) {
		m.announce = m.began.Add(announceAfter[m.round])
	} else {
		m.announce = now.Add(refreshEvery)
	}
	return m
}

// overdue is that the timer of the role has run out.
func (m machine) overdue(now time.Time) (machine, output) {
	switch {
	case m.role == RoleBackup: // 6.4.2
		return m.takeOver(m.vacancy(now), now)
	case m.leaving == resigns:
		return m.left(now), output{}
	}
	// 6.4.3, by the beat of the last one: a moment too late does not add up. One that
	// was left by nobody goes on.
	m.leaving = staying
	beat := m.due.Add(m.interval)
	m, out := m.advertise(now)
	if beat.After(now) {
		m.due = beat
	}
	return m, out
}

// vacancy says why a Backup takes over.
func (m machine) vacancy(now time.Time) string {
	switch {
	case !m.heardOf.IsValid():
		return "no other node is active"
	case m.ended:
		return fmt.Sprintf("%s has resigned", m.heardOf)
	case m.preempts(now):
		return fmt.Sprintf("%s is active with a lower priority", m.heardOf)
	}
	return fmt.Sprintf("%s was not heard for %s", m.heardOf, m.down(m.learned).Round(time.Millisecond))
}
