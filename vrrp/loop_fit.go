package vrrp

import (
	"net/netip"
	"slices"
	"time"
)

// orphanTime is how long an Active router goes on without a guard: the kernel keeps an
// address twice as long.
const orphanTime = addressLife / 2

// backoffMax is the longest time that it does not compete after failures.
const backoffMax = time.Minute

// adopt takes what Apply and SetReady said.
func (l *loop) adopt(now time.Time) {
	l.v.mu.Lock()
	next := l.v.cfg
	l.v.mu.Unlock()
	was := l.cfg
	l.inside = next.Inside
	if was.sameRouter(next) {
		if l.cfg = next; !slices.Equal(was.Inside, next.Inside) {
			l.cfg.Inside = was.Inside
			l.look()
		}
		if next.enabled() && l.link.source.IsValid() && was.election(l.link.source) != next.election(l.link.source) {
			m, out := l.m.reconfigured(next.election(l.link.source), now)
			l.do(m, out, now)
		}
		return
	}
	if l.m.role == RoleActive {
		l.send(0, now)
	}
	l.m = l.m.vanish("the settings changed", now)
	l.closeWire()
	l.cfg, l.blocked, l.until, l.backoff = next, "", time.Time{}, retryAfter
	l.status.Strangers, l.link, l.follows = nil, link{why: starting}, netip.Addr{}
	if !l.orphan.IsZero() {
		l.orphan = now // nobody asked for a guard until now
	}
	l.look()
}

// look looks at the interface from another goroutine: the kernel may take its time. What
// was seen comes back by looked.
func (l *loop) look() {
	if !l.cfg.enabled() || l.looking {
		return
	}
	l.looking = true
	cfg, before := l.cfg, l.link
	cfg.Inside = l.inside
	l.workers.Go(func() { l.looked <- view{cfg, l.v.sys.look(cfg, before)} })
}

// seen takes what a look has seen. Another interface, or another source, takes other
// sockets.
func (l *loop) seen(v view, now time.Time) {
	l.looking = false
	switch {
	case !v.cfg.sameRouter(l.cfg) || !slices.Equal(v.cfg.Inside, l.inside): // meanwhile it is another one
		l.look()
	case v.link.failed != "":
		l.warn("look", v.link.failed)
	case !v.link.same(l.link) || !slices.Equal(l.cfg.Inside, l.inside):
		l.cfg.Inside = l.inside
		l.moved(v.link, now)
	}
}

// moved is that an interface is another one, or not what it was.
func (l *loop) moved(next link, now time.Time) {
	why := next.unfit()
	if why != "" && l.m.role == RoleActive {
		l.send(0, now) // the link may be there, without an address
	}
	l.link = next
	l.closeWire()
	l.blocked, l.until = "", time.Time{}
	if why != "" && l.m.role != RoleFault {
		l.m = l.m.vanish(why, now)
	}
	if why == "" && l.m.role != RoleFault {
		m, out := l.m.reconfigured(l.cfg.election(next.source), now)
		l.do(m.announceAgain(now), out, now)
	}
}

// compete has the router take part when it may, and stop when it may not.
func (l *loop) compete(now time.Time) {
	l.openWire(now)
	why := l.obstacle(now)
	switch {
	case why == "" && l.m.role == RoleFault:
		l.m = newMachine(l.cfg.election(l.link.source), "", now)
		m, out := l.m.start("this node can serve", now)
		l.do(m, out, now)
	case why == "":
	case l.m.role == RoleFault:
		if !l.stopping { // it says why it stopped
			l.m.why = why
		}
	case l.wire == nil:
		l.m = l.m.vanish(why, now)
	case l.m.leaving != resigns:
		m, out := l.m.stop(why, now)
		l.do(m, out, now)
	}
}

// obstacle is why it may not take part; "": it may.
func (l *loop) obstacle(now time.Time) string {
	l.v.mu.Lock()
	ready, unfit, said := l.v.ready, l.v.unfit, l.v.said
	l.v.mu.Unlock()
	switch {
	case l.stopping:
		return "this node stops"
	case !l.cfg.enabled():
		return "there is no virtual address"
	case l.link.unfit() != "":
		return l.link.unfit()
	case l.blocked != "":
		return l.blocked
	case !l.orphan.IsZero() && now.Sub(l.orphan) > orphanTime:
		return "the guard of the address does not run"
	case !ready:
		return unfit
	case now.Sub(said) > staleAfter:
		return "the parts of this node do not answer"
	}
	return ""
}

// expiry is when the word of SetReady ends to hold; zero: it does not matter.
func (l *loop) expiry() time.Time {
	l.v.mu.Lock()
	defer l.v.mu.Unlock()
	if !l.v.ready || l.m.role == RoleFault || l.m.leaving != staying {
		return time.Time{}
	}
	return l.v.said.Add(staleAfter + time.Millisecond)
}

// block keeps it from competing for a while, each time for longer: who takes the
// address and cannot hold it does harm.
func (l *loop) block(why string, now time.Time) {
	l.blocked, l.until = why, now.Add(l.backoff)
	l.backoff = min(2*l.backoff, backoffMax)
}

// openWire opens the sockets when it is time to.
func (l *loop) openWire(now time.Time) {
	if l.blocked != "" && !now.Before(l.until) {
		l.blocked, l.until = "", time.Time{}
	}
	if l.wire != nil || !l.cfg.enabled() || l.link.why != "" || l.link.index == 0 || l.blocked != "" || l.stopping {
		return
	}
	w, err := l.v.sys.open(l.cfg, l.link)
	if err != nil {
		l.block(err.Error(), now)
		return
	}
	l.wire, l.failed = w, 0
	l.workers.Go(func() { l.receive(w) })
}

// receive passes packets on until the wire ends.
func (l *loop) receive(w wire) {
	for {
		p, err := w.receive()
		select {
		case l.packets <- arrival{w, p, err}:
		case <-l.done:
			return
		}
		if err != nil {
			return
		}
	}
}

func (l *loop) closeWire() {
	if l.wire != nil {
		l.wire.close()
		l.wire = nil
	}
}
