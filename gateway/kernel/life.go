package kernel

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"vdi-gateway/gateway/kernel/conntrack"
	"vdi-gateway/gateway/kernel/rules"
	"vdi-gateway/gateway/relay"
)

// Reasons a flow ends for, beside those of the relay and those that callers of Kill have.
const (
	VMUnreachable relay.Reason = "vm_unreachable"
	Replaced      relay.Reason = "replaced" // its client asked for the grant again
	Revoked       relay.Reason = "revoked"  // its grant was taken away
	Moved         relay.Reason = "moved"    // another node serves it now
)

var (
	// ErrRefused is that the VM answered a client's SYN with a reset.
	ErrRefused = fmt.Errorf("the VM refuses: %w", syscall.ECONNREFUSED)
	// ErrSilent is that the VM did not answer a client's SYN.
	ErrSilent = fmt.Errorf("the VM does not answer: %w", os.ErrDeadlineExceeded)
	// ErrNotGranted is that a flow's grant is not there, or leads elsewhere.
	ErrNotGranted = errors.New("no grant for it")
)

// maxLimit is how many flows a grant can have at a time.
const maxLimit = rules.MaxLimit

// phase is how far a flow has come.
type phase uint8

const (
	calling phase = iota // the client's SYN has passed, the VM has not answered
	joined
	over
)

// life is what decides about a flow: what happened to it so far.
type life struct {
	id     uint32 // of its entry; 0: not known yet
	phase  phase
	born   time.Time
	first  conntrack.Side // who sent the first FIN
	half   time.Time      // since when one side has finished; zero: neither has
	active time.Time      // last payload, as far as polled
	doomed relay.Reason   // it was killed
	silent bool           // it was killed for the VM's silence
}

// verdict is what follows from something that happened.
type verdict struct {
	joined bool // the VM has answered
	over   bool
	reason relay.Reason
	err    error // over: why the VM was not reached
}

// hear is what an event makes of a flow. Events of another entry of the same tuples mean
// nothing, and what is older than what is known changes nothing: states only go forward.
func (l life) hear(e conntrack.Event, now time.Time) (life, verdict) {
	if l.phase == over || l.id != 0 && e.Flow.ID != 0 && l.id != e.Flow.ID {
		return l, verdict{}
	}
	if l.id == 0 {
		l.id = e.Flow.ID
	}
	if e.Flow.First != 0 {
		l.first = e.Flow.First
	}
	if e.Kind == conntrack.Destroy {
		return l.end(e.Flow, true)
	}
	switch s := e.Flow.State; {
	case s == conntrack.Close || s == conntrack.TimeWait:
		return l.end(e.Flow, false)
	case s == conntrack.Established || s.Ending():
		if s.Ending() && l.half.IsZero() {
			l.half = now
		}
		fresh := l.phase == calling
		l.phase = joined
		return l, verdict{joined: fresh}
	}
	return l, verdict{}
}

// end is the end of a flow: its entry is gone, or its connection is.
func (l life) end(f conntrack.Flow, gone bool) (life, verdict) {
	v := verdict{over: true, reason: l.reason(gone)}
	if l.phase == calling && f.State == conntrack.TimeWait {
		v.joined = true // all of it between two looks
	} else if l.phase == calling {
		v.reason, v.err = l.unreached(f, gone)
	}
	l.phase = over
	return l, v
}

// reason is why a flow that was joined has ended. Of a reset conntrack does not tell who
// sent it; it counts as the client's unless the VM had finished before.
func (l life) reason(gone bool) relay.Reason {
	switch {
	case l.doomed != "":
		return l.doomed
	case l.first == conntrack.VMSide:
		return relay.VMClosed
	case l.first == 0 && gone:
		return relay.KeepaliveTimeout
	}
	return relay.ClientClosed
}

// unreached is why a flow ended that was never joined.
func (l life) unreached(f conntrack.Flow, gone bool) (relay.Reason, error) {
	switch {
	case l.silent:
		return VMUnreachable, ErrSilent
	case l.doomed != "":
		return l.doomed, relay.ErrKilled
	case gone && f.Back.Packets == 0:
		return VMUnreachable, ErrSilent
	}
	return VMUnreachable, ErrRefused
}

// due is why a flow is to be killed now, "" when it is not.
func (l life) due(now time.Time, dial, halfClose time.Duration) relay.Reason {
	switch {
	case l.doomed != "" || l.phase == over:
		return ""
	case l.phase == calling && dial > 0 && now.Sub(l.born) >= dial:
		return VMUnreachable
	case !l.half.IsZero() && halfClose > 0 && now.Sub(l.half) >= halfClose && now.Sub(l.active) >= halfClose:
		return l.reason(false)
	}
	return ""
}

// payload estimates the payload of one direction: what IP counted without headers.
// Connections with timestamps have 12 more bytes in each; that they have none shows when
// less than nothing is left.
func payload(c conntrack.Counters, is4, plain, begun bool) int64 {
	each, syn := int64(52), int64(60)
	if plain {
		each, syn = 40, 52
	}
	if !is4 {
		each, syn = each+20, syn+20
	}
	if c.Packets == 0 {
		return 0
	}
	n := int64(c.Bytes) - int64(c.Packets)*each
	if begun {
		n -= syn - each
	}
	return n
}

// class is the limit that rules get, so that the kernel lets through as many more flows
// as the grant has room for. The kernel counts those that began under the same limit;
// counted tells how many of those live. 0: none may begin. Where no limit fits exactly it
// is rather too large: then the loop ends what is too much.
func class(current, room int, counted func(limit int) int) int {
	if current > 0 && current-counted(current) == room {
		return current
	}
	if room <= 0 {
		return 0
	}
	for limit := room; limit <= maxLimit; limit++ {
		if limit-counted(limit) >= room {
			return limit
		}
	}
	return maxLimit
}
