package main

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"vdi-gateway/tests/bench/figure"
	"vdi-gateway/tests/bench/load"
	"vdi-gateway/tests/lab"
)

const (
	serverPort  = 9000
	clientAddrs = 4
	// descriptors a relay needs: two per connection, and some.
	descriptors = 2*idleConns + 3000

	idleConns  = 8000
	idleTime   = time.Second // between the last connection and the look at them
	warmTime   = 400 * time.Millisecond
	bulkTime   = 1500 * time.Millisecond
	pingTime   = 1500 * time.Millisecond
	paceTime   = 2 * time.Second
	churnTime  = 2 * time.Second
	bulkConns  = 32
	paceConns  = 100
	paceRate   = 5000 // messages per second on all connections
	churnConns = 32
)

// kinds are the names and units of the figures. A GB is 1e9 bytes, a KB 1024.
var kinds = []struct {
	name, unit string
	process    bool // of a relay's process, which direct has not
}{
	{"relay.bulk1", "Gb/s", false},
	{"relay.bulk32", "Gb/s", false},
	{"relay.cpu_per_gb", "s", true},
	{"relay.p50_1", "us", false},
	{"relay.p99_1", "us", false},
	{"relay.p50_100", "us", false},
	{"relay.p99_100", "us", false},
	{"relay.conn_per_s", "1/s", false},
	{"relay.cpu_per_conn", "us", true},
	{"relay.idle_rss_kb", "KB", true},
	{"relay.fds", "1", true},
}

func relayFigures() (all []figure.Figure) {
	for _, k := range kinds {
		for _, name := range []string{"haproxy", "haproxy_tuned", "nginx", "direct"} {
			if name != "direct" || !k.process {
				all = append(all, figure.Figure{Name: k.name, Peer: name, Unit: k.unit})
			}
		}
	}
	return all
}

// samples of one step: the figure's value by name, for each contender.
type samples map[*contender]map[string]float64

// round measures everything once: the contenders take turns at each step.
func (b *relays) round(ctx context.Context, round int) error {
	if err := b.each(round, b.restart); err != nil {
		return err
	}
	for _, step := range []func(context.Context, *contender) (map[string]float64, error){
		b.idle, b.bulk1, b.bulk32, b.ping, b.pace, b.churn,
	} {
		got := samples{}
		err := b.each(round, func(c *contender) (err error) {
			got[c], err = step(ctx, c)
			return err
		})
		if err != nil {
			return err
		}
		b.add(got)
	}
	return b.check(ctx, round)
}

// add enters what was measured for us and a peer.
func (b *relays) add(got samples) {
	for _, k := range kinds {
		ours, ok := got[b.ours][k.name]
		for _, c := range b.theirs {
			if theirs, too := got[c][k.name]; ok && too {
				b.sheet.Add(figure.Figure{Name: k.name, Peer: c.name, Unit: k.unit}, ours, theirs)
			}
		}
	}
}

func (b *relays) from() []netip.Addr { return b.client.Addrs() }

func (b *relays) job(c *contender, kind load.Kind, conns int, last time.Duration) load.Job {
	return load.Job{Kind: kind, Addr: c.addr, From: b.from(), Conns: conns, Warm: warmTime, Last: last, Rate: paceRate}
}

func (b *relays) bulk1(ctx context.Context, c *contender) (map[string]float64, error) {
	r, err := load.Run(ctx, b.client, b.job(c, load.Bulk, 1, bulkTime), load.Marks{})
	return map[string]float64{"relay.bulk1": r.Gigabits()}, err
}

func (b *relays) bulk32(ctx context.Context, c *contender) (map[string]float64, error) {
	used := &used{relay: c.meter()}
	r, err := load.Run(ctx, b.client, b.job(c, load.Bulk, bulkConns, bulkTime), used.marks())
	got := map[string]float64{"relay.bulk32": r.Gigabits()}
	if c.run != nil {
		got["relay.cpu_per_gb"] = used.cpu.Seconds() / float64(r.Bytes) * 1e9
	}
	return got, first(err, used.err)
}

func (b *relays) churn(ctx context.Context, c *contender) (map[string]float64, error) {
	used := &used{relay: c.meter()}
	r, err := load.Run(ctx, b.client, b.job(c, load.Churn, churnConns, churnTime), used.marks())
	got := map[string]float64{"relay.conn_per_s": r.PerSecond()}
	if c.run != nil {
		got["relay.cpu_per_conn"] = microseconds(used.cpu) / float64(r.Conns)
	}
	return got, first(err, used.err)
}

// meter is nil when there is no relay.
func (c *contender) meter() meter {
	if c.run == nil {
		return nil
	}
	return c.run
}

func (b *relays) ping(ctx context.Context, c *contender) (map[string]float64, error) {
	r, err := load.Run(ctx, b.client, b.job(c, load.Ping, 1, pingTime), load.Marks{})
	return map[string]float64{"relay.p50_1": microseconds(r.P50), "relay.p99_1": microseconds(r.P99)}, err
}

func (b *relays) pace(ctx context.Context, c *contender) (map[string]float64, error) {
	r, err := load.Run(ctx, b.client, b.job(c, load.Pace, paceConns, paceTime), load.Marks{})
	return map[string]float64{"relay.p50_100": microseconds(r.P50), "relay.p99_100": microseconds(r.P99)}, err
}

// idle measures what sessions need that have nothing to say.
func (b *relays) idle(ctx context.Context, c *contender) (map[string]float64, error) {
	if c.run == nil {
		return nil, nil
	}
	before, err := look(c.run)
	if err != nil {
		return nil, err
	}
	var held holding
	var looked error
	_, err = load.Run(ctx, b.client, b.job(c, load.Hold, idleConns, 0), load.Marks{Begin: func() {
		time.Sleep(idleTime)
		held, looked = look(c.run)
	}})
	return map[string]float64{
		"relay.idle_rss_kb": float64(held.memory-before.memory) / 1024 / idleConns,
		"relay.fds":         float64(held.descriptors-before.descriptors) / idleConns,
	}, first(err, looked)
}

func microseconds(d time.Duration) float64 { return d.Seconds() * 1e6 }

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// congestion is the congestion control of every host, BENCH_CONGESTION or reno.
// On a network without loss reno and cubic do the same, and reno is the one that
// every namespace may choose. A host that paces (bbr) waits for timers, and a
// figure of bulk data would be theirs.
func congestion() string {
	return cmp.Or(os.Getenv("BENCH_CONGESTION"), "reno")
}

// prepare lets a host have many connections that ended a moment ago, and sets
// how it sends.
func prepare(host *lab.Host) error {
	return host.Do(func() error {
		for name, value := range map[string]string{
			"ip_local_port_range": "1024 65535", "tcp_tw_reuse": "1", "tcp_congestion_control": congestion(),
		} {
			if err := os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0o600); err != nil {
				return fmt.Errorf("set %s to %s: %w", name, value, err)
			}
		}
		return nil
	})
}

// allowDescriptors lets this process and those it starts open as many files as
// it may.
func allowDescriptors() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if limit.Max < descriptors {
		return fmt.Errorf("%d idle connections need %d open files, the limit is %d (ulimit -Hn)", idleConns, descriptors, limit.Max)
	}
	limit.Cur = limit.Max
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
}
