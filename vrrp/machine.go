package vrrp

import (
	"fmt"
	"net/netip"
	"time"
)

// Role is what a router is in the election (RFC 9568 section 6.4).
type Role string

// The roles. A router in RoleFault does not take part: RFC 9568 calls it Initialize.
const (
	RoleNone   Role = "none" // there is no virtual router
	RoleFault  Role = "fault"
	RoleBackup Role = "backup"
	RoleActive Role = "active"
)

const (
	// ownerPriority is that of a router whose own address the virtual one is.
	ownerPriority = 255
	// downFactor is how many advertisements have to be missing.
	downFactor = 3
	// answerGap is the least time between an advertisement and one that only answers
	// somebody else's: a flood of them is not answered by another.
	answerGap = 5 * time.Millisecond
	// leaveSlack is how much longer than an interval a successor may need to be heard
	// before the address is given up, and leaveMax the most.
	leaveSlack = 50 * time.Millisecond
	leaveMax   = time.Second
	yieldMax   = 2500 * time.Millisecond // when it goes on afterwards
	// learnedMax bounds the interval that is learned from others, where ten times the
	// own one is not more: one packet shall not silence all for minutes.
	learnedMax = 10 * time.Second
	// refreshEvery is how often an Active router announces its addresses that nobody
	// contests, for switches and neighbours that forget.
	refreshEvery = time.Minute
)

// announceAfter are the times of announcements since the addresses came, or since
// somebody else gave them up: one may get lost, and the other may have answered for
// them a moment longer.
var announceAfter = [...]time.Duration{0, 20 * time.Millisecond, 200 * time.Millisecond, time.Second}

// election is how one router takes part.
type election struct {
	version  uint8
	priority uint8
	interval time.Duration // between advertisements
	preempt  bool
	delay    time.Duration // before preempting
	source   netip.Addr    // the primary address: it decides a tie
}

// skew lets the router with the highest priority be the first (RFC 9568 section 6.1,
// RFC 3768 section 6.1).
func (e election) skew(interval time.Duration) time.Duration {
	if e.version == 2 {
		interval = time.Second
	}
	return time.Duration(256-int(e.priority)) * interval / 256
}

// down is the Active_Down_Interval at an interval of the Active router.
func (e election) down(interval time.Duration) time.Duration {
	return downFactor*interval + e.skew(interval)
}

// leaving is what an Active router that has resigned does when nobody follows.
type leaving int

const (
	staying   leaving = iota
	handsOver         // it goes on
	resigns           // it gives up all the same
)

// machine is the state of one router. Every method is a transition: a new state and
// what is to be done, from the state, an input and the time. The Active router is to
// have the addresses, no other.
type machine struct {
	election
	role  Role
	since time.Time
	why   string

	// due is the Adver_Timer of the Active router, the Active_Down_Timer of a Backup,
	// and of one that leaves the end of its patience.
	due     time.Time
	learned time.Duration // the interval of the Active router
	sent    time.Time     // the last advertisement
	leaving leaving
	gone    string // why it leaves

	heardOf netip.Addr // the Active router
	ended   bool       // that one has resigned
	granted bool       // it was given time, since this process had been stopped
	lower   time.Time  // since when that one has a lower priority; zero: it has not
	yielded bool       // does not preempt, for it has handed over on purpose

	held     bool      // the guard has the addresses
	announce time.Time // the next announcement; zero: none
	round    int       // of announceAfter
	began    time.Time // of the rounds
	told     time.Time // the last announcement
	rival    time.Time // until when somebody else claims to be Active; zero: nobody
}

// output is what a transition asks for.
type output struct {
	adverts  []uint8 // priorities of advertisements to send
	announce bool
}

// newMachine is a router that does not take part yet.
func newMachine(e election, why string, now time.Time) machine {
	return machine{election: e, role: RoleFault, since: now, why: why, learned: e.interval}
}

// become changes the role.
func (m machine) become(r Role, why string, now time.Time) machine {
	if m.role == RoleActive && r != RoleActive {
		m.held, m.announce, m.rival = false, time.Time{}, time.Time{}
	}
	m.role, m.since, m.why, m.leaving, m.lower, m.granted = r, now, why, staying, time.Time{}, false
	switch r {
	case RoleBackup:
		m.due = now.Add(m.down(m.learned))
	case RoleActive:
		m.yielded, m.ended, m.heardOf = false, false, netip.Addr{}
	default:
		m.due = time.Time{}
	}
	return m
}

// start takes part: 6.4.1. An address's owner is Active at once.
func (m machine) start(why string, now time.Time) (machine, output) {
	if m.role != RoleFault {
		return m, output{}
	}
	m.learned = m.interval
	if m.priority == ownerPriority {
		return m.takeOver("this node owns the address", now)
	}
	return m.become(RoleBackup, why, now), output{}
}

// takeOver makes it Active; what it announces waits for the guard.
func (m machine) takeOver(why string, now time.Time) (machine, output) {
	return m.become(RoleActive, why, now).advertise(now)
}

// advertise sends an advertisement; the next one is due an interval later.
func (m machine) advertise(now time.Time) (machine, output) {
	m.sent, m.due = now, now.Add(m.interval)
	return m, output{adverts: []uint8{m.priority}}
}

// stop ends taking part. An Active router resigns, and keeps the addresses until its
// successor is heard or its patience ends: then they are never without an owner.
func (m machine) stop(why string, now time.Time) (machine, output) {
	if m.role != RoleActive {
		return m.become(RoleFault, why, now), output{}
	}
	return m.leave(resigns, why, now)
}

// yield hands over on purpose, or stays Active when nobody follows. It does not
// preempt its successor.
func (m machine) yield(why string, now time.Time) (machine, output) {
	if m.role != RoleActive || m.leaving != staying {
		return m, output{}
	}
	return m.leave(handsOver, why, now)
}

func (m machine) leave(how leaving, why string, now time.Time) (machine, output) {
	if m.leaving != staying {
		m.leaving, m.gone = max(m.leaving, how), why
		return m, output{}
	}
	m.leaving, m.gone = how, why
	m.due = now.Add(min(m.interval+leaveSlack, leaveMax))
	if how == handsOver {
		m.due = now.Add(min(m.interval+leaveSlack, yieldMax))
	}
	return m, output{adverts: []uint8{0}}
}

// left ends the leaving of one that was followed by somebody, or gave up waiting.
func (m machine) left(now time.Time) machine {
	if m.leaving == resigns {
		return m.become(RoleFault, m.gone, now)
	}
	m = m.become(RoleBackup, m.gone, now)
	m.yielded = true
	return m
}

// vanish ends taking part at once, without a word: there is no way to say one, or the
// addresses cannot be had.
func (m machine) vanish(why string, now time.Time) machine {
	return m.become(RoleFault, why, now)
}

// lost is that the guard has given the addresses up, for this process was silent.
func (m machine) lost(now time.Time) machine {
	if m.role != RoleActive {
		return m
	}
	return m.become(RoleBackup, "the guard had given the address up", now)
}

// paused is that this process did not run for a while, so that others may have taken
// over unheard. It steps down before it says anything, and resigns when they cannot
// have noticed yet. A Backup whose time has come waits as long again, once, for what may
// not have been read.
func (m machine) paused(gap time.Duration, now time.Time) (machine, output) {
	switch {
	case m.role == RoleBackup && !m.granted && !now.Before(m.due):
		m.granted, m.due = true, now.Add(min(gap, m.learned+m.skew(m.learned)))
	case m.role != RoleActive:
	case m.leaving != staying:
		return m.left(now), output{}
	default:
		var out output
		if max(gap, now.Sub(m.sent)) < downFactor*m.interval {
			out.adverts = []uint8{0}
		}
		return m.become(RoleBackup, fmt.Sprintf("it was stopped for %s", gap.Round(time.Millisecond)), now), out
	}
	return m, output{}
}

// reconfigured takes part in another way from now on.
func (m machine) reconfigured(e election, now time.Time) (machine, output) {
	m.election = e
	if m.role != RoleBackup {
		m.learned = e.interval // a Backup learns it from the Active router
	}
	switch {
	case m.role == RoleBackup:
		m.due = now.Add(m.down(m.learned))
	case m.role == RoleActive && m.leaving == staying:
		return m.advertise(now)
	}
	return m, output{}
}
