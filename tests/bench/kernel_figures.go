package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"vdi-gateway/tests/bench/figure"
	"vdi-gateway/tests/bench/load"
)

// kernelChecked are connections at once, of which none is refused for want of channels.
const kernelChecked = 800

// round measures everything once: the contenders take turns at each step.
func (k *kernels) round(ctx context.Context, round int) error {
	if err := k.begin(ctx, round); err != nil {
		return err
	}
	for _, step := range []func(context.Context, *contender) (map[string]float64, error){
		k.rest, k.bulk("kernel.bulk1", 1), k.bulk("kernel.bulk8", 8), k.bulk("kernel.bulk32", 32), k.ping, k.churn,
	} {
		got := samples{}
		err := k.each(round, func(c *contender) (err error) {
			got[c], err = step(ctx, c)
			return err
		})
		if err != nil {
			return err
		}
		k.add(got)
	}
	return first(k.check(ctx, round), k.crash(ctx), k.inject(ctx, round))
}

// add enters what was measured for us and a peer.
func (k *kernels) add(got samples) {
	for _, kind := range kernelKinds {
		ours, ok := got[k.ours][kind.name]
		for _, c := range k.theirs {
			if theirs, too := got[c][kind.name]; ok && too {
				k.sheet.Add(figure.Figure{Name: kind.name, Peer: c.name, Unit: kind.unit}, ours, theirs)
			}
		}
	}
}

func (k *kernels) job(c *contender, kind load.Kind, conns int, last time.Duration) load.Job {
	loading, _ := k.clients()
	return load.Job{Kind: kind, Addr: c.addr, From: loading, Conns: conns, Warm: warmTime, Last: last}
}

// bulk measures speed, and what the whole machine works for it: client and VM are on it,
// but so is the kernel, whose work for others' packets is in no program's account.
func (k *kernels) bulk(name string, conns int) func(context.Context, *contender) (map[string]float64, error) {
	return func(ctx context.Context, c *contender) (map[string]float64, error) {
		var m machine
		r, err := load.Run(ctx, k.client, k.job(c, load.Bulk, conns, bulkTime), m.marks())
		got := map[string]float64{name: r.Gigabits()}
		if conns == 8 {
			got["kernel.cpu_per_gb"] = m.used.Seconds() / float64(r.Bytes) * 1e9
		}
		return got, first(err, m.err)
	}
}

func (k *kernels) ping(ctx context.Context, c *contender) (map[string]float64, error) {
	r, err := load.Run(ctx, k.client, k.job(c, load.Ping, 1, pingTime), load.Marks{})
	return map[string]float64{"kernel.p50_1": microseconds(r.P50)}, err
}

// churn ends with empty tables: those of rules by hand keep connections for two minutes.
func (k *kernels) churn(ctx context.Context, c *contender) (map[string]float64, error) {
	r, err := load.Run(ctx, k.client, k.job(c, load.Churn, churnConns, churnTime), load.Marks{})
	if c.name == "nft" && err == nil {
		err = command(c.host, "", "conntrack", "--flush")
	}
	return map[string]float64{"kernel.conn_per_s": r.PerSecond()}, err
}

// check carries checked streams through the product.
func (k *kernels) check(ctx context.Context, round int) error {
	job := k.job(k.ours, load.Check, kernelChecked, 0)
	job.Judge, job.Seed = k.server, uint64(round)+1
	r, err := load.Run(ctx, k.client, job, load.Marks{})
	if err != nil {
		return fmt.Errorf("%w: %w", errWrong, err)
	}
	k.sheet.Progress("  checked: %d connections at once, %d bytes", r.Conns, r.Bytes)
	return nil
}

// machine is the time that all processors have worked within a generator's measured time,
// interrupts included, by /proc/stat.
type machine struct {
	used time.Duration
	err  error
}

func (m *machine) marks() load.Marks {
	var before time.Duration
	return load.Marks{
		Begin: func() { before, m.err = worked() },
		End: func() {
			after, err := worked()
			m.used, m.err = after-before, first(m.err, err)
		},
	}
}

// tick is the unit of /proc/stat, USER_HZ.
const tick = 10 * time.Millisecond

// worked is the sum of the columns user, nice, system, irq and softirq.
func worked() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	var total time.Duration
	for _, column := range []int{1, 2, 3, 6, 7} {
		n, err := strconv.Atoi(fields[column])
		if err != nil {
			return 0, fmt.Errorf("read /proc/stat: %w", err)
		}
		total += time.Duration(n) * tick
	}
	return total, nil
}
