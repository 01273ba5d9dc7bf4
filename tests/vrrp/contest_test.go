package vrrp

import (
	"net/netip"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
)

// neighbourTime is after how long a kernel asks again for a neighbour's link address: the
// first question gets lost when the link has only just come back. Multicast needs none.
const neighbourTime = time.Second

// contender is one of two that compete.
type contender struct {
	host     *lab.Host
	priority int
	primary  netip.Addr
	launch   func()
	competes func()
	die      func() // the process, or all of them, ends at once
}

// contest is a combination that runs.
type contest struct {
	*rig
	combination
	ours, theirs *contender
}

func newContest(t testing.TB, c combination) *contest {
	t.Helper()
	r := newRig(t, c.virtual)
	m := r.add(c.settings(), c.addrs()...)
	_, inside := c.inside()
	k := r.newKeepalived(c.peer().text(), inside+prefixLen(inside))
	r.watch()
	return &contest{
		rig: r, combination: c,
		ours: &contender{
			host: m.host, priority: c.priority, primary: c.primary(r, m.host), launch: m.launch, competes: m.competes,
			die: func() { m.node.Kill() },
		},
		theirs: &contender{
			host: k.host, priority: keepalivedPriority, primary: c.primary(r, k.host), launch: k.launch, competes: k.competes,
			die: k.die,
		},
	}
}

// addrs are those of our host.
func (c combination) addrs() []string {
	ours, _ := c.inside()
	return []string{ours + prefixLen(ours)}
}

func prefixLen(addr string) string {
	if netip.MustParseAddr(addr).Is6() {
		return "/64"
	}
	return "/24"
}

// run has the two meet, lose each other and die, and wants the owner that RFC 9568
// section 6.4 gives.
func (c *contest) run() {
	first, second := c.theirs, c.ours
	if c.first {
		first, second = second, first
	}
	c.begins(first)
	owner := c.joins(first, second)
	owner = c.cut(owner)
	owner = c.dies(owner)
	c.divided(owner)
}

// begins starts the first contender.
func (c *contest) begins(first *contender) {
	c.t.Helper()
	start := time.Now()
	first.launch()
	first.competes()
	c.only(first.host, start, patience)
}

func (c *contest) other(one *contender) *contender {
	if one == c.ours {
		return c.theirs
	}
	return c.ours
}

// limit is how long one may take to find out that the other is gone.
func (c *contest) limit(one *contender) time.Duration {
	return c.down(one.priority) + slack + keepalivedSlack
}

// joins starts a contender beside the owner and returns who is owner then.
func (c *contest) joins(owner, joiner *contender) *contender {
	c.t.Helper()
	joiner.launch()
	joiner.competes()
	return c.meet(owner, joiner, time.Now(), 0)
}

// meet wants the owner to stay, or the other one to take over, which comes as a backup.
// What they say may be late.
func (c *contest) meet(owner, joiner *contender, since time.Time, late time.Duration) *contender {
	c.t.Helper()
	if c.preempt && joiner.priority > owner.priority {
		c.only(joiner.host, since, c.limit(joiner)+late)
		owner = joiner
	} else {
		c.keeps(owner.host, since, c.limit(joiner))
	}
	c.overlap(since, slack+keepalivedSlack+late)
	c.gap(since, slack+keepalivedSlack)
	return owner
}

// cut takes the owner's link and gives it back.
func (c *contest) cut(owner *contender) *contender {
	c.t.Helper()
	successor := c.other(owner)
	at := time.Now()
	c.try(owner.host.Cut())
	c.only(successor.host, at, c.limit(successor))
	at = time.Now()
	c.try(owner.host.Mend())
	late := time.Duration(0)
	if c.unicast {
		late = neighbourTime
	}
	return c.meet(successor, owner, at.Add(c.limit(owner)), late) // it is a backup by then
}

// dies ends the owner and starts it again.
func (c *contest) dies(owner *contender) *contender {
	c.t.Helper()
	successor := c.other(owner)
	at := time.Now()
	owner.die()
	c.only(successor.host, at, c.limit(successor))
	return c.joins(successor, owner)
}

// divided keeps the two from hearing each other until both are active, and wants the
// better one to win: the higher priority, then the higher address.
func (c *contest) divided(owner *contender) {
	c.t.Helper()
	c.try(c.ours.host.Mute("ip protocol 112", "ip6 nexthdr 112"))
	eventually(c.t, "both are active while they do not hear each other", func() bool { return len(c.owners.Now()) == 2 })
	winner := c.ours
	if c.priority < keepalivedPriority || c.priority == keepalivedPriority && c.ours.primary.Less(c.theirs.primary) {
		winner = c.theirs
	}
	at := time.Now()
	c.try(c.ours.host.Unmute())
	c.only(winner.host, at, c.every()+slack+keepalivedSlack)
	c.keeps(winner.host, time.Now(), c.limit(c.other(winner)))
}
