package vrrp

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
)

const (
	// warnEvery is how often a warning of one kind is logged at most.
	warnEvery = 10 * time.Minute
)

// write logs until the journal is closed: one that is stuck must not stop the loop.
func (l *loop) write(written chan<- struct{}) {
	defer close(written)
	for entry := range l.journal {
		entry()
	}
}

// log passes an entry on; none waits for a log that cannot keep up.
func (l *loop) log(entry func()) {
	select {
	case l.journal <- entry:
	default:
	}
}

// warn logs what an operator should see, things of one kind not too often. Kinds are
// few, whatever strangers send.
func (l *loop) warn(kind, what string) {
	if last, known := l.logged[kind]; known && l.now.Sub(last) < warnEvery {
		return
	}
	l.logged[kind] = l.now
	l.log(func() { l.v.deps.Log.Warn(what) })
}

// notice tells of a change of role, and answers who waits for one.
func (l *loop) notice(was machine) {
	l.answerYield()
	if was.role == l.m.role && (l.m.role != RoleFault || kindOf(was.why) == kindOf(l.m.why)) {
		return
	}
	if was.role != l.m.role {
		l.status.Counters.Became[l.m.role]++
	}
	if !l.cfg.enabled() && was.role == RoleFault {
		return // nobody asked for a router
	}
	fields := logrus.Fields{
		"role": string(l.m.role), "was": string(was.role), "interface": l.link.name, "router_id": l.cfg.VRID,
	}
	text := map[Role]string{
		RoleActive: "this node is active now and takes %s: %s", RoleBackup: "this node is backup now for %s: %s",
		RoleFault: "this node does not compete for %s: %s",
	}[l.m.role]
	level := logrus.InfoLevel
	if l.m.role == RoleFault && !l.stopping && !strings.HasPrefix(l.m.why, starting) {
		level = logrus.WarnLevel
	}
	text = fmt.Sprintf(text, listed(l.cfg.advertised()), l.m.why)
	l.log(func() { l.v.deps.Log.WithFields(fields).Log(level, text) })
}

// kindOf is a reason without what may be another thing each time, such as a port.
func kindOf(why string) string {
	kind, _, _ := strings.Cut(why, ":")
	return kind
}

func listed(addrs []netip.Addr) string {
	var texts []string
	for _, a := range addrs {
		texts = append(texts, a.String())
	}
	return strings.Join(texts, ", ")
}

// answerYield tells who asked for a hand-over how it went.
func (l *loop) answerYield() {
	switch {
	case l.yield == nil || l.m.role == RoleActive && l.m.leaving != staying:
		return
	case l.m.role == RoleBackup && l.m.heardOf.IsValid():
		l.yield.done <- nil
	case l.m.role == RoleActive:
		l.yield.done <- ErrNobodyFollows
	default:
		l.yield.done <- errors.New("the hand-over was cut short: " + l.m.why)
	}
	l.yield = nil
}
