package vrrp

import (
	"fmt"
	"net/netip"
	"time"
)

// prepare is that a term begins: the addresses wait for Prepare, if there is one.
func (l *loop) prepare(now time.Time) {
	l.giveUpPreparing()
	l.follows = netip.Addr{}
	if l.v.deps.Prepare != nil {
		l.preparing = l.hooks.prepare(l.term, now.Add(prepareTime))
	}
}

// prepared is that Prepare has returned.
func (l *loop) prepared(term uint64) {
	if l.preparing != nil && l.preparing.term == term {
		l.preparing = nil
	}
}

// keepWaiting ends the waiting for a Prepare that takes too long, or whose term is over.
func (l *loop) keepWaiting(now time.Time) {
	switch {
	case l.preparing == nil:
	case l.m.role != RoleActive:
		l.giveUpPreparing()
	case l.preparing.waits() && !now.Before(l.preparing.by):
		l.preparing.late = true
		l.warn("prepare", fmt.Sprintf("what has to be ready before the virtual address is here was not within %s: the address is taken all the same", prepareTime))
	}
}

func (l *loop) giveUpPreparing() {
	if l.preparing != nil {
		l.preparing.end()
		l.preparing = nil
	}
}

// mayHold tells whether the guard is to hold the addresses. A router that leaves keeps
// them, but does not begin to hold them: its successor may already be there.
func (l *loop) mayHold() bool {
	if l.m.role != RoleActive {
		return false
	}
	if !l.preparing.waits() && l.m.leaving == staying {
		l.begun = l.term
	}
	return l.begun == l.term
}

// follow tells of another router that has said that it is Active, unless this one is.
func (l *loop) follow(a Advertisement, from netip.Addr) {
	if a.Priority == 0 || l.m.role == RoleActive || l.follows == from {
		return
	}
	l.follows = from
	if l.v.deps.Followed != nil {
		l.hooks.follow(from)
	}
}
