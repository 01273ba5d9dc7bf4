package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"vdi-gateway/tests/bench/figure"
	"vdi-gateway/tests/bench/load"
)

const (
	desktopPort  = 5900
	manyUses     = 1 << 20 // of a ticket: more than there will be
	consoleBulk  = 8       // WebSockets
	consoleIdle  = 1000
	peerIdle     = 500 // websockify resets the 508th: select() cannot watch its descriptors
	checkedConns = 30
	goneTime     = 20 * time.Second // until processes of former connections are gone
)

var (
	consoleBulk1 = figure.Figure{Name: "console.bulk1", Peer: "websockify", Unit: "Gb/s"}
	consoleBulk8 = figure.Figure{Name: "console.bulk8", Peer: "websockify", Unit: "Gb/s"}
	consoleCPU   = figure.Figure{Name: "console.cpu_per_gb", Peer: "websockify", Unit: "s"}
	consolePing  = figure.Figure{Name: "console.p50_1", Peer: "websockify", Unit: "us"}
	consoleHold  = figure.Figure{Name: "console.idle_kb", Peer: "websockify", Unit: "KB"}
	consoleTLS   = figure.Figure{Name: "console.tls_bulk1", Peer: "nginx", Unit: "Gb/s"}
	consoleFrame = figure.Figure{Name: "console.first_frame_ms", Peer: "websockify", Unit: "ms"}
)

func consoleFigures() []figure.Figure {
	return []figure.Figure{consoleBulk1, consoleBulk8, consoleCPU, consolePing, consoleHold, consoleTLS, consoleFrame}
}

// gauge measures figures of a gate.
type gauge func(context.Context, *gate) (map[figure.Figure]float64, error)

// round measures everything, the checks beside. What differs most from one moment
// to the next on a small machine is measured more than once.
func (c *consoles) round(ctx context.Context, round int) error {
	for i, step := range []struct {
		at *contest
		do gauge
	}{
		{&c.plain, c.begin},
		{&c.plain, c.idle},
		{&c.plain, c.ping},
		{&c.plain, c.bulk1},
		{&c.plain, c.ping},
		{&c.plain, c.bulk8},
		{&c.plain, c.ping},
		{&c.plain, c.bulk1},
		{&c.plain, c.check(round)},
		{&c.secure, c.begin},
		{&c.secure, c.tlsBulk1},
		{&c.secure, c.tlsBulk1},
		{&c.secure, c.tlsBulk1},
		{&c.secure, c.check(round)},
	} {
		if err := c.turns(ctx, round+i, step.at, step.do); err != nil {
			return err
		}
	}
	return c.firstFrames(ctx, round)
}

// turns lets the product and its peer be measured, one after the other. A peer
// that fails is left out; the product must not fail.
func (c *consoles) turns(ctx context.Context, round int, at *contest, do gauge) error {
	if at.lost {
		return nil
	}
	var ours, theirs map[figure.Figure]float64
	err := figure.Turns(round,
		func() (err error) { ours, err = do(ctx, at.ours); return err },
		func() (err error) {
			if theirs, err = do(ctx, at.theirs); err != nil {
				c.leave(at, err)
			}
			return nil
		})
	if err != nil || at.lost {
		return err
	}
	for _, f := range at.figures {
		if value, ok := ours[f]; ok {
			c.sheet.Add(f, value, theirs[f])
		}
	}
	return nil
}

// leave takes a peer's figures away, those of former rounds too, and says why.
func (c *consoles) leave(at *contest, why error) {
	at.lost = true
	for _, f := range at.figures {
		c.sheet.Drop(f)
	}
	c.missing = append(c.missing, fmt.Sprintf("%s: %v", at.theirs.name, why))
	c.sheet.Progress("  %s is left out: %v", at.theirs.name, why)
}

func (c *consoles) begin(ctx context.Context, g *gate) (map[figure.Figure]float64, error) {
	return nil, c.restart(ctx, g)
}

func (c *consoles) job(g *gate, kind load.Kind, conns int, last time.Duration) load.Job {
	return load.Job{Kind: kind, Addr: g.addr, From: c.client.Addrs(), Conns: conns, Warm: warmTime, Last: last, Web: g.web}
}

func (c *consoles) bulk1(ctx context.Context, g *gate) (map[figure.Figure]float64, error) {
	r, err := load.Run(ctx, c.client, c.job(g, load.WebBulk, 1, bulkTime), load.Marks{})
	return map[figure.Figure]float64{consoleBulk1: r.Gigabits()}, err
}

func (c *consoles) bulk8(ctx context.Context, g *gate) (map[figure.Figure]float64, error) {
	if err := g.settle(ctx); err != nil {
		return nil, err
	}
	used := &used{relay: g.run}
	r, err := load.Run(ctx, c.client, c.job(g, load.WebBulk, consoleBulk, bulkTime), used.marks())
	return map[figure.Figure]float64{
		consoleBulk8: r.Gigabits(), consoleCPU: used.cpu.Seconds() / float64(r.Bytes) * 1e9,
	}, first(err, used.err)
}

func (c *consoles) ping(ctx context.Context, g *gate) (map[figure.Figure]float64, error) {
	r, err := load.Run(ctx, c.client, c.job(g, load.WebPing, 1, pingTime), load.Marks{})
	return map[figure.Figure]float64{consolePing: microseconds(r.P50)}, err
}

func (c *consoles) tlsBulk1(ctx context.Context, g *gate) (map[figure.Figure]float64, error) {
	r, err := load.Run(ctx, c.client, c.job(g, load.WebBulk, 1, bulkTime), load.Marks{})
	if !slices.Contains(c.suites, r.Suite) && r.Suite != "" {
		c.suites = append(c.suites, r.Suite)
	}
	return map[figure.Figure]float64{consoleTLS: r.Gigabits()}, err
}

// idle measures the memory of consoles on which nothing happens.
func (c *consoles) idle(ctx context.Context, g *gate) (map[figure.Figure]float64, error) {
	if err := g.settle(ctx); err != nil {
		return nil, err
	}
	conns := consoleIdle
	if g.node == nil {
		conns = peerIdle
	}
	before, err := g.run.Share()
	if err != nil {
		return nil, err
	}
	var held int64
	var looked error
	_, err = load.Run(ctx, c.client, c.job(g, load.WebHold, conns, 0), load.Marks{Begin: func() {
		time.Sleep(idleTime)
		held, looked = g.run.Share()
	}})
	return map[figure.Figure]float64{consoleHold: float64(held-before) / 1024 / float64(conns)}, first(err, looked, g.settle(ctx))
}

// settle waits until the processes of connections that have ended are gone: they
// would take their processor time along, and have memory that nobody uses.
func (g *gate) settle(ctx context.Context) error {
	if g.node != nil {
		return nil // one process
	}
	ctx, cancel := context.WithTimeout(ctx, goneTime)
	defer cancel()
	return lastOne(ctx, g.run.Processes)
}

// lastOne waits until one process is left.
func lastOne(ctx context.Context, processes func() (int, error)) error {
	for {
		n, err := processes()
		if err == nil && n == 1 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d processes are left of connections that have ended (%w)", n-1, first(err, ctx.Err()))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// check carries checked streams, both ways at once.
func (c *consoles) check(round int) gauge {
	return func(ctx context.Context, g *gate) (map[figure.Figure]float64, error) {
		job := c.job(g, load.WebCheck, checkedConns, 0)
		job.Seed = uint64(round) + 1
		r, err := load.Run(ctx, c.client, job, load.Marks{})
		if err != nil && g.node != nil {
			err = fmt.Errorf("%w: %w", errWrong, err)
		}
		if err == nil {
			c.sheet.Progress("  checked: %s, %d connections at once, %d bytes in %.1f s", g.name, r.Conns, r.Bytes, r.Time.Seconds())
		}
		return nil, err
	}
}
