package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"vdi-gateway/tests/bench/figure"
	"vdi-gateway/tests/bench/load"
)

// round measures everything once: the ways take turns at each step.
func (c *clustered) round(ctx context.Context, round int) error {
	steps := []func(context.Context, *way) (map[string]float64, error){c.bulk, c.ping, c.churn}
	if round == 0 { // later, memory of the first time is used again
		steps = append([]func(context.Context, *way) (map[string]float64, error){c.idle}, steps...)
	}
	for _, step := range steps {
		got := map[string]map[string]float64{}
		for i := range c.ways {
			w := c.ways[(round+i)%len(c.ways)]
			values, err := step(ctx, w)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			got[w.name] = values
		}
		c.add(got)
	}
	if err := c.openRound(round); err != nil {
		return err
	}
	return c.check(ctx, round)
}

func (c *clustered) add(got map[string]map[string]float64) {
	for _, k := range clusterKinds {
		for _, name := range []string{"haproxy", "direct"} {
			ours, ok := got["ours"][k.name]
			if theirs, too := got[name][k.name]; ok && too {
				c.sheet.Add(figure.Figure{Name: k.name, Peer: name, Unit: k.unit}, ours, theirs)
			}
		}
	}
}

func (c *clustered) job(w *way, kind load.Kind, conns int, last time.Duration) load.Job {
	return load.Job{Kind: kind, Addr: w.addr, From: c.clients.Addrs(), Conns: conns, Warm: warmTime, Last: last, Rate: paceRate}
}

func (c *clustered) bulk(ctx context.Context, w *way) (map[string]float64, error) {
	r, err := load.Run(ctx, c.clients, c.job(w, load.Bulk, bulkConns, bulkTime), load.Marks{})
	return map[string]float64{"cluster.bulk32": r.Gigabits()}, err
}

func (c *clustered) ping(ctx context.Context, w *way) (map[string]float64, error) {
	r, err := load.Run(ctx, c.clients, c.job(w, load.Ping, 1, pingTime), load.Marks{})
	return map[string]float64{"cluster.p50_1": microseconds(r.P50)}, err
}

func (c *clustered) churn(ctx context.Context, w *way) (map[string]float64, error) {
	if w.cost == nil {
		return nil, nil
	}
	used := &used{relay: w.cost}
	r, err := load.Run(ctx, c.clients, c.job(w, load.Churn, churnConns, churnTime), used.marks())
	return map[string]float64{"cluster.cpu_per_conn": microseconds(used.cpu) / float64(r.Conns)}, first(err, used.err)
}

// idle measures what sessions that have nothing to say need in front of their
// owner, which both ways share.
func (c *clustered) idle(ctx context.Context, w *way) (map[string]float64, error) {
	if w.gate == nil {
		return nil, nil
	}
	before, err := look(w.gate)
	if err != nil {
		return nil, err
	}
	var held holding
	var looked error
	_, err = load.Run(ctx, c.clients, c.job(w, load.Hold, clusterIdle, 0), load.Marks{Begin: func() {
		time.Sleep(idleTime)
		held, looked = look(w.gate)
	}})
	return map[string]float64{"cluster.idle_rss_kb": float64(held.memory-before.memory) / 1024 / clusterIdle}, first(err, looked)
}

// openRound measures open_connection through the virtual address and through
// HAProxy, at the same nodes.
func (c *clustered) openRound(round int) error {
	var ours, theirs outcome
	through := func(addr netip.Addr) (outcome, error) {
		return c.opens.load(server{netip.AddrPortFrom(addr, frontAPI), c.key, true}, clusterClients, together)
	}
	err := figure.Turns(round,
		func() (err error) { ours, err = through(c.virtual); return err },
		func() (err error) { theirs, err = through(c.front.Addr()); return err })
	if err == nil {
		c.sheet.Add(figure.Figure{Name: "cluster.open_per_s", Peer: "haproxy", Unit: "1/s"}, ours.perSecond, theirs.perSecond)
		c.sheet.Add(figure.Figure{Name: "cluster.open_p99_ms", Peer: "haproxy", Unit: "ms"}, ours.slowest, theirs.slowest)
	}
	return err
}

// check carries checked streams through the virtual address.
func (c *clustered) check(ctx context.Context, round int) error {
	r, err := load.Run(ctx, c.clients, load.Job{
		Kind: load.Check, Addr: c.ways[0].addr, Judge: c.server, From: c.clients.Addrs(), Conns: clusterChecked, Seed: uint64(round) + 1, //nolint:gosec // small
	}, load.Marks{})
	if err != nil {
		return fmt.Errorf("%w: %w", errWrong, err)
	}
	c.sheet.Progress("  checked: %d connections at once, %d bytes", r.Conns, r.Bytes)
	return nil
}

// sync measures how long a new node needs to have all records, in a process of
// its own: the memory of this one is full of other things.
func (c *clustered) sync(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c.sheet.Progress("the directory: %d sticky entries and %d grants", stickyEntries, grantEntries)
	return figure.Rounds(ctx, func(int, int) error {
		out, err := exec.CommandContext(ctx, self, "sync").Output() //nolint:gosec // ourselves
		if err != nil {
			return err
		}
		fields := strings.Fields(string(out))
		if len(fields) != 3 {
			return fmt.Errorf("the part about the directory printed %q", out)
		}
		var values [3]float64
		for i, f := range fields {
			if values[i], err = strconv.ParseFloat(f, 64); err != nil {
				return err
			}
		}
		c.sheet.Add(syncFigure, values[0], values[1])
		c.sheet.Progress("  %.0f bytes of memory per record", values[2])
		return nil
	})
}
