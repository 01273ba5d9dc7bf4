package vrrp

import (
	"errors"
	"fmt"
	"time"
)

// arrived takes a packet.
func (l *loop) arrived(p arrival, now time.Time) {
	switch {
	case p.from != l.wire: // of a wire that was closed
		return
	case p.err != nil:
		l.block("nothing can be received on "+l.link.name+": "+p.err.Error(), now)
		l.closeWire()
		return
	}
	l.status.Counters.Received++
	if other(p.packet, l.cfg.VRID) {
		l.discard(DiscardVRID, p.packet)
		return
	}
	a, err := Parse(p.packet)
	if err == nil {
		err = l.cfg.admit(a, p.packet.From, l.link.source)
	}
	l.observe(a, p.packet, err, now)
	var why Discard
	if errors.As(err, &why) {
		l.discard(why, p.packet)
		return
	}
	m, out := l.m.heard(a, p.packet.From, now)
	l.do(m, out, now)
	l.follow(a, p.packet.From)
}

// discard counts a packet that is not heeded. Other virtual routers are nothing to
// speak of.
func (l *loop) discard(why Discard, p Packet) {
	l.status.Counters.Discarded[why]++
	switch why {
	case DiscardVRID:
	case DiscardOwn:
		l.warn("own", fmt.Sprintf("another host sends VRRP packets from %s, which is this node's address", p.From))
	case DiscardHops:
		l.warn("hops", fmt.Sprintf("VRRP packets come with TTL or hop limit %d instead of %d and are not heeded, such as one from %s: is a router between, or is it Keepalived without unicast_ttl %[2]d?", p.Hops, hopLimit, p.From))
	default:
		l.warn("discard "+string(why), fmt.Sprintf("VRRP packets are %v, such as one from %s", why, p.From))
	}
}

// other tells whether a packet is of another virtual router, whatever else is wrong with
// it.
func other(p Packet, own VRID) bool {
	return p.Hops == hopLimit && len(p.Data) >= headerLen && VRID(p.Data[1]) != own
}

// observe looks for routers that use the same id and cannot be meant.
func (l *loop) observe(a Advertisement, p Packet, err error, now time.Time) {
	if p.From == l.link.source {
		return
	}
	what := l.cfg.stranger(a, err)
	if what == "" {
		return
	}
	if l.status.meet(p.From, what, now) {
		l.warn("stranger "+p.From.String(), p.From.String()+" "+what)
	}
}

// reported takes the guard's word.
func (l *loop) reported(r report, now time.Time) {
	switch {
	case r.Died != "":
		l.status.Counters.Guards++
		if l.orphan.IsZero() {
			l.orphan = now
		}
		l.warn("guard", "the guard of the virtual address has ended, another one takes over: "+r.Died)
		return
	case r.Started:
		l.beat = time.Time{} // tell it at once
		return
	}
	l.orphan, l.holding = time.Time{}, r.Held
	if len(r.Found) > 0 {
		l.warn("found", listed(r.Found)+" was on this host although this node is not active: removed")
	}
	if r.Error != "" {
		l.warn("guard reports", "the virtual address: "+r.Error)
	}
	if r.Term == l.term {
		l.answered(r, now)
	}
}

// answered is what the guard has made of the order to hold the addresses.
func (l *loop) answered(r report, now time.Time) {
	switch {
	case r.Held:
		l.backoff = retryAfter
		l.m = l.m.holds(now)
	case r.Error != "" && l.m.role == RoleActive && l.m.leaving == staying:
		l.block(r.Error, now)
	case l.m.held:
		l.m = l.m.lost(now)
	}
}

// handOver hands the addresses over on purpose.
func (l *loop) handOver(y yield, now time.Time) {
	if l.m.role != RoleActive || l.m.leaving != staying {
		y.done <- ErrNotActive
		return
	}
	m, out := l.m.yield(y.why, now)
	l.do(m, out, now)
	l.yield = &y
}

// command tells the guard what to do, when that is news and now and then.
func (l *loop) command(now time.Time) {
	o := order{
		Term: l.term, Hold: l.mayHold(), Places: l.cfg.places(l.link), On: l.link.name,
		From: l.link.source, Silence: silence(l.cfg.Interval),
	}
	news := o.Term != l.told.Term || o.Hold != l.told.Hold || o.Silence != l.told.Silence || !sameVoice(o, l.told)
	if !news && now.Before(l.beat.Add(l.beatEvery())) {
		return
	}
	if o.Hold && l.wire != nil {
		o.Farewell = l.datagrams(0)
	}
	l.told, l.beat = o, now
	l.keeper.order(o)
}

func (l *loop) beatEvery() time.Duration {
	if l.cfg.enabled() && (l.m.role == RoleActive || l.holding) {
		return beat(l.cfg.Interval)
	}
	return guardIdle
}
