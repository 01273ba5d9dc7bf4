package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"vdi-gateway/tests/bench/figure"
	"vdi-gateway/tests/bench/peer"
	"vdi-gateway/tests/lab"
)

const (
	// failoverTime bounds the whole benchmark.
	failoverTime   = 30 * time.Minute
	failoverRounds = 10
	// stallMax is how late the client may be before what it saw says nothing.
	stallMax = 5 * time.Millisecond
	// trialTries is how often a trial is tried in a round.
	trialTries = 5
)

var errStalled = errors.New("the client was late, so that the outage is not known")

func failoverFigures() (all []figure.Figure) {
	for _, t := range trials() {
		all = append(all, failoverFigure(t.name))
		if t.gone != "" {
			all = append(all, failoverFigure(t.gone))
		}
	}
	return append(all, desktopMedian, desktopWorst)
}

// failover is the setting of all trials; each has a network of its own.
type failover struct {
	sheet  *figure.Sheet
	dir    string
	binary string
}

// benchFailover measures how long nobody serves when a node fails. An error means
// that a gateway was not whole again afterwards, or nothing could be measured.
func benchFailover(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, failoverTime)
	defer cancel()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(pulseThreads))
	dir, err := os.MkdirTemp("", "vdi-gateway-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	f := &failover{sheet: figure.NewSheet(os.Stdout, failoverFigures()...), dir: dir}
	err = f.measure(ctx)
	if errors.Is(err, errWrong) {
		f.sheet.Void(err)
		return err
	}
	if err != nil {
		f.sheet.Missing(err)
	}
	f.sheet.Print(strings.Join([]string{figure.Machine(time.Now()), peer.KeepalivedVersion(), peer.HAProxyVersion()}, ", "))
	if errors.Is(err, lab.ErrNotAllowed) {
		return nil
	}
	return err
}

func (f *failover) measure(ctx context.Context) (err error) {
	if f.binary, err = builtRelay(ctx, f.sheet, f.dir); err != nil {
		return err
	}
	return figure.RoundsOr(ctx, failoverRounds, func(round, of int) error {
		f.sheet.Progress("round %d of %d", round+1, of)
		for _, t := range trials() {
			if err := f.trial(ctx, t, round, phase(round, of)); err != nil {
				return err
			}
		}
		return f.desktops(ctx, round, phase(round, of))
	})
}

// phase is the part of an interval between an advertisement and the fault. Rounds
// spread over the interval, and both contenders have the same ones: the figures do
// not depend on luck.
func phase(round, of int) float64 { return (float64(round) + 0.5) / float64(of) }

// trial measures one kind of fault on both.
func (f *failover) trial(ctx context.Context, t trial, round int, phase float64) error {
	var ours, theirs aftermath
	err := figure.Turns(round,
		func() (err error) { ours, err = f.measured(ctx, t, f.ours(), phase); return err },
		func() (err error) { theirs, err = f.measured(ctx, t, keepalived(), phase); return err })
	if errors.Is(err, errStalled) {
		f.sheet.Progress("  %s is left out in this round: %v", t.name, err)
		return nil
	}
	if err != nil {
		return err
	}
	f.sheet.Add(failoverFigure(t.name), figure.Milliseconds(ours.outage), figure.Milliseconds(theirs.outage))
	if t.gone != "" {
		f.sheet.Add(failoverFigure(t.gone), figure.Milliseconds(ours.gone), figure.Milliseconds(theirs.gone))
	}
	return nil
}

// measured measures one contender.
func (f *failover) measured(ctx context.Context, t trial, r rival, phase float64) (a aftermath, err error) {
	err = f.tried(ctx, t.name+", "+r.name, func() error {
		return f.with(ctx, r, t.interval, func(p *pair) (err error) {
			a, err = t.run(ctx, p, phase)
			return err
		})
	})
	if a.stays {
		f.sheet.Progress("  %s: %s had the address on both nodes all the time: %s is entered", t.gone, r.name, t.bound)
	}
	return a, err
}

// tried does something again when it did not work. A gateway that was not whole
// afterwards is no reason to.
func (f *failover) tried(ctx context.Context, what string, do func() error) (err error) {
	for range trialTries {
		err = do()
		if err == nil {
			return nil
		}
		err = fmt.Errorf("%s: %w", what, err)
		if errors.Is(err, errWrong) || ctx.Err() != nil {
			return err
		}
		f.sheet.Progress("  once more: %v", err)
	}
	return err
}

// with does something to a pair that begins anew.
func (f *failover) with(ctx context.Context, r rival, interval time.Duration, do func(*pair) error) (err error) {
	p, err := f.newPair(ctx, r, interval)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	return do(p)
}
