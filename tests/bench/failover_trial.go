package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"vdi-gateway/tests/bench/figure"
)

const (
	// usualInterval is the product's default.
	usualInterval = 100 * time.Millisecond
	// partTime is how long the nodes do not hear each other.
	partTime = 3 * time.Second
	// freshTime is how old the newest answer may be when a fault comes.
	freshTime = 50 * time.Millisecond
)

// trial is one kind of fault.
type trial struct {
	name     string
	gone     string // the figure of when the address leaves the first node; "" is none
	interval time.Duration
	window   time.Duration // what is looked at, from the fault on
	bound    time.Duration // how long the address is waited for to go, if that is a figure
	both     bool          // both nodes have the address before, not only the first
	// aim makes all ready and returns what does it, at the moment that was chosen.
	aim func(ctx context.Context, p *pair) (strike func() error, err error)
	// mend makes the pair whole where it cannot do so itself. nil: it has to.
	mend func(p *pair, a aftermath) error
}

// aftermath is what a fault led to.
type aftermath struct {
	outage time.Duration
	gone   time.Duration // until the first node has not the address; the bound at most
	stays  bool          // it had it all the time
}

func trials() []trial {
	const usual, short = usualInterval, 1500 * time.Millisecond
	return []trial{
		{name: "failover.death_100", interval: usual, window: short, aim: death},
		{name: "failover.death_50", interval: usual / 2, window: short, aim: death},
		{name: "failover.death_10", interval: usual / 10, window: short, aim: death},
		{name: "failover.graceful_100", interval: usual, window: short, aim: graceful},
		{name: "failover.kill9_100", gone: "failover.kill9_gone_100", interval: usual, window: short, bound: 3 * time.Second, aim: crash, mend: takeAway},
		{name: "failover.freeze_100", gone: "failover.freeze_gone_100", interval: usual, window: short, bound: 8 * time.Second, aim: freeze, mend: thaw},
		{name: "failover.heal_100", interval: usual, window: 8 * time.Second, both: true, aim: heal},
	}
}

// failoverFigure is a figure beside Keepalived.
func failoverFigure(name string) figure.Figure {
	return figure.Figure{Name: name, Peer: "keepalived", Unit: "ms"}
}

// run strikes at the chosen moment and looks at what follows.
func (t trial) run(ctx context.Context, p *pair, phase float64) (a aftermath, err error) {
	strike, err := t.aim(ctx, p)
	if err != nil {
		return a, err
	}
	if err := meet(ctx, p.client, time.Duration(phase*float64(t.interval))); err != nil {
		return a, err
	}
	from := time.Now()
	if err := p.untouched(t.both); err != nil {
		return a, err
	}
	if err := strike(); err != nil {
		return a, err
	}
	if err := pause(ctx, t.window-time.Since(from)); err != nil {
		return a, err
	}
	if a.outage, err = p.pulse.outage(from, from.Add(t.window)); err != nil {
		return a, err
	}
	if t.gone != "" {
		a.gone, a.stays = p.leaves(ctx, from, t.bound)
	}
	if t.mend != nil {
		err = t.mend(p, a)
	}
	return a, first(err, p.whole(ctx))
}

// untouched wants a pair that is as it should be before a fault: where an address has
// moved already, a fault does no harm.
func (p *pair) untouched(both bool) error {
	want := p.hosts[:1]
	if both {
		want = p.hosts
	}
	if now := p.owners.Now(); !slices.Equal(now, want) {
		return fmt.Errorf("%d nodes had the address before the fault, or not the first one, want %d", len(now), len(want))
	}
	if !p.pulse.answered(time.Now().Add(-freshTime)) {
		return errors.New("the address did not answer before the fault")
	}
	return nil
}

// leaves is how long the first node has had the address since a moment: bound at most,
// if it stays.
func (p *pair) leaves(ctx context.Context, from time.Time, bound time.Duration) (gone time.Duration, stays bool) {
	for ctx.Err() == nil {
		for _, span := range p.owners.Spans(from) {
			if after := span.From.Sub(from); after < bound && !slices.Contains(span.Owners, p.hosts[0]) {
				return after, false
			}
		}
		if time.Since(from) > bound {
			break
		}
		_ = pause(ctx, pairPoll) // the loop says so
	}
	return bound, true
}

// death takes the link away and kills all processes of the first node.
func death(_ context.Context, p *pair) (func() error, error) {
	pids, err := p.routers[0].Family()
	return func() error {
		p.dead = p.hosts[0]
		if err := p.dead.Cut(); err != nil {
			return err
		}
		return sendSignal(unix.SIGKILL, pids)
	}, err
}

// graceful asks the first node to end; its host stays.
func graceful(_ context.Context, p *pair) (func() error, error) {
	return func() error { return sendSignal(unix.SIGTERM, []int{p.routers[0].PID()}) }, nil
}

// crash kills the program; the host stays, and what is there for that case.
func crash(_ context.Context, p *pair) (func() error, error) {
	pids, err := p.routers[0].Victims()
	return func() error { return sendSignal(unix.SIGKILL, pids) }, err
}

// takeAway does what an operator has to do when a program ended and left the address
// behind.
func takeAway(p *pair, a aftermath) error {
	if a.stays {
		return p.hosts[0].Drop(p.virtual)
	}
	return nil
}

// freeze stops the program, which does not end.
func freeze(_ context.Context, p *pair) (func() error, error) {
	pids, err := p.routers[0].Victims()
	return func() error { return sendSignal(unix.SIGSTOP, pids) }, err
}

// thaw lets it go on: it has to find out what happened meanwhile.
func thaw(p *pair, _ aftermath) error {
	pids, err := p.routers[0].Victims()
	if err != nil {
		return err
	}
	return sendSignal(unix.SIGCONT, pids)
}

// heal keeps the nodes from hearing each other, until both have the address, and ends
// that.
func heal(ctx context.Context, p *pair) (func() error, error) {
	if err := p.hosts[0].Mute("ip protocol 112"); err != nil {
		return nil, err
	}
	if err := pause(ctx, partTime); err != nil {
		return nil, err
	}
	return p.hosts[0].Unmute, nil
}
